"""How much one caller may use at once, and what becomes of strangers who try again and again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from json import loads

import pytest
from mitmproxy.http import HTTPFlow

from harness.expect import eventually, refused
from harness.gateway import Gateway, MakeGateway, head, identity
from harness.h2 import tunnel
from harness.issuer import Issuer
from harness.rules import CRM, PLAIN
from harness.upstream import RecordingUpstream
from harness.wire import Reply
from lockgate.recordings.strangers import ONE_BY_ONE
from lockgate.stages.identify import FAILURES_AT_ONCE

CONNECTIONS, REQUESTS, BUFFERED = 6, 3, 20_000
LIMITS = f"limits: {{connections: {CONNECTIONS}, requests: {REQUESTS}, buffered: {BUFFERED}B}}\n"


@pytest.fixture(scope="module")
def limited(make_module_gateway: MakeGateway, rule_files: dict[str, str]) -> Iterator[Gateway]:
    files = {**rule_files, "gateway.yaml": rule_files["gateway.yaml"] + LIMITS}
    gateway = make_module_gateway(files).start()
    yield gateway
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.output


def too_many(reply: Reply) -> bool:
    detail = str(refused(reply, 429)["detail"])
    return reply.headers["retry-after"] == "1" and ("too many" in detail or "too much" in detail)


def test_connections(limited: Gateway, issuer: Issuer, crm: RecordingUpstream) -> None:
    token = issuer.token("support", sub="many-connections")
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(limited.tunnel(token))
        seen = crm.watch()
        wire, reply = limited.connect(token, CRM)
        with wire:
            assert too_many(reply)
        assert seen.raw == b""
        with limited.tunnel(issuer.token("support", sub="another")) as other:
            assert other.ask(head("GET", "/v1/json", CRM)).status == 200
    eventually(lambda: passes(limited, token), "what was closed is free again")


def passes(gateway: Gateway, token: str) -> bool:
    wire, reply = gateway.connect(token, CRM)
    with wire:
        return bool(reply.status == 200)


def test_requests_under_way(limited: Gateway, issuer: Issuer, crm: RecordingUpstream) -> None:
    token = issuer.token("support", sub="many-requests")
    seen = crm.watch()
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        wires = [stack.enter_context(limited.tunnel(token)) for _ in range(REQUESTS)]
        late = stack.enter_context(limited.tunnel(token))
        under_way = [pool.submit(wire.ask, head("GET", "/v1/slow", CRM)) for wire in wires]
        seen.wait_for(REQUESTS)
        assert too_many(late.ask(head("GET", "/v1/json", CRM)))
        assert len(seen.requests) == REQUESTS
        assert [future.result().status for future in under_way] == [200] * REQUESTS
        assert late.ask(head("GET", "/v1/json", CRM)).status == 200


def test_requests_that_are_given_up_make_room(limited: Gateway, issuer: Issuer, crm: RecordingUpstream) -> None:
    token = issuer.token("support", sub="gives-up")
    seen = crm.watch()
    for _ in range(REQUESTS):
        with limited.tunnel(token) as wire:
            wire.send(head("GET", "/v1/slow", CRM))
            seen.wait_for(1)
    eventually(lambda: limited.ask("GET", "/v1/json", token).status == 200, "there is room again")


def test_streams_that_are_reset_make_room(limited: Gateway, issuer: Issuer, crm: RecordingUpstream) -> None:
    """Whether their request was whole or not, and on a connection that stays."""
    token = issuer.token("support", sub="resets")
    unfinished = [(":method", "POST"), (":scheme", "https"), (":authority", CRM), (":path", "/v1/json")]
    with tunnel(limited, token) as client:
        for _ in range(REQUESTS):
            whole = client.request("GET", "/v1/slow")
            half = client.send([*unfinished, ("content-type", "application/json")], b'{"a": ', end=False)
            for stream in (whole, half):
                client.connection.reset_stream(stream)
            client.flush()

        def all_pass() -> bool:
            together = [client.request("GET", "/v1/json") for _ in range(REQUESTS)]
            return [client.whole(stream).status for stream in together] == [200] * REQUESTS

        eventually(all_pass, "there is room for as many again")


def test_a_body_beyond_what_is_kept_in_all(limited: Gateway, issuer: Issuer, crm: RecordingUpstream) -> None:
    token = issuer.token("support", sub="many-bytes")
    seen = crm.watch()
    body = b'"' + b"x" * BUFFERED + b'"'
    with limited.tunnel(token) as wire:
        refused(wire.ask(head("POST", "/v1/json", CRM, "Content-Type: application/json", body=body)), 413)
        assert seen.raw == b""
    assert limited.ask("POST", "/v1/json", token, "Content-Type: application/json", body=b"{}").status == 200


def test_bodies_together_beyond_what_is_kept_in_all(limited: Gateway, issuer: Issuer, crm: RecordingUpstream) -> None:
    """Each is smaller than that; of one not all has come yet."""
    token = issuer.token("support", sub="many-bodies")
    seen = crm.watch()
    body = b'"' + b"x" * (BUFFERED * 2 // 3) + b'"'
    sent = head("POST", "/v1/json", CRM, "Content-Type: application/json", body=body)

    def refuses() -> bool:
        with limited.tunnel(token) as another:
            before, reply = len(seen.requests), another.ask(sent)
            return reply.status == 429 and too_many(reply) and len(seen.requests) == before

    with limited.tunnel(token) as wire:
        wire.send(sent[:-1])
        eventually(refuses, "there is no room for another")
        assert wire.ask(sent[-1:]).status == 200
    assert limited.ask("POST", "/v1/json", token, "Content-Type: application/json", body=body).status == 200


def test_strangers_are_counted_and_turned_away(
    make_gateway: MakeGateway, issuer: Issuer, token: str, plain: RecordingUpstream
) -> None:
    gateway = make_gateway().start()
    known = gateway.client(token)
    assert known.get(f"http://{PLAIN}/v1/json").status_code == 200
    seen = plain.watch()
    bad = issuer.token("support", exp=1)
    asked = head("GET", f"http://{PLAIN}/v1/json", PLAIN, *identity(bad))
    count = FAILURES_AT_ONCE + 300

    def tries(number: int) -> list[int]:
        statuses = []
        for _ in range(number):
            with gateway.dial() as wire:
                statuses.append(wire.ask(asked).status)
        return statuses

    with ThreadPoolExecutor(4) as pool:
        statuses = [status for part in pool.map(tries, [count // 4] * 4) for status in part]
        # Who was known before is not kept out by others at the same address.
        assert known.get(f"http://{PLAIN}/v1/json").status_code == 200
    assert set(statuses) == {407, 429}
    assert statuses.count(407) >= FAILURES_AT_ONCE
    assert len(seen.requests) == 1
    known.close()
    assert gateway.stop() == 0
    flows = [flow for flow in gateway.flows() if isinstance(flow, HTTPFlow)]
    alone = [flow for flow in flows if flow.response is not None and flow.response.status_code in (407, 429)]
    events = [flow for flow in flows if flow.request.path == "/events/strangers"]
    counted = sum(loads(flow.request.content or b"")["count"] for flow in events)
    assert len(alone) <= 2 * ONE_BY_ONE
    assert len(alone) + counted == len(statuses)


def test_a_disk_that_is_nearly_full_is_kept_for_those_who_are_known(
    make_gateway: MakeGateway, rule_files: dict[str, str], token: str
) -> None:
    files = {**rule_files, "gateway.yaml": rule_files["gateway.yaml"] + "recordings: {reserve: 999999GiB}\n"}
    gateway = make_gateway(files).start()
    wire, reply = gateway.connect(None, CRM)
    with wire:
        assert reply.status == 407
    assert gateway.ask("GET", "/v1/json", token).status == 200
    assert gateway.stop() == 0
    paths = [flow.request.path for flow in gateway.flows() if isinstance(flow, HTTPFlow)]
    assert "/v1/json" in paths
    assert "/events/strangers" in paths
    assert [flow for flow in gateway.flows() if isinstance(flow, HTTPFlow) and flow.request.method == "CONNECT"] == []
