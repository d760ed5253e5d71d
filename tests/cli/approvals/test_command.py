"""The commands, asked of a server that answers what a test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

Run = Callable[..., Any]
ID, OTHER, TOKEN = "7fQx2kAbCdEf01", "7fQx2kZZZZZZ02", "approver.token-1"
APPROVAL = f"/api/approvals/{ID}"
HOSTILE = "\x1b]0;x\x07\x9b2J\u202e\u2066\r\nlockgate: Approved \u200b"


def says(monkeypatch: pytest.MonkeyPatch, answer: bool) -> list[str]:
    """What a person is asked; they say `answer`."""
    asked: list[str] = []

    def confirm(text: str, abort: bool) -> bool:
        asked.append(text)
        if abort and not answer:
            raise click.Abort
        return answer

    monkeypatch.setattr("lockgate.cli.approvals.command.click.confirm", confirm)
    return asked


def test_list(run: Run, held: Any) -> None:
    ended = run("list")
    assert (ended.code, ended.err) == (0, "")
    titles, line = ended.out.splitlines()
    assert titles.split() == ["id", "who", "what", "rule", "asked", "left"]
    for told in ("7fQx2k ", "support-agent", "POST crm /v1/refunds", "support/big-refund", "2m ago", "12m"):
        assert told in line
    (asked,) = held.asked
    assert (asked.method, asked.path) == ("GET", "/api/approvals?state=pending")
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"


def test_list_shows_as_much_of_an_id_as_tells_it_from_others(run: Run, held: Any, brief: dict[str, Any]) -> None:
    held.answer("GET", "/api/approvals", {"approvals": [brief, brief | {"id": OTHER, "state": "denied"}]})
    lines = run("list", "--state", "all").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["7fQx2kA", "7fQx2kZ"]
    assert lines[2].endswith("denied")


def test_list_of_nothing_is_fine(run: Run, server: Any) -> None:
    server.answer("GET", "/api/approvals", {"approvals": []})
    assert run("list") == (0, "", "Nothing is pending.\n")
    assert run("list", "--json").out == "[]\n"


def test_list_as_json(run: Run, held: Any, brief: dict[str, Any]) -> None:
    assert json.loads(run("list", "--json").out) == [brief]


def test_show(run: Run, held: Any) -> None:
    ended = run("show", "7fQ")
    assert (ended.code, ended.err) == (0, "")
    for told in (
        ID,
        "support-agent of https://login.example, as support",
        "behind it    ben",
        "deny  GET crm /v1/export by support/no-bulk-export",
        "Refunds above 500 need finance.",
        "by 2 of finance, each with a reason; approved by eve",
        "1 more like it wait too",
        "crm-token",
        "takes --grant, up to 1h",
        "$.card: hash",
        "\n| POST https://api.crm.example/v1/refunds\n| content-type: application/json\n| \n",
        '| {"amount": 900,\n|  "note": "\\u202eevil"}\n(json, 34 bytes)\n',
        "eve of https://login.example approved, granting 10m: fine",
        "ab12",
    ):
        assert told in ended.out
    assert [each.path for each in held.asked] == ["/api/approvals?state=all", APPROVAL]


def test_show_a_binary_body_whole(run: Run, held: Any, whole: dict[str, Any]) -> None:
    whole["request"] |= {"body": "AAECG1s=", "body_is": "binary", "body_size": 5}
    held.answer("GET", APPROVAL, whole)
    assert "| 00000000  00 01 02 1b 5b" in run("show", ID).out


def test_show_a_grant_asked_for_ahead(run: Run, held: Any, whole: dict[str, Any]) -> None:
    whole |= {"ahead": 3600, "reason": "the\nquarter's refunds", "verb": "", "resource": ""}
    held.answer("GET", APPROVAL, whole)
    out = run("show", ID).out
    assert "a grant of 1h at crm" in out
    assert "| the\n| quarter's refunds\n" in out
    assert "No request yet" in out


def test_show_as_json_is_all_of_it(run: Run, held: Any, whole: dict[str, Any]) -> None:
    ended = run("show", ID, "--json")
    assert json.loads(ended.out) == whole
    assert ended.out.isascii()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param("7fQx2k", "the beginning of several ids: 7fQx2kAbCdEf01, 7fQx2kZZZZZZ02", id="several"),
        pytest.param("nope", "there is no approval nope", id="none"),
        pytest.param("", "there is no approval", id="empty"),
        pytest.param("../grants", "there is no approval ../grants", id="a path"),
    ],
)
def test_an_id_has_to_be_one(run: Run, held: Any, brief: dict[str, Any], given: str, said: str) -> None:
    held.answer("GET", "/api/approvals", {"approvals": [brief, brief | {"id": OTHER}]})
    for command in ("show", "approve", "deny"):
        ended = run(command, given, *(["--yes"] if command != "show" else []))
        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err
    assert {each.path for each in held.asked} == {"/api/approvals?state=all"}


def test_an_id_of_the_server_is_no_path(run: Run, server: Any, brief: dict[str, Any]) -> None:
    server.answer("GET", "/api/approvals", {"approvals": [brief | {"id": "x/../../grants?y"}]})
    assert run("show", "x").code == 2
    assert server.asked[-1].path == "/api/approvals/x%2F..%2F..%2Fgrants%3Fy"


def test_approve_asks_after_showing_it(run: Run, held: Any, whole: dict[str, Any], monkeypatch: Any) -> None:
    held.answer("POST", APPROVAL, whole | {"state": "approved"})
    asked = says(monkeypatch, True)
    ended = run("approve", ID, "--reason", "ticket 4711", "--grant", "10m", tty=True)
    assert (ended.code, asked) == (0, ["Approve it?"])
    assert '{"amount": 900,' in ended.out
    assert ended.out.splitlines()[-1] == f"Approved {ID}: POST crm /v1/refunds."
    assert held.bodies("POST") == [{"decision": "approve", "reason": "ticket 4711", "grant": "10m", "digest": "ab12"}]


def test_who_says_no_decides_nothing(run: Run, held: Any, monkeypatch: Any) -> None:
    says(monkeypatch, False)
    for command in ("approve", "deny"):
        assert run(command, ID, "--reason", "x", tty=True).code == 130
    assert held.bodies("POST") == []


@pytest.mark.parametrize("command", ["approve", "deny"])
def test_without_a_terminal_it_has_to_be_said(run: Run, held: Any, command: str) -> None:
    ended = run(command, ID)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "--digest" in ended.err and "--yes" in ended.err
    assert held.asked == []


def test_yes_decides_what_is_shown(run: Run, held: Any, whole: dict[str, Any]) -> None:
    held.answer("POST", APPROVAL, whole | {"state": "pending"})
    ended = run("approve", ID, "--yes", "--reason", "x")
    assert '{"amount": 900,' in ended.out
    assert ended.out.endswith("it still needs 1 more of finance.\n")
    assert held.bodies("POST") == [{"decision": "approve", "reason": "x", "digest": "ab12"}]


def test_a_reason_that_is_asked_for_is_asked_for_before_anything_is_sent(run: Run, held: Any) -> None:
    ended = run("approve", ID, "--yes", "--reason", " ")
    assert (ended.code, held.bodies("POST")) == (2, [])
    assert "give --reason" in ended.err


def test_a_digest_decides_what_was_looked_at_elsewhere(run: Run, held: Any, whole: dict[str, Any]) -> None:
    held.answer("POST", APPROVAL, whole | {"state": "denied"})
    ended = run("deny", "7f", "--digest", "cd34", "--reason", "no")
    assert ended == (0, f"Denied {ID}: POST crm /v1/refunds.\n", "")
    assert held.bodies("POST") == [{"decision": "deny", "reason": "no", "digest": "cd34"}]
    assert json.loads(run("deny", "7f", "--digest", "cd34", "--json").out)["state"] == "denied"


def test_json_needs_the_digest(run: Run, held: Any) -> None:
    ended = run("approve", ID, "--json", "--yes")
    assert (ended.code, held.asked) == (2, [])
    assert "--json needs --digest" in ended.err


@pytest.mark.parametrize(
    ("status", "detail", "code"),
    [
        pytest.param(409, "This is not what was shown: look at it again, then decide.", 1, id="stale"),
        pytest.param(403, "Nobody decides a request of their own.", 1, id="own"),
        pytest.param(422, "Give a reason: the rule asks for one.", 2, id="no reason"),
        pytest.param(503, "Approvals cannot be kept now.", 2, id="store"),
    ],
)
def test_what_the_gateway_does_not_count(run: Run, held: Any, status: int, detail: str, code: int) -> None:
    held.answer("POST", APPROVAL, (status, {"status": status, "title": "no", "detail": detail}))
    ended = run("approve", ID, "--digest", "cd34")
    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1)
    assert detail.rstrip(".") in ended.err


def test_what_is_not_yours_is_not_even_asked(run: Run, held: Any, whole: dict[str, Any], monkeypatch: Any) -> None:
    whole["you"] = {"may_decide": False, "why_not": "This is decided by somebody with the role finance."}
    held.answer("GET", APPROVAL, whole)
    asked = says(monkeypatch, True)
    ended = run("approve", ID, tty=True)
    assert (ended.code, asked, held.bodies("POST")) == (1, [], [])
    assert "role finance" in ended.err


@pytest.mark.parametrize(
    "lacks", ["digest", "holds", "request", "requester", "you", "masks", "credential", "ahead", "expires_at"]
)
def test_nothing_is_decided_on_half_of_it(run: Run, held: Any, whole: dict[str, Any], lacks: str) -> None:
    del whole[lacks]
    held.answer("GET", APPROVAL, whole)
    ended = run("approve", ID, "--yes")
    assert (ended.code, held.bodies("POST")) == (2, [])
    assert "not as it should be" in ended.err


def test_grants(run: Run, server: Any, whole: dict[str, Any]) -> None:
    grant = {
        "id": "g1g1g1g1g1",
        "subject": "support-agent",
        "rule": "support/big-refund",
        "target": "crm",
        "until": whole["expires_at"],
        "uses": 3,
        "votes": whole["votes"],
    }
    server.answer("GET", "/api/grants", {"grants": [grant]})
    server.answer("DELETE", "/api/grants/g1g1g1g1g1", grant)
    line = run("grants").out.splitlines()[1]
    assert line.split() == ["g1g1g1", "support-agent", "support/big-refund", "crm", "12m", "3", "eve"]
    assert json.loads(run("grants", "--json").out) == [grant]
    assert run("end-grant", "g1", "--reason", "over").out == "Ended g1g1g1g1g1.\n"
    assert server.bodies("DELETE") == [{"reason": "over"}]
    server.answer("DELETE", "/api/grants/g1g1g1g1g1", (403, {"detail": "Nobody decides about a grant of their own."}))
    ended = run("end-grant", "g1")
    assert (ended.code, ended.err) == (1, "Not ended: Nobody decides about a grant of their own\n")
    server.answer("GET", "/api/grants", {"grants": []})
    assert run("grants") == (0, "", "Nothing is granted.\n")


def hostile(node: Any, where: str = "") -> Any:
    """The same document, with something for a terminal in every text that is free."""
    if isinstance(node, dict):
        return {name: hostile(value, name) for name, value in node.items()}
    if isinstance(node, list):
        return [hostile(value, where) for value in node]
    if isinstance(node, str) and where not in ("id", "asked_at", "expires_at", "body_is", "state", "decision"):
        return node + HOSTILE
    return node


@pytest.mark.parametrize("tty", [False, True], ids=["piped", "terminal"])
def test_nothing_of_it_does_anything_to_a_terminal(run: Run, held: Any, whole: dict[str, Any], tty: bool) -> None:
    evil = hostile(whole)
    held.answer("GET", "/api/approvals", {"approvals": [evil]})
    held.answer("GET", APPROVAL, evil)
    held.answer("POST", APPROVAL, evil, (409, {"detail": HOSTILE}), (503, {"detail": HOSTILE}))
    held.answer("GET", "/api/grants", {"grants": []})
    commands = [["list"], ["list", "--json"], ["show", ID], ["show", ID, "--json"]]
    commands += [["approve", ID, "--digest", "x"]] * 3
    commands += [["approve", HOSTILE, "--digest", "x"], ["end-grant", HOSTILE]]
    printed = [run(*command, tty=tty) for command in commands]
    for ended in printed:
        text = (ended.out + ended.err).replace("\x1b[1m", "").replace("\x1b[0m", "")  # our own headings
        assert not set(text) & set("\x1b\x07\x9b\r\u202e\u2066\u200b")
        assert not any(line.startswith("lockgate: Approved") for line in text.splitlines())


def test_lines_of_an_agent_that_a_terminal_would_break_stand_behind_a_bar(
    run: Run, held: Any, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    whole["request"]["body"] = "a" * 58 + "digest       forged" + "漢" * 60
    held.answer("GET", APPROVAL, whole)
    lines = run("show", ID, tty=True).out.splitlines()
    assert "| digest       forged" in "\n".join(lines)
    assert not any(line.lstrip().startswith("digest") and "forged" in line for line in lines)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        pytest.param("issuers:\n  - dev: true\n", "no `listen` under `approvals:`", id="nowhere"),
        pytest.param("issuers: [1]\n", "set LOCKGATE_URL", id="rules with errors"),
    ],
)
def test_where_the_rules_do_not_say_where(
    run: Run, server: Any, small: Path, monkeypatch: Any, rules: str, said: str
) -> None:
    monkeypatch.delenv("LOCKGATE_URL")
    (small / "gateway.yaml").write_text(rules)
    ended = run("list", "--rules", small)
    assert ended.code == 2
    assert said in ended.err


def test_the_rules_say_where(run: Run, held: Any, small: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("LOCKGATE_URL")
    where = held.url.removeprefix("http://")
    (small / "gateway.yaml").write_text(f"issuers:\n  - dev: true\napprovals: {{listen: '{where}', dev: true}}\n")
    assert run("list", "--rules", small).code == 0


@pytest.fixture
def small(tmp_path: Path) -> Path:
    rules = tmp_path / "rules"
    (rules / "roles").mkdir(parents=True)
    (rules / "targets.yaml").write_text("targets:\n  crm: {url: https://api.crm.example}\n")
    (rules / "roles" / "a.yaml").write_text("role: a\nrules:\n  - id: read\n    allow: GET crm /v1/**\n")
    return rules


# The gateway's own API


def test_a_request_is_shown_and_approved(run: Run, gateway: Any) -> None:
    gateway.hold("a1xxxxxx", quorum=2)
    assert "a1xxxx  agent-7  POST crm /refunds  support/big" in run("list").out
    shown = run("show", "a1")
    assert shown.err == ""
    for told in ('|   "amount": 900', "by 2 of finance", "$.card: hash", "GET crm /v1/export", "up to 1h"):
        assert told in shown.out
    first = run("approve", "a1", "--yes", "--grant", "10m", "--reason", "fine")
    assert (first.code, first.out.splitlines()[-1]) == (
        0,
        "Approved a1xxxxxx: POST crm /refunds; it still needs 1 more of finance.",
    )
    again = run("approve", "a1", "--yes")
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert "You have approved it already" in again.err


def test_a_grant_is_listed_and_ended(run: Run, gateway: Any) -> None:
    gateway.hold("a1xxxxxx")
    assert run("approve", "a1", "--yes", "--grant", "10m").out.endswith("Approved a1xxxxxx: POST crm /refunds.\n")
    (grant,) = json.loads(run("grants", "--json").out)
    assert (grant["subject"], grant["rule"], grant["uses"]) == ("agent-7", "support/big", 0)
    assert "agent-7  support/big  crm" in run("grants").out
    assert run("end-grant", "--reason", "enough", "--", grant["id"][:8]).code == 0
    assert run("grants").err == "Nothing is granted.\n"


def test_what_is_denied_is_over(run: Run, gateway: Any) -> None:
    asked = gateway.hold("a1xxxxxx")
    stale = run("deny", "a1", "--digest", "0" * 64)
    assert (stale.code, "look at it again" in stale.err) == (1, True)
    assert run("deny", "a1", "--digest", asked.digest, "--reason", "no").out == "Denied a1xxxxxx: POST crm /refunds.\n"
    assert run("list").err == "Nothing is pending.\n"
    assert run("list", "--state", "denied").out.splitlines()[1].endswith("denied")
    assert "denied: no" in run("show", "a1").out


def test_a_grant_asked_for_ahead(run: Run, gateway: Any) -> None:
    gateway.hold("a1xxxxxx", ahead=1800.0, reason="month's end", action=("", ""))
    shown = run("show", "a1").out
    assert "a grant of 30m at crm" in shown and "| month's end" in shown
    assert run("approve", "a1", "--yes").out.endswith("Approved a1xxxxxx: a grant of 30m at crm.\n")
    assert len(json.loads(run("grants", "--json").out)) == 1


def test_who_may_not_see_it_finds_nothing(run: Run, gateway: Any, monkeypatch: Any) -> None:
    asked = gateway.hold("a1xxxxxx")
    monkeypatch.setenv("LOCKGATE_TOKEN", "mallory")
    assert run("list").err == "Nothing is pending.\n"
    assert run("approve", "a1xxxxxx", "--digest", asked.digest).code == 2
    monkeypatch.setenv("LOCKGATE_TOKEN", "nobody")
    ended = run("list")
    assert (ended.code, "The token is not taken: expired; get a new one" in ended.err) == (2, True)
    assert gateway.office.desk.get("a1xxxxxx").votes == ()
