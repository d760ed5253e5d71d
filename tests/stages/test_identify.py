from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.connection import ConnectionState

from lockgate.errors import AssertionUnverified, KeysUnavailable, Refused, TokenRejected, UnknownKey
from lockgate.exchange import Exchange, exchange, session
from lockgate.model import Principal
from lockgate.policy.generation import Generation
from lockgate.refusals import TOKEN_INSIDE, Refusal
from lockgate.runtime import InForce, Runtime
from lockgate.stages import identify
from lockgate.stages.identify import Identify

NOW = 1_800_000_000.0
TOKEN = "header.claims.signature-of-forty-characters-at-least"
OTHER = "another.claims.signature-of-forty-characters-at-least"
Ask = Callable[..., http.HTTPFlow]
Tunnelled = Callable[..., Awaitable[http.HTTPFlow]]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify.time, "time", lambda: NOW)


@pytest.fixture
def stage(runtime: Runtime) -> Identify:
    return Identify(runtime)


@pytest.fixture
def asks(ask: Ask) -> Ask:
    """Makes a request with a token, at the proxy itself."""

    def asks(token: str | None = TOKEN, **options: Any) -> http.HTTPFlow:
        name = "Authorization" if options.get("reverse") else "Proxy-Authorization"
        fields = [*options.pop("fields", ()), *([(name, f"Bearer {token}")] if token else [])]
        return ask("GET", "http://plain.example/v1/x", fields=fields, **options)

    return asks


@pytest.fixture
def tunnelled(ask: Ask, stage: Identify) -> Tunnelled:
    """Makes a request without a token in a tunnel, whose CONNECT had one."""

    async def tunnelled(*fields: tuple[str, str]) -> http.HTTPFlow:
        connect = ask("CONNECT", "https://api.crm.example/", fields=[("Proxy-Authorization", f"Bearer {TOKEN}")])
        await stage.http_connect(connect)
        session(connect.client_conn).tunnel = ("api.crm.example", 443)
        return on(connect, ask("GET", fields=fields))

    return tunnelled


def on(earlier: http.HTTPFlow, flow: http.HTTPFlow) -> http.HTTPFlow:
    """The flow, on the connection of an earlier one."""
    flow.client_conn = earlier.client_conn
    return flow


async def refusal_of(hook: Callable[[http.HTTPFlow], Awaitable[None]], flow: http.HTTPFlow) -> Refusal:
    with pytest.raises(Refused) as refused:
        await hook(flow)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return refused.value.refusal


def identity(found: Exchange) -> tuple[Any, ...]:
    shown = found.presented and found.presented.token
    held = found.session.presented and found.session.presented.token
    return found.principal, shown, found.session.principal, held


async def test_a_token_identifies(stage: Identify, asks: Ask, tokens: Any, principal: Principal) -> None:
    flow = asks()
    await stage.requestheaders(flow)
    assert identity(exchange(flow)) == (principal, TOKEN, principal, TOKEN)
    assert tokens.asked == [(TOKEN, NOW, True)]


async def test_basic_has_the_token_as_password(stage: Identify, ask: Ask, tokens: Any) -> None:
    value = "Basic " + base64.b64encode(f"agent:{TOKEN}".encode()).decode()
    await stage.requestheaders(ask("GET", "http://plain.example/v1/x", fields=[("Proxy-Authorization", value)]))
    assert [token for token, *_ in tokens.asked] == [TOKEN]


async def test_the_rules_in_force_are_taken(stage: Identify, asks: Ask, generation: Generation) -> None:
    flow = asks(None)
    await refusal_of(stage.requestheaders, flow)
    assert exchange(flow).generation is generation


@pytest.mark.parametrize(
    ("peer", "loopback"),
    [
        pytest.param(("127.0.0.1", 1), True, id="this-machine"),
        pytest.param(("127.9.9.9", 1), True, id="any-of-127"),
        pytest.param(("::1", 1, 0, 0), True, id="ipv6"),
        pytest.param(("10.0.0.7", 1), False, id="private"),
        pytest.param(("203.0.113.7", 1), False, id="public"),
    ],
)
async def test_the_verifier_learns_who_is_on_this_machine(
    stage: Identify, asks: Ask, tokens: Any, peer: tuple[Any, ...], loopback: bool
) -> None:
    flow = asks()
    flow.client_conn.peername = peer
    await stage.requestheaders(flow)
    assert tokens.asked == [(TOKEN, NOW, loopback)]


