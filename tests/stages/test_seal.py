from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from mitmproxy import http

from lockgate.errors import Refused
from lockgate.exchange import Answer, Outgoing, exchange
from lockgate.identity.presented import Presented
from lockgate.refusals import TOKEN_INSIDE, Refusal
from lockgate.stages import seal
from lockgate.stages.seal import EXPIRED, NOT_MASKED, Seal

NOW = 1_800_000_000.0
Targeted = Callable[..., http.HTTPFlow]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal.time, "time", lambda: NOW)


@pytest.fixture
def whole(targeted: Targeted) -> http.HTTPFlow:
    """A request that has come as far as Seal."""
    flow = targeted("POST", "https://api.crm.example/v1/x?y=z", b"body", [("Accept", "x")])
    expire(flow, NOW + 1)
    return flow


def expire(flow: http.HTTPFlow, moment: float) -> None:
    found = exchange(flow)
    assert found.principal is not None
    found.principal = replace(found.principal, expires_at=moment)


def test_it_sees_refusals() -> None:
    assert Seal.sees_refusals


def test_what_will_be_sent_is_frozen(whole: http.HTTPFlow) -> None:
    Seal().request(whole)
    outgoing = exchange(whole).outgoing
    assert outgoing == Outgoing.of(whole.request)
    whole.request.path = "/other"
    assert outgoing is not None
    assert outgoing.path == "/v1/x?y=z"


@pytest.mark.parametrize("state", [{"refusal": Refusal(403, "No.")}, {"own": True}])
def test_what_is_not_sent_is_not_frozen(whole: http.HTTPFlow, state: dict[str, object]) -> None:
    for name, value in state.items():
        setattr(exchange(whole), name, value)
    Seal().request(whole)
    assert exchange(whole).outgoing is None


@pytest.mark.parametrize("moment", [NOW, NOW - 1])
def test_a_token_may_have_expired_meanwhile(whole: http.HTTPFlow, moment: float) -> None:
    expire(whole, moment)
    with pytest.raises(Refused) as refused:
        Seal().request(whole)
    assert refused.value.refusal is EXPIRED
    assert EXPIRED.status == 401
    assert exchange(whole).outgoing is None


@pytest.mark.parametrize("missing", ["principal", "presented"])
def test_nobodys_request_is_not_frozen(whole: http.HTTPFlow, missing: str) -> None:
    setattr(exchange(whole), missing, None)
    with pytest.raises(AssertionError):
        Seal().request(whole)
    assert exchange(whole).outgoing is None


@pytest.mark.parametrize("place", ["path", "header", "header-name", "body"])
def test_a_request_that_carries_the_callers_token_is_not_frozen(
    whole: http.HTTPFlow, presented: Presented, place: str
) -> None:
    request = whole.request
    match place:
        case "path":
            request.path = f"/v1/{presented.token}"
        case "header":
            request.headers["x"] = presented.token
        case "header-name":
            request.headers[presented.token] = "x"
        case _:
            request.raw_content = presented.token.encode()
    with pytest.raises(Refused) as refused:
        Seal().request(whole)
    assert refused.value.refusal is TOKEN_INSIDE
    assert exchange(whole).outgoing is None


def test_what_nobody_masked_is_not_passed_on(whole: http.HTTPFlow) -> None:
    whole.response = http.Response.make(200, b"secret")
    with pytest.raises(Refused) as refused:
        Seal().response(whole)
    assert refused.value.refusal is NOT_MASKED
    assert NOT_MASKED.status == 502
    assert exchange(whole).answer is None


@pytest.mark.parametrize("state", [{"masked": True}, {"refusal": Refusal(403, "No.")}, {"own": True}])
@pytest.mark.parametrize("closes", [False, True])
def test_what_may_be_seen_is_frozen(whole: http.HTTPFlow, state: dict[str, object], closes: bool) -> None:
    found = exchange(whole)
    for name, value in state.items():
        setattr(found, name, value)
    found.closes = closes
    assert found.principal is not None
    found.principal = replace(found.principal, expires_at=found.principal.expires_at + 3600)
    whole.response = http.Response.make(200, b"masked", {"x": "y"})
    Seal().response(whole)
    answer = found.answer
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"masked")
    assert dict(answer.headers).get(b"connection") == (b"close" if closes else None)
    whole.response.raw_content = b"other"
    assert Answer.of(whole.response) != answer


@pytest.mark.parametrize(
    ("left", "tunnel", "closes"),
    [
        pytest.param(29.0, ("api.crm.example", 443), True, id="a tunnel whose token is near its end"),
        pytest.param(120.0, ("api.crm.example", 443), False, id="a tunnel whose token lasts"),
        pytest.param(29.0, None, False, id="a request that brought its own"),
    ],
)
def test_a_tunnel_is_closed_before_its_token_ends(
    whole: http.HTTPFlow, left: float, tunnel: tuple[str, int] | None, closes: bool
) -> None:
    found = exchange(whole)
    assert found.principal is not None
    found.principal, found.session.tunnel = replace(found.principal, expires_at=NOW + left), tunnel
    found.masked = True
    whole.response = http.Response.make(200, b"masked")
    Seal().response(whole)
    assert found.answer is not None
    assert ((b"connection", b"close") in found.answer.headers) is closes


def test_a_connect_is_answered_when_it_is_refused(whole: http.HTTPFlow) -> None:
    found = exchange(whole)
    Seal().http_connect(whole)
    assert found.answer is None
    found.refusal = Refusal(407, "No.")
    whole.response = http.Response.make(407, b"no")
    Seal().http_connect(whole)
    assert found.answer == Answer.of(whole.response)


@pytest.mark.parametrize(("streams", "frozen"), [(True, True), (False, False)])
def test_of_a_stream_the_head_is_frozen_first(whole: http.HTTPFlow, streams: bool, frozen: bool) -> None:
    whole.response = http.Response.make(200, b"", {"x": "y"})
    whole.response.raw_content = None
    whole.response.stream = streams
    Seal().responseheaders(whole)
    answer = exchange(whole).answer
    assert (answer is not None) is frozen
    if answer is not None:
        assert (answer.status, answer.body, dict(answer.headers)[b"x"]) == (200, b"", b"y")


@pytest.mark.parametrize("state", [{"refusal": Refusal(403, "No.")}, {"own": True}])
def test_what_is_the_gateways_own_is_no_stream(whole: http.HTTPFlow, state: dict[str, object]) -> None:
    for name, value in state.items():
        setattr(exchange(whole), name, value)
    whole.response = http.Response.make(200)
    whole.response.stream = True
    Seal().responseheaders(whole)
    assert exchange(whole).answer is None
