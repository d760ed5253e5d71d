"""A target that misbehaves: the agent gets a clean 502 or a clean answer, never a stray or unmasked byte of it."""

from __future__ import annotations

import contextlib
import json

import pytest

from harness.answers import CUSTOMER
from harness.expect import leaks, refused
from harness.gateway import Gateway, MakeGateway, free_port, head
from harness.issuer import Issuer
from harness.rules import CRM, rules
from harness.upstream import RecordingUpstream
from harness.wire import Incomplete, Wire

FAULTS = (
    "103-then-200",
    "upgrade-101",
    "malformed-header",
    "malformed-status",
    "reset-before",
    "close-before",
    "reset-in-headers",
    "reset-after-headers",
    "short-body",
    "short-chunks",
    "two-lengths",
    "length-and-chunked",
    "big",
    "bomb",
)


def next_answer(gateway: Gateway, wire: Wire, token: str) -> None:
    """The next request gets its own answer, masked; on the same connection, if that is still open."""
    request = head("GET", "/v1/json", CRM, "X-Mark: next")
    wire.send(request)
    reply = wire.reply_or_end()
    if reply is None:
        with gateway.tunnel(token) as fresh:
            reply = fresh.ask(request)
    assert reply.status == 200
    assert json.loads(reply.body)["name"] == CUSTOMER["name"]
    assert leaks(reply.body) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_the_target(gateway: Gateway, token: str, fault: str) -> None:
    with gateway.tunnel(token) as wire:
        reply = wire.ask(head("GET", f"/v1/{fault}", CRM))
        refused(reply, 502)
        assert reply.headers["x-should-retry"] == "false"
        next_answer(gateway, wire, token)
        assert leaks(wire.received) == []


# To HEAD the head is the whole answer. What breaks only later would meet the next request.
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "reset-after-headers"])
def test_fault_of_the_target_to_head(gateway: Gateway, token: str, fault: str) -> None:
    with gateway.tunnel(token) as wire:
        with contextlib.suppress(Incomplete):
            assert wire.ask(head("HEAD", f"/v1/{fault}", CRM), to="HEAD").status in (200, 502)
        next_answer(gateway, wire, token)
        assert leaks(wire.received) == []


@pytest.mark.parametrize("kind", ["until-close", "extra-bytes", "chunked"])
def test_oddity_of_the_target(gateway: Gateway, token: str, kind: str) -> None:
    """Allowed, or at least harmless: answered, masked, and nothing left over for the next request."""
    with gateway.tunnel(token) as wire:
        reply = wire.ask(head("GET", f"/v1/{kind}", CRM))
        assert reply.status in (200, 502)
        next_answer(gateway, wire, token)
        assert leaks(wire.received) == []
        assert b"planted" not in wire.received


def test_trailers_of_the_target(gateway: Gateway, token: str) -> None:
    """mitmproxy cannot read them."""
    with gateway.tunnel(token) as wire:
        refused(wire.ask(head("GET", "/v1/trailers", CRM)), 502)
        assert leaks(wire.received) == []


@pytest.mark.parametrize("fault", [*FAULTS, "extra-bytes"])
def test_fault_is_recorded(gateway: Gateway, token: str, fault: str) -> None:
    path = f"/v1/{fault}?recorded"
    gateway.ask("GET", path, token)
    record = gateway.records(1, path=path)[-1]
    assert record["sent"] is True
    assert record["target"] == "crm"


def test_target_that_is_not_there(make_gateway: MakeGateway, issuer: Issuer, token: str) -> None:
    gateway = make_gateway(rules(free_port(), free_port(), issuer.jwks)).start()
    reply = gateway.ask("GET", "/v1/json", token)
    refused(reply, 502)
    assert "127.0.0.1" not in reply.body.decode()
    record = gateway.records(1, path="/v1/json")[0]
    assert record["sent"] is False


def test_target_with_a_certificate_of_a_stranger(make_gateway: MakeGateway, crm: RecordingUpstream, token: str) -> None:
    gateway = make_gateway(trusted_ca=None).start()
    seen = crm.watch()
    refused(gateway.ask("GET", "/v1/json", token), 502)
    assert seen.plain == b""


def test_target_with_a_certificate_for_another_name(
    make_gateway: MakeGateway, crm: RecordingUpstream, issuer: Issuer, rule_files: dict[str, str], token: str
) -> None:
    other = "api.other.example"
    changed = {
        name: text.replace(CRM, other) if name in ("targets.yaml", "credentials.yaml") else text
        for name, text in rule_files.items()
    }
    gateway = make_gateway(changed).start()
    seen = crm.watch()
    refused(gateway.ask("GET", "/v1/json", token, host=other), 502)
    assert seen.plain == b""


def test_missing_secret_is_503(make_gateway: MakeGateway, crm: RecordingUpstream, token: str) -> None:
    gateway = make_gateway(environment={"CRM_TOKEN": None}).start()
    seen = crm.watch()
    refused(gateway.ask("GET", "/v1/json", token), 503)
    assert (seen.connections, seen.raw) == (0, b"")