WAYS = ["plain", "connect", "tunnel", "reverse"]
STATUS = {"plain": 407, "connect": 407, "tunnel": 401, "reverse": 401}


async def refused_by(
    way: str, stage: Identify, asks: Ask, tunnelled: Tunnelled, tokens: Any, answer: Exception
) -> Refusal:
    """How a request is refused whose token is answered so."""
    flow = await tunnelled() if way == "tunnel" else asks(reverse=way == "reverse")
    tokens.answer = answer
    hook = stage.http_connect if way == "connect" else stage.requestheaders
    refusal = await refusal_of(hook, flow)
    assert exchange(flow).principal is None
    return refusal


@pytest.mark.parametrize("way", WAYS)
async def test_a_token_that_is_rejected(
    stage: Identify, asks: Ask, tunnelled: Tunnelled, tokens: Any, way: str
) -> None:
    refusal = await refused_by(way, stage, asks, tunnelled, tokens, TokenRejected("expired"))
    assert refusal.status == STATUS[way]
    assert refusal.detail == "The caller is not identified: expired."
    assert refusal.close is (way == "tunnel")


@pytest.mark.parametrize("way", WAYS)
async def test_keys_that_cannot_be_read(
    stage: Identify, asks: Ask, tunnelled: Tunnelled, tokens: Any, way: str
) -> None:
    refusal = await refused_by(way, stage, asks, tunnelled, tokens, KeysUnavailable("/secret/path: gone"))
    assert refusal.status == 503
    assert "/secret/path" not in refusal.detail + refusal.next_steps


@pytest.mark.parametrize("way", ["plain", "connect", "reverse"])
async def test_no_token(stage: Identify, asks: Ask, tokens: Any, way: str) -> None:
    hook = stage.http_connect if way == "connect" else stage.requestheaders
    refusal = await refusal_of(hook, asks(None, reverse=way == "reverse"))
    assert refusal.status == STATUS[way]
    assert refusal.detail == "The caller is not identified: no token was sent."
    assert not tokens.asked


async def test_two_tokens(stage: Identify, asks: Ask, tokens: Any) -> None:
    flow = asks(fields=[("Proxy-Authorization", f"Bearer {OTHER}")])
    assert (await refusal_of(stage.requestheaders, flow)).status == 407
    assert not tokens.asked


async def test_at_a_reverse_listener_only_its_own_header_counts(stage: Identify, asks: Ask, tokens: Any) -> None:
    flow = asks(None, reverse=True, fields=[("Proxy-Authorization", f"Bearer {TOKEN}")])
    assert (await refusal_of(stage.requestheaders, flow)).status == 401
    assert not tokens.asked


@pytest.mark.parametrize("hook", ["http_connect", "requestheaders"])
async def test_a_token_elsewhere_in_the_request_is_refused_and_taken_out(
    stage: Identify, asks: Ask, tokens: Any, hook: str
) -> None:
    flow = asks(fields=[("X-Token", TOKEN)])
    assert await refusal_of(getattr(stage, hook), flow) is TOKEN_INSIDE
    assert TOKEN not in repr(flow.get_state())
    assert not tokens.asked


# In a tunnel


async def test_a_tunnel_has_its_connects_identity(
    stage: Identify, tunnelled: Tunnelled, tokens: Any, principal: Principal
) -> None:
    flow = await tunnelled()
    await stage.requestheaders(flow)
    assert identity(exchange(flow)) == (principal, TOKEN, principal, TOKEN)


async def test_a_tunnels_token_is_verified_on_every_request(
    stage: Identify, tunnelled: Tunnelled, ask: Ask, tokens: Any
) -> None:
    first = await tunnelled()
    await stage.requestheaders(first)
    await stage.requestheaders(on(first, ask()))
    assert tokens.asked == [(TOKEN, NOW, True)] * 3
    tokens.answer = TokenRejected("expired")
    assert (await refusal_of(stage.requestheaders, on(first, ask()))).status == 401


@pytest.mark.parametrize("token", [TOKEN, OTHER])
async def test_a_second_identity_in_a_tunnel_is_refused(stage: Identify, tunnelled: Tunnelled, token: str) -> None:
    flow = await tunnelled(("Proxy-Authorization", f"Bearer {token}"))
    refusal = await refusal_of(stage.requestheaders, flow)
    assert (refusal.status, refusal.detail) == (400, "A second identity was sent inside the tunnel.")
    assert refusal.close
    assert exchange(flow).principal is None


