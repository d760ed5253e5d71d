"""Whatever breaks in whatever stage: nothing undecided goes to a target, nothing unmasked to the agent (laws 1, 4)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from harness.answers import CUSTOMER
from harness.expect import leaks, refused
from harness.gateway import ROOT, Gateway, MakeGateway, head
from harness.rules import CRM
from harness.upstream import RecordingUpstream
from harness.wire import Incomplete, Reply
from lockgate.chain import stages
from lockgate.runtime import Runtime

EXCEPTIONS = ("Exception", "AddonHalt", "CancelledError", "SystemExit")
BEFORE_SENDING = ("requestheaders", "request")
AFTER_SENDING = ("responseheaders", "response")


def faults(*hooks: str) -> list[str]:
    """STAGE.HOOK.EXCEPTION for every stage that has one of the hooks."""
    return [
        f"{type(stage).__name__}.{hook}.{exception}{when}"
        for stage in stages(Runtime())
        for hook in hooks
        if hasattr(stage, hook)
        for exception in EXCEPTIONS
        for when in ("", ".after")
    ]


@pytest.fixture(scope="module")
def faulty(make_module_gateway: MakeGateway) -> Iterator[Gateway]:
    gateway = make_module_gateway(script=ROOT / "tests" / "e2e" / "faulty_main.py")
    yield gateway.start()
    gateway.stop()
    assert "crashed" not in gateway.output
    assert {path.name: leaks(content) for path, content in gateway.traces().items() if leaks(content)} == {}


@pytest.fixture
def still_serves(faulty: Gateway, token: str) -> Iterator[None]:
    """After each fault the gateway serves the next good request as if nothing had been."""
    yield
    assert faulty.running, faulty.output
    reply = faulty.ask("GET", "/v1/json", token)
    assert reply.status == 200
    assert leaks(reply.body) == []
    assert CUSTOMER["name"].encode() in reply.body


@pytest.mark.usefixtures("still_serves")
@pytest.mark.parametrize("fault", faults("http_connect"))
def test_fault_at_connect(faulty: Gateway, crm: RecordingUpstream, token: str, fault: str) -> None:
    seen = crm.watch()
    wire, reply = faulty.connect(token, CRM, 443, f"X-Fault: {fault}")
    with wire:
        refused(reply, 407, 502, 503)
        wire.send(head("GET", "/v1/json", CRM))
        with contextlib.suppress(Incomplete):
            assert wire.reply().status >= 400
    assert (seen.connections, seen.raw) == (0, b"")


@pytest.mark.usefixtures("still_serves")
@pytest.mark.parametrize("fault", faults(*BEFORE_SENDING))
def test_fault_before_sending(faulty: Gateway, crm: RecordingUpstream, token: str, fault: str) -> None:
    seen = crm.watch()
    refused(ask(faulty, token, fault, "/v1/json"), 503)
    assert (seen.connections, seen.raw) == (0, b"")


@pytest.mark.usefixtures("still_serves")
@pytest.mark.parametrize("fault", faults(*AFTER_SENDING))
@pytest.mark.parametrize("path", ["/v1/json", "/v1/chunked"])
def test_fault_after_sending(faulty: Gateway, crm: RecordingUpstream, token: str, fault: str, path: str) -> None:
    with faulty.tunnel(token) as wire:
        fields = ["Content-Type: application/json", f"X-Fault: {fault}"]
        reply = wire.ask(head("POST", path, CRM, *fields, body=b"{}"))
        refused(reply, 502, 503)
        assert reply.headers["x-should-retry"] == "false"
        assert leaks(wire.received) == []


@pytest.mark.usefixtures("still_serves")
@pytest.mark.parametrize("fault", faults("error"))
def test_fault_in_the_error_hook(faulty: Gateway, token: str, fault: str) -> None:
    with faulty.tunnel(token) as wire:
        wire.send(head("GET", "/v1/reset-after-headers", CRM, f"X-Fault: {fault}"))
        with contextlib.suppress(Incomplete):
            refused(wire.reply(), 502, 503)
        assert leaks(wire.received) == []


@pytest.mark.usefixtures("still_serves")
@pytest.mark.parametrize("fault", faults("request"))
def test_fault_with_head(faulty: Gateway, crm: RecordingUpstream, token: str, fault: str) -> None:
    """A refusal of HEAD has no body, so the connection stays in step."""
    seen = crm.watch()
    with faulty.tunnel(token) as wire:
        assert wire.ask(head("HEAD", "/v1/json", CRM, f"X-Fault: {fault}"), to="HEAD").status == 503
        assert seen.raw == b""
        with contextlib.suppress(Incomplete):  # closed is in step, too
            assert wire.ask(head("GET", "/v1/json", CRM)).status == 200


@pytest.mark.usefixtures("still_serves")
@pytest.mark.parametrize("stage", ["Identify", "Read", "Decide", "Record", "Seal"])
def test_forgotten_stage_before_sending(faulty: Gateway, crm: RecordingUpstream, token: str, stage: str) -> None:
    seen = crm.watch()
    reply = ask(faulty, token, f"{stage}.skip", "/v1/json")
    assert reply.status >= 400
    assert (seen.connections, seen.raw) == (0, b"")


@pytest.mark.usefixtures("still_serves")
def test_forgotten_approval(faulty: Gateway, crm: RecordingUpstream, token: str) -> None:
    """A decision to hold is no decision to allow, whether or not the stage that holds is there."""
    seen = crm.watch()
    fields = ("X-Fault: Approve.skip", "Content-Type: application/json")
    reply = faulty.ask("POST", "/refunds", token, *fields, body=b'{"amount": 900}')
    assert reply.status >= 400
    assert (seen.connections, seen.raw) == (0, b"")


@pytest.mark.usefixtures("still_serves")
def test_forgotten_masking(faulty: Gateway, token: str) -> None:
    with faulty.tunnel(token) as wire:
        refused(wire.ask(head("GET", "/v1/json", CRM, "X-Fault: Mask.skip")), 502, 503)
        assert leaks(wire.received) == []


def ask(gateway: Gateway, token: str, fault: str, path: str) -> Reply:
    return gateway.ask("GET", path, token, f"X-Fault: {fault}")
