"""What is used counts from the head of a request to its end, and from a connection's identity to its close."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from mitmproxy import http

from lockgate.errors import Refused
from lockgate.exchange import exchange
from lockgate.model import GatewayLimits
from lockgate.policy.generation import Generation
from lockgate.refusals import Refusal
from lockgate.stages.limit import Limit

Make = Callable[..., http.HTTPFlow]
FEW = GatewayLimits(connections=1, requests=1, buffered=10)


@pytest.fixture
def asked(identified: Make, generation: Generation) -> Make:
    """Makes a flow that has been identified, under rules by which little is allowed at once."""
    gateway = replace(generation.gateway, limits=FEW)

    def asked(*, of: http.HTTPFlow | None = None) -> http.HTTPFlow:
        flow = identified()
        if of is not None:
            flow.client_conn = of.client_conn
        exchange(flow).generation = replace(generation, gateway=gateway)
        return flow

    return asked


def begin(stage: Limit, flow: http.HTTPFlow) -> None:
    stage.requestheaders(flow)


def refused(stage: Limit, flow: http.HTTPFlow) -> str:
    with pytest.raises(Refused) as caught:
        begin(stage, flow)
    assert caught.value.refusal.status == 429
    return caught.value.refusal.detail


def test_another_connection_is_one_too_many_until_the_first_is_closed(asked: Make) -> None:
    stage, first, second = Limit(), asked(), asked()
    begin(stage, first)
    stage.error(first)
    assert "connections" in refused(stage, second)
    stage.client_disconnected(first.client_conn)
    begin(stage, second)


@pytest.mark.parametrize("end", ["response", "error", "websocket_end"])
def test_another_request_is_one_too_many_until_the_first_is_over(asked: Make, end: str) -> None:
    stage, first = Limit(), asked()
    second = asked(of=first)
    begin(stage, first)
    assert "requests" in refused(stage, second)
    first.response = http.Response.make(200)
    getattr(stage, end)(first)
    begin(stage, second)


def test_a_websocket_is_under_way_after_its_answer(asked: Make) -> None:
    stage, first = Limit(), asked()
    begin(stage, first)
    first.response = http.Response.make(101)
    stage.response(first)
    assert "requests" in refused(stage, asked(of=first))


def test_a_websocket_that_is_refused_is_over(asked: Make) -> None:
    stage, first = Limit(), asked()
    begin(stage, first)
    first.response = http.Response.make(101)
    exchange(first).refusal = Refusal(502, "No.")
    stage.response(first)
    begin(stage, asked(of=first))


def test_only_so_much_of_a_body_is_kept(asked: Make) -> None:
    flow = asked()
    begin(Limit(), flow)
    may_keep = exchange(flow).may_keep
    assert may_keep is not None
    assert [may_keep(10), may_keep(1)] == [True, False]


def test_strangers_and_what_is_refused_use_nothing(ask: Make, asked: Make) -> None:
    stage, stranger, denied = Limit(), ask(), asked()
    exchange(denied).refusal = Refusal(400, "No.")
    for flow in (stranger, denied):
        begin(stage, flow)
        stage.http_connect(flow)
        stage.client_disconnected(flow.client_conn)
        assert exchange(flow).used_by is None


def test_a_tunnel_counts(asked: Make) -> None:
    stage, first = Limit(), asked()
    stage.http_connect(first)
    with pytest.raises(Refused):
        stage.http_connect(asked())


def test_a_tunnel_that_is_refused_does_not_count(asked: Make) -> None:
    stage, first = Limit(), asked()
    exchange(first).refusal = Refusal(407, "No.")
    stage.http_connect(first)
    stage.http_connect(asked())