async def test_a_tunnel_in_a_tunnel_is_refused(stage: Identify, tunnelled: Tunnelled, ask: Ask) -> None:
    inner = on(await tunnelled(), ask("CONNECT", "https://other.example/"))
    refusal = await refusal_of(stage.http_connect, inner)
    assert (refusal.status, refusal.detail) == (400, "This connection is a tunnel already.")
    assert refusal.close
    assert exchange(inner).principal is None


# Several requests on one connection

OTHERS: dict[str, dict[str, Any]] = {
    "issuer": {"issuer": "https://other.example"},
    "subject": {"subject": "agent-8"},
    "roles": {"roles": ("admin",)},
}


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in OTHERS.items()])
async def test_a_connection_belongs_to_one_principal(
    stage: Identify, asks: Ask, tokens: Any, principal: Principal, change: dict[str, Any]
) -> None:
    first = asks()
    await stage.requestheaders(first)
    tokens.answer = replace(principal, **change)
    flow = on(first, asks(OTHER))
    refusal = await refusal_of(stage.requestheaders, flow)
    assert (refusal.status, refusal.detail) == (403, "This connection belongs to another principal.")
    assert refusal.close
    assert identity(exchange(flow)) == (None, None, principal, TOKEN)


async def test_a_connection_identifies_nobody_for_good(stage: Identify, asks: Ask, tokens: Any) -> None:
    first = asks()
    await stage.requestheaders(first)
    flow = on(first, asks(None))
    assert (await refusal_of(stage.requestheaders, flow)).status == 407
    assert exchange(flow).principal is None
    assert len(tokens.asked) == 1


async def test_a_fresh_token_of_the_same_principal_is_taken(
    stage: Identify, asks: Ask, tokens: Any, principal: Principal
) -> None:
    first = asks()
    await stage.requestheaders(first)
    fresh = tokens.answer = replace(principal, token_id="t-2", expires_at=NOW + 5)
    flow = on(first, asks(OTHER))
    await stage.requestheaders(flow)
    assert identity(exchange(flow)) == (fresh, OTHER, fresh, OTHER)


@pytest.mark.parametrize("reverse", [False, True])
async def test_on_the_same_connection_the_same_value_is_read_once(stage: Identify, asks: Ask, reverse: bool) -> None:
    first = asks(reverse=reverse)
    await stage.requestheaders(first)
    same, other = on(first, asks(reverse=reverse)), on(first, asks(OTHER, reverse=reverse))
    await stage.requestheaders(same)
    await stage.requestheaders(other)
    assert exchange(same).presented is exchange(first).presented
    assert identity(exchange(other))[1] == OTHER


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("values", [(), (TOKEN,), (f"Bearer {TOKEN}",) * 2])
async def test_what_was_presented_before_stands_for_no_other_value(
    stage: Identify, ask: Ask, asks: Ask, reverse: bool, values: tuple[str, ...]
) -> None:
    first = asks(reverse=reverse)
    await stage.requestheaders(first)
    name = "Authorization" if reverse else "Proxy-Authorization"
    flow = ask("GET", "http://plain.example/v1/x", fields=[(name, value) for value in values], reverse=reverse)
    refusal = await refusal_of(stage.requestheaders, on(first, flow))
    assert refusal.status in (401, 407)


async def test_the_rules_may_give_the_same_token_other_roles(
    stage: Identify, asks: Ask, tokens: Any, principal: Principal
) -> None:
    first = asks()
    await stage.requestheaders(first)
    tokens.answer = changed = replace(principal, roles=("other",))
    flow = on(first, asks())
    await stage.requestheaders(flow)
    assert exchange(flow).principal is changed


# When the rules change while a body comes


async def test_under_the_same_rules_nothing_is_done_again(stage: Identify, asks: Ask, tokens: Any) -> None:
    flow = asks()
    await stage.requestheaders(flow)
    await stage.request(flow)
    assert len(tokens.asked) == 1


async def test_a_whole_request_is_identified_by_the_rules_then_in_force(
    stage: Identify, asks: Ask, runtime: Runtime, tokens: Any, generation: Generation
) -> None:
    flow = asks()
    await stage.requestheaders(flow)
    later = replace(generation, id="later")
    runtime.current = InForce(later, tokens, tokens)
    await stage.request(flow)
    assert exchange(flow).generation is later
    assert len(tokens.asked) == 2
    runtime.current = InForce(replace(generation, id="last"), tokens, tokens)
    tokens.answer = TokenRejected("unknown issuer")
    assert (await refusal_of(stage.request, flow)).status == 407


