"""`lockgate approvals watch`, following a server that answers what a test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from lockgate.cli.approvals import watching
from lockgate.cli.approvals.client import Client
from lockgate.cli.approvals.watching import Board, Seen, follow

Run = Callable[..., Any]
EVENTS = "/api/approvals/events"
ID = "7fQx2kAbCdEf01"
STOP = (401, {"detail": "The token has expired."})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made between connections."""
    pauses: list[float] = []
    monkeypatch.setattr("lockgate.cli.approvals.watching.time.sleep", pauses.append)
    return pauses


def stream(*documents: Any) -> Callable[[Any], None]:
    events = "".join(f"data: {json.dumps(each)}\n\n" for each in documents)
    return lambda self: self.give(200, f": here\n\n{events}".encode(), "text/event-stream")


def test_a_line_for_each_change(run: Run, held: Any, brief: dict[str, Any]) -> None:
    new = brief | {"id": "new", "verb": "GET\x1b[2J"}
    held.answer("GET", EVENTS, stream(new, brief | {"state": "denied"}), STOP)
    ended = run("watch")
    lines = [line.split("  ")[1:3] for line in ended.out.splitlines()]
    assert lines[:3] == [["pending", ID], ["pending", "new"], ["denied", ID]]
    assert "GET\\x1b[2J crm" in ended.out
    assert ended.code == 2
    assert "the connection has ended; it is tried again" in ended.err
    assert ended.err.splitlines()[-1].startswith("lockgate: http://127.0.0.1")


def test_as_json_a_document_a_line(run: Run, held: Any, brief: dict[str, Any]) -> None:
    held.answer("GET", EVENTS, stream(brief | {"state": "approved"}), STOP)
    out = run("watch", "--json", tty=True).out
    assert [json.loads(line) for line in out.splitlines()] == [brief, brief | {"state": "approved"}]


def test_after_a_break_what_is_known_is_not_told_again(run: Run, held: Any, brief: dict[str, Any]) -> None:
    new = brief | {"id": "new"}
    held.answer("GET", "/api/approvals", {"approvals": [brief]}, {"approvals": [brief, new]})
    held.answer("GET", EVENTS, stream(), stream(), STOP)
    lines = run("watch").out.splitlines()
    assert [line.split("  ")[2] for line in lines] == [ID, "new"]


def test_what_was_decided_meanwhile_is_told_after_a_break(run: Run, held: Any, brief: dict[str, Any]) -> None:
    old = brief | {"id": "old", "state": "used"}
    denied, asked = brief | {"state": "denied"}, brief | {"id": "new", "state": "expired"}
    held.answer("GET", "/api/approvals", {"approvals": [old, brief]}, {"approvals": [old, denied, asked]})
    held.answer("GET", EVENTS, stream(), stream(), STOP)
    lines = [line.split("  ")[1:3] for line in run("watch").out.splitlines()]
    assert lines == [["pending", ID], ["denied", ID], ["expired", "new"]]


@pytest.mark.parametrize("lacks", ["state", "requester", "rules", "ahead"])
@pytest.mark.parametrize("tty", [False, True], ids=["piped", "terminal"])
def test_half_an_approval_is_not_followed(run: Run, held: Any, brief: dict[str, Any], lacks: str, tty: bool) -> None:
    del brief[lacks]
    held.answer("GET", "/api/approvals", {"approvals": [brief]})
    held.answer("GET", EVENTS, stream())
    ended = run("watch", tty=tty)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "not as it should be" in ended.err


def test_breaks_are_waited_out_for_longer_and_longer(run: Run, held: Any, at_once: list[float]) -> None:
    down = [(503, {"detail": "starting"})] * 6
    held.answer("GET", EVENTS, stream(), *down, stream(), STOP)
    assert run("watch").code == 2
    assert at_once == [1, 2, 4, 8, 16, 30, 30, 1]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(STOP, "The token has expired; get a new one", id="token"),
        pytest.param((503, {"detail": "not yet"}), "not yet", id="not yet"),
        pytest.param(lambda self: self.hang_up(), "broke off", id="nobody"),
        pytest.param((200, {}), "not the gateway's approvals", id="no events"),
        pytest.param(lambda self: self.give(302, b"", Location="http://127.0.0.1:1/"), "redirects", id="redirect"),
    ],
)
def test_what_cannot_be_followed_at_all(run: Run, held: Any, answer: Any, said: str) -> None:
    held.answer("GET", EVENTS, answer)
    ended = run("watch")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert said in ended.err


def test_an_event_that_cannot_be_read_is_not_followed(run: Run, held: Any) -> None:
    held.answer("GET", EVENTS, lambda self: self.give(200, b"data: {{\n\n", "text/event-stream"), STOP)
    assert "events that cannot be read" in run("watch").err


def test_an_event_that_names_none_has_all_looked_at(run: Run, held: Any, brief: dict[str, Any]) -> None:
    new = brief | {"id": "new"}
    held.answer("GET", "/api/approvals", {"approvals": [brief]}, {"approvals": [new]})
    held.answer("GET", EVENTS, stream({}), STOP)
    assert [line.split("  ")[2] for line in run("watch").out.splitlines()] == [ID, "new"]


def test_the_gateway_s_own_events_are_followed(gateway: Any) -> None:
    gateway.hold("a1")
    with Client(gateway.url, "fiona", None, else_see="") as client:
        following = follow(client)
        seen = next(following)
        assert (seen.kind, [each["id"] for each in seen.approvals]) == ("all", ["a1"])
        gateway.hold("a2", digest="", fingerprint="another")
        seen = next(following)
        assert (seen.kind, [each["id"] for each in seen.approvals]) == ("one", ["a2"])
        gateway.do(gateway.office.desk.cancel("a1", "no longer held"))
        assert next(following).approvals[0]["state"] == "cancelled"
        following.close()


def test_ctrl_c_ends_it(run: Run, held: Any) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    held.answer("GET", EVENTS, stream(), STOP)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(watching.time, "sleep", interrupted)
        assert run("watch").code == 130


def shown(board: Board) -> str:
    console = Console(width=120, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(board.shown())
    return capture.get()


def test_the_table_has_what_is_pending(brief: dict[str, Any]) -> None:
    board = Board()
    assert "0 pending" in shown(board)
    board.take(Seen("all", (brief, brief | {"id": "7fQx2kB", "verb": "[red]\x1b[2J"})))
    assert "7fQx2kA " in shown(board) and "2 pending" in shown(board)
    assert "[red]\\x1b[2J crm" in shown(board)
    board.take(Seen("one", (brief | {"state": "denied"},)))
    assert "7fQx2kA" not in shown(board) and "1 pending" in shown(board)
    board.take(Seen("broken", why="gone"))
    assert "7fQx2k" in shown(board) and "Not connected, tried again: gone" in shown(board)
    board.take(Seen("all"))
    assert "0 pending" in shown(board)


def test_on_a_terminal_it_is_a_table(run: Run, held: Any) -> None:
    held.answer("GET", EVENTS, stream(), STOP)
    ended = run("watch", tty=True)
    assert ended.code == 2
    assert "POST crm /v1/refunds" in ended.out
