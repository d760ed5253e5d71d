"""What is revoked is refused with the next request: in tunnels that are open, and before the next part of a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.expect import eventually, refused
from harness.gateway import Gateway, MakeGateway, head, identity
from harness.issuer import SUBJECT, Issuer
from harness.rules import CRM, PLAIN, rules
from harness.told import Told
from harness.upstream import RecordingUpstream
from harness.wire import Incomplete
from lockgate.cli.main import main

Revoke = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def own(make_module_gateway: MakeGateway) -> Gateway:
    return make_module_gateway().start()


@pytest.fixture
def revoke(own: Gateway, capsys: pytest.CaptureFixture[str]) -> Iterator[Revoke]:
    """Runs the command; what it revoked is lifted afterwards."""

    def run(*arguments: str) -> list[dict[str, Any]]:
        assert main(["revoke", "--state", str(own.state), *arguments, "--json"]) == 0
        return list(json.loads(capsys.readouterr().out))

    yield run
    for entry in run("--list"):
        run("--lift", entry["id"])


@pytest.mark.parametrize(
    "named",
    [
        pytest.param(["--subject", SUBJECT], id="subject"),
        pytest.param(["--jti", "token-1"], id="token"),
        pytest.param(["--role", "support", "--for", "1h"], id="role"),
    ],
)
def test_a_caller_in_an_open_tunnel_and_a_new_one(
    own: Gateway, revoke: Revoke, issuer: Issuer, crm: RecordingUpstream, named: list[str]
) -> None:
    token = issuer.token("support", jti="token-1")
    with own.tunnel(token) as wire:
        assert wire.ask(head("GET", "/v1/json", CRM)).status == 200
        seen = crm.watch()
        (entry,) = revoke(*named)
        problem = refused(wire.ask(head("GET", "/v1/json", CRM)), 401)
        assert "revoked" in problem["detail"]
        assert wire.closed()
    opened, reply = own.connect(token)
    with opened:
        refused(reply, 407)
    assert seen.plain == b""
    revoke("--lift", entry["id"])
    assert own.ask("GET", "/v1/json", token).status == 200


def test_a_target_for_everybody(own: Gateway, revoke: Revoke, issuer: Issuer, crm: RecordingUpstream) -> None:
    seen = crm.watch()
    revoke("--target", "crm")
    problem = refused(own.ask("GET", "/v1/json", issuer.token("support")), 403)
    assert problem["detail"] == "This access has been revoked."
    assert seen.plain == b""
    with own.client(issuer.token("support")) as client:
        assert client.get(f"http://{PLAIN}/v1/json").status_code == 200


def test_another_caller_goes_on(own: Gateway, revoke: Revoke, issuer: Issuer) -> None:
    revoke("--subject", "somebody-else")
    revoke("--jti", "another-token")
    revoke("--role", "support", "--issuer", "https://other.example")
    assert own.ask("GET", "/v1/json", issuer.token("support", jti="token-1")).status == 200


def test_it_is_recorded(own: Gateway, revoke: Revoke, issuer: Issuer) -> None:
    revoke("--subject", "somebody-else", "--reason", "ticket 4711")
    own.ask("GET", "/v1/json", issuer.token("support"))

    def recorded() -> bool:
        return any(b"ticket 4711" in path.read_bytes() for path in own.dumps())

    eventually(recorded, "the revocation is in the recording")


def test_nobody_gets_through_while_it_is_not_known_what_is_revoked(
    own: Gateway, revoke: Revoke, issuer: Issuer, crm: RecordingUpstream
) -> None:
    revoke("--subject", "somebody-else")
    path: Path = own.state / "revocations.json"
    content = path.read_bytes()
    seen = crm.watch()
    path.write_bytes(content[:-5])
    with own.client(issuer.token("support")) as client:
        assert client.get(f"http://{PLAIN}/v1/json").status_code == 503
    assert seen.plain == b""
    path.write_bytes(content)
    assert own.ask("GET", "/v1/json", issuer.token("support")).status == 200


def test_a_request_that_waits_for_its_credential_is_not_sent(
    make_gateway: MakeGateway, issuer: Issuer, crm: RecordingUpstream, plain: RecordingUpstream, tmp_path: Path
) -> None:
    asked, answer = tmp_path / "asked", tmp_path / "answer"
    command = tmp_path / "secret"
    command.write_text(
        f"#!/bin/sh\ntouch {asked}\nwhile [ ! -e {answer} ]; do sleep 0.05; done\necho of-the-target-1\n"
    )
    command.chmod(0o700)
    files = rules(crm.port, plain.port, issuer.jwks)
    files["credentials.yaml"] += f'  slow: {{bearer: "exec:{command}", hosts: [{PLAIN}]}}\n'
    files["targets.yaml"] += "    credential: slow\n"
    gateway = make_gateway(files).start()
    seen = plain.watch()
    with gateway.dial() as wire:
        wire.send(head("GET", f"http://{PLAIN}/v1/json", PLAIN, *identity(issuer.token("support"))))
        eventually(asked.exists, "the credential is being fetched")
        assert main(["revoke", "--state", str(gateway.state), "--subject", SUBJECT]) == 0
        answer.touch()
        problem = refused(wire.reply(), 403)
    assert problem["detail"] == "This access has been revoked."
    assert (seen.connections, seen.plain) == (0, b"")


@pytest.fixture
def told() -> Iterator[tuple[Told, RecordingUpstream]]:
    told = Told()
    upstream = RecordingUpstream(told)
    yield told, upstream
    upstream.close()


def test_a_stream_that_is_under_way_is_cut(
    make_gateway: MakeGateway, issuer: Issuer, crm: RecordingUpstream, told: tuple[Told, RecordingUpstream]
) -> None:
    target, upstream = told
    gateway = make_gateway(rules(crm.port, upstream.port, issuer.jwks)).start()
    with gateway.dial() as wire:
        target.head("text/event-stream")
        wire.send(head("GET", f"http://{PLAIN}/open/stream", PLAIN, *identity(issuer.token("support"))))
        target.chunk(b"data: one\n\n")
        wire.until(b"data: one\n\n")
        assert main(["revoke", "--state", str(gateway.state), "--subject", SUBJECT]) == 0
        target.chunk(b"data: two\n\n")
        target.see_left()
        with pytest.raises(Incomplete):
            wire.reply()
        assert b"two" not in wire.received
        assert target.left.wait(10)