# Strangers at the same address


@pytest.fixture
def crowded(stage: Identify, asks: Ask, tokens: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Awaitable[None]]:
    """Uses up what may fail at the address of every flow."""
    monkeypatch.setattr(identify.time, "monotonic", lambda: 5.0)

    async def crowd() -> None:
        answer, tokens.answer = tokens.answer, TokenRejected("bad signature")
        for number in range(identify.FAILURES_AT_ONCE):
            assert (await refusal_of(stage.requestheaders, asks(f"{OTHER}{number}"))).status == 407
        tokens.answer, tokens.asked = answer, []

    return crowd


async def test_who_fails_too_often_is_not_looked_at(stage: Identify, asks: Ask, tokens: Any, crowded: Any) -> None:
    await crowded()
    for token in (TOKEN, None):
        refusal = await refusal_of(stage.requestheaders, asks(token))
        assert (refusal.status, refusal.retry_after, refusal.close) == (429, 1, True)
    assert tokens.asked == []


async def test_a_token_that_has_held_is_looked_at(
    stage: Identify, asks: Ask, tokens: Any, crowded: Any, runtime: Runtime, generation: Generation
) -> None:
    """On any connection, and under other rules too."""
    await stage.requestheaders(asks())
    await crowded()
    await stage.requestheaders(asks())
    runtime.current = InForce(replace(generation, id="later"), tokens, tokens)
    await stage.requestheaders(asks())
    assert len(tokens.asked) == 2


async def test_a_token_that_holds_no_longer_is_a_strangers(
    stage: Identify, asks: Ask, tokens: Any, crowded: Any
) -> None:
    await stage.requestheaders(asks())
    await crowded()
    tokens.answer = TokenRejected("expired")
    assert [(await refusal_of(stage.requestheaders, asks())).status for _ in range(3)] == [407, 429, 429]
    assert len(tokens.asked) == 1


# When keys have to be fetched first


async def test_a_known_token_waits_for_nothing(stage: Identify, asks: Ask, tokens: Any, principal: Principal) -> None:
    flow = asks()
    with pytest.raises(StopIteration):  # at its first step: it never gave way to another task
        stage.requestheaders(flow).send(None)
    assert exchange(flow).principal is principal


