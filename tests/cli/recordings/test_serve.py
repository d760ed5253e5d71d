from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result

from lockgate.cli.recordings.serve import host_of, origin_form, plain_fields
from lockgate.recordings.playback import Recorded
from lockgate.recordings.recorder import Recorder

Invoke = Callable[..., Result]


def record(directory: Path, *states: dict[str, Any]) -> None:
    recorder = Recorder(directory)
    recorder.start()
    for state in states:
        recorder.finish(state["id"], state, "done")
    recorder.close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, make_state: Callable[..., dict[str, Any]]) -> Iterator[Any]:
    """A client of one server, which all of these tests share."""
    home = tmp_path_factory.mktemp("serve")
    nasty = make_state("req-3", "allow", 200, "support", "crm")
    nasty["response"]["headers"] = [[b"x-good", b"1"], [b"x-bad", b"1\r\nSet-Cookie: a=b"], [b"x-b\r\nad", b"1"]]
    record(
        home / "recordings",
        make_state("req-1", "allow", 200, "support", "crm"),
        make_state("req-2", "deny", 403, "support", "crm"),
        nasty,
        make_state("req-4", "allow", 204, "support", "crm"),
    )
    command = [sys.executable, "-m", "lockgate", "recordings", "serve", str(home / "recordings"), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=home)
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert (said["requests"], said["targets"]) == (4, ["crm"])
        with httpx.Client(base_url=said["url"], trust_env=False) as found:
            yield found
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout is not None
        process.stdout.close()


def ask(client: httpx.Client, path: str, **arguments: Any) -> httpx.Response:
    return client.request(arguments.pop("method", "GET"), path, **{"content": b"content", **arguments})


def test_recorded_answers(client: httpx.Client) -> None:
    answer = ask(client, "/v1/req-1")
    assert (answer.status_code, answer.content, answer.headers["header-response"]) == (200, b"message", "svalue")
    assert ask(client, "/v1/req-2").status_code == 403, "what was refused is refused"
    assert ask(client, "/v1/req-4").status_code == 204
    assert ask(client, "/v1/req-1", headers={"Host": "address"}).status_code == 200, "as the target itself"


def test_what_is_not_known(client: httpx.Client) -> None:
    answer = ask(client, "/v1/req-1", content=b"other")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == "It was not recorded: GET /v1/req-1 was recorded with another body."


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/recordings/.lock",
        "//etc/passwd",
        "/v1/req-1/..",
        "file:///etc/passwd",
        "*",
        "/\x7f",
    ],
)
def test_there_is_nothing_else_to_be_had(client: httpx.Client, path: str) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port)) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
    assert b"root:" not in answer


def test_recorded_bytes_put_no_field_into_the_head(client: httpx.Client) -> None:
    answer = ask(client, "/v1/req-3")
    assert answer.status_code == 200
    assert answer.headers["x-good"] == "1"
    assert not {"set-cookie", "x-bad", "ad"} & set(answer.headers)


def test_a_page_in_a_browser_gets_no_further_by_a_name_of_its_own(client: httpx.Client) -> None:
    assert ask(client, "/v1/req-1", headers={"Host": "evil.example"}).status_code == 421
    assert "access-control-allow-origin" not in ask(client, "/v1/req-1").headers


def test_an_answer_without_a_body_leaves_the_connection_usable(client: httpx.Client) -> None:
    answers = [ask(client, "/v1/req-1", method="HEAD"), ask(client, "/v1/req-4"), ask(client, "/v1/req-1")]
    assert [(answer.status_code, len(answer.content)) for answer in answers] == [(404, 0), (204, 0), (200, 7)]


def test_helpers() -> None:
    assert [host_of(each) for each in ("A.example:80", "[::1]:80", "", "a")] == ["a.example", "::1", "", "a"]
    assert [origin_form(each) for each in ("/a", "http://h/a?b", "HTTP://h", "*")] == ["/a", "/a?b", "/", "*"]
    assert plain_fields(Recorded("r", 200, ((b"a", b"b"), (b"a b", b"c"), (b"d", b"\0")), b"")) == [("a", "b")]


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:x", ":80", "127.0.0.1:99999"])
def test_addresses_that_are_none(directory: Path, invoke: Invoke, listen: str) -> None:
    assert invoke("serve", "--listen", listen).exit_code == 2


def test_nothing_to_answer(directory: Path, invoke: Invoke) -> None:
    result = invoke("serve", "--target", "none")
    assert result.exit_code == 1
    assert "there is no recorded request to answer" in result.output