NO_KEYS = [pytest.param(UnknownKey(), id="unknown-key"), pytest.param(KeysUnavailable("down"), id="none-held")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", NO_KEYS)
async def test_keys_that_a_fetch_brings(
    stage: Identify, asks: Ask, tunnelled: Tunnelled, tokens: Any, principal: Principal, way: str, first: Exception
) -> None:
    flow = await tunnelled() if way == "tunnel" else asks(reverse=way == "reverse")
    tokens.answer, tokens.asked = first, []
    tokens.renew = lambda: setattr(tokens, "answer", principal)
    await (stage.http_connect if way == "connect" else stage.requestheaders)(flow)
    assert identity(exchange(flow)) == (principal, TOKEN, principal, TOKEN)
    assert len(tokens.asked) == 2


@pytest.mark.parametrize(
    ("answer", "status"),
    [pytest.param(UnknownKey(), 407, id="unknown-key"), pytest.param(KeysUnavailable("down"), 503, id="none-held")],
)
@pytest.mark.parametrize("fetched", [True, False])
async def test_keys_that_a_fetch_does_not_bring(
    stage: Identify, asks: Ask, tokens: Any, answer: Exception, status: int, fetched: bool
) -> None:
    tokens.answer, tokens.renew = answer, (lambda: None) if fetched else None
    flow = asks()
    assert (await refusal_of(stage.requestheaders, flow)).status == status
    assert identity(exchange(flow)) == (None, None, None, None)
    assert len(tokens.asked) == 1 + fetched


async def test_a_token_rejected_for_another_reason_fetches_nothing(stage: Identify, asks: Ask, tokens: Any) -> None:
    tokens.answer, tokens.renew = TokenRejected("bad signature"), lambda: pytest.fail("fetched")
    assert (await refusal_of(stage.requestheaders, asks())).status == 407


@pytest.mark.parametrize("first", NO_KEYS)
async def test_rules_that_change_during_the_wait_count(
    stage: Identify, asks: Ask, runtime: Runtime, tokens: Any, generation: Generation, principal: Principal, first: Any
) -> None:
    """And what they in turn have to wait for."""
    flow = asks()
    later = InForce(replace(generation, id="later"), replace(tokens, answer=first, asked=[]), tokens)
    last = InForce(replace(generation, id="last"), replace(tokens, answer=principal, asked=[]), tokens)
    tokens.answer, tokens.renew = first, lambda: setattr(runtime, "current", later)
    later.verifier.renew = lambda: setattr(runtime, "current", last)
    await stage.requestheaders(flow)
    assert exchange(flow).generation is last.generation
    assert exchange(flow).principal is principal
    assert [len(each.asked) for each in (tokens, later.verifier, last.verifier)] == [1, 1, 1]


async def test_rules_that_change_during_the_wait_may_refuse(
    stage: Identify, asks: Ask, runtime: Runtime, tokens: Any, generation: Generation
) -> None:
    flow = asks()
    later = InForce(replace(generation, id="later"), replace(tokens, answer=TokenRejected("unknown issuer")), tokens)
    tokens.answer, tokens.renew = UnknownKey(), lambda: setattr(runtime, "current", later)
    assert "unknown issuer" in (await refusal_of(stage.requestheaders, flow)).detail
    assert exchange(flow).generation is later.generation


async def test_a_client_that_hangs_up_during_the_wait(stage: Identify, asks: Ask, tokens: Any, principal: Any) -> None:
    flow = asks()

    def hang_up() -> None:
        tokens.answer = principal
        flow.client_conn.state = ConnectionState.CLOSED

    tokens.answer, tokens.renew = KeysUnavailable("down"), hang_up
    assert await refusal_of(stage.requestheaders, flow) is identify.GONE
    assert identity(exchange(flow)) == (None, None, None, None)
    assert len(tokens.asked) == 1


# Assertions, which take their time


@pytest.fixture
def vouched(tokens: Any, principal: Principal) -> Callable[[Exception | None], list[bool]]:
    """Makes the verifier ask for an assertion to be verified first, which fails or not; gives what use it was told."""

    def vouched(fault: Exception | None = None) -> list[bool]:
        told = []
        tokens.answer = AssertionUnverified()

        def verify(token: str, now: float, peer_is_loopback: bool, exchanging: bool) -> Principal:
            told.append(exchanging)
            if isinstance(tokens.answer, Exception):
                raise tokens.answer
            return tokens.answer

        async def verify_assertion(token: str, now: float) -> None:
            assert (token, now) == (TOKEN, NOW)
            if fault:
                raise fault
            tokens.answer = principal

        tokens.verify, tokens.verify_assertion = verify, verify_assertion
        return told

    return vouched


async def test_an_assertion_is_verified_first(stage: Identify, asks: Ask, vouched: Any, principal: Principal) -> None:
    flow = asks()
    told = vouched()
    await stage.requestheaders(flow)
    assert exchange(flow).principal is principal
    assert told == [False, False]


async def test_an_assertion_that_does_not_hold(stage: Identify, asks: Ask, vouched: Any) -> None:
    vouched(TokenRejected("bad signature"))
    assert "bad signature" in (await refusal_of(stage.requestheaders, asks())).detail


async def test_an_assertion_whose_caller_hangs_up(stage: Identify, asks: Ask, vouched: Any) -> None:
    vouched()
    flow = asks()
    flow.client_conn.state = ConnectionState.CLOSED
    assert await refusal_of(stage.requestheaders, flow) is identify.GONE


@pytest.mark.parametrize(
    ("method", "url", "exchanging"),
    [
        pytest.param("POST", "http://lockgate.invalid/saml", True, id="the-page"),
        pytest.param("POST", "http://lockgate.invalid/saml?x", True, id="query"),
        pytest.param("POST", "http://lockgate.invalid/saml/", False, id="below"),
        pytest.param("GET", "http://lockgate.invalid/whoami", False, id="another-page"),
        pytest.param("POST", "http://plain.example/saml", False, id="a-target"),
        pytest.param("CONNECT", "https://lockgate.invalid/", True, id="tunnel"),
        pytest.param("CONNECT", "https://plain.example/saml", False, id="tunnel-to-a-target"),
        pytest.param("CONNECT", "https://lockgate.invalid.example/", False, id="tunnel-to-a-like-name"),
    ],
)
async def test_the_verifier_learns_what_an_assertion_is_for(
    stage: Identify, ask: Ask, vouched: Any, method: str, url: str, exchanging: bool
) -> None:
    flow = ask(method, url, fields=[("Proxy-Authorization", f"Bearer {TOKEN}")])
    told = vouched()
    await (stage.http_connect(flow) if method == "CONNECT" else stage.requestheaders(flow))
    assert set(told) == {exchanging}
