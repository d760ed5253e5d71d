from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from mitmproxy import http
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import tflow

from lockgate.exchange import Answer, Outgoing, exchange, own_page, session
from lockgate.identity.presented import read_presented

TOKEN = "header.claims.signature-of-forty-characters-at-least"


def flow_with(**headers: str) -> http.HTTPFlow:
    flow = tflow.tflow()
    for name, value in headers.items():
        flow.request.headers[name.replace("_", "-")] = value
    return flow


def test_identity_is_taken_off_the_flow_at_first_sight() -> None:
    flow = flow_with(proxy_authorization="Bearer a", authorization="Bearer b", cookie="c=d", accept="x")
    found = exchange(flow)
    assert found.identity_values == ("Bearer a",)
    assert not {"proxy-authorization", "authorization", "cookie"} & {name.lower() for name in flow.request.headers}
    assert flow.request.headers["accept"] == "x"


def test_identity_is_in_authorization_in_reverse_mode() -> None:
    flow = flow_with(proxy_authorization="Bearer a", authorization="Bearer b")
    flow.client_conn.proxy_mode = ProxyMode.parse("reverse:https://api.example")
    assert exchange(flow).identity_values == ("Bearer b",)


def test_what_says_that_it_is_a_replay_is_taken_off_the_flow() -> None:
    flow = flow_with(lockgate_replay="7f3a", accept="x")
    assert exchange(flow).replayed == "7f3a"
    assert "lockgate-replay" not in flow.request.headers
    odd = flow_with(lockgate_replay="7 f")
    assert exchange(odd).replayed is None
    assert "lockgate-replay" not in odd.request.headers
    assert exchange(flow_with()).replayed is None


def test_every_value_is_kept_so_that_two_can_be_refused() -> None:
    flow = flow_with()
    flow.request.headers.set_all("proxy-authorization", ["Bearer a", "Bearer b"])
    assert exchange(flow).identity_values == ("Bearer a", "Bearer b")


def test_one_exchange_a_flow_and_one_session_a_connection() -> None:
    flow, other = tflow.tflow(), tflow.tflow()
    other.client_conn = flow.client_conn
    assert exchange(flow) is exchange(flow)
    assert exchange(flow) is not exchange(other)
    assert exchange(flow).session is exchange(other).session is session(flow.client_conn)


def test_secrets_are_not_printed() -> None:
    flow = flow_with(proxy_authorization=f"Bearer {TOKEN}")
    assert TOKEN not in repr(exchange(flow))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda request: setattr(request, "path", f"/x?t={TOKEN}"), id="path"),
        pytest.param(lambda request: request.headers.update({"x-token": TOKEN}), id="header"),
        pytest.param(lambda request: setattr(request, "raw_content", f'{{"t":"{TOKEN}"}}'.encode()), id="body"),
        pytest.param(
            lambda request: request.headers.update({"x": base64.b64encode(f"agent:{TOKEN}".encode()).decode()}),
            id="basic",
        ),
    ],
)
def test_the_token_is_found_wherever_it_stands(change) -> None:
    presented = read_presented([f"Bearer {TOKEN}"])
    assert presented is not None
    request = tflow.tflow().request
    assert not Outgoing.of(request).contains(presented)
    change(request)
    assert Outgoing.of(request).contains(presented)


def test_an_answer_shares_nothing_with_the_flow() -> None:
    flow = tflow.tflow(resp=True)
    assert flow.response is not None
    answer = Answer.of(flow.response)
    fresh = answer.response()
    flow.response.headers["x-added"] = "later"
    assert "x-added" not in fresh.headers
    assert Answer.of(fresh) == answer != Answer.of(flow.response)


@pytest.mark.parametrize(
    ("url", "mode", "page"),
    [
        pytest.param("https://lockgate.invalid/saml?x", "regular", "/saml", id="own-host"),
        pytest.param("https://api.example/saml", "regular", None, id="target"),
        pytest.param("https://lockgate.invalid/saml", "reverse:https://api.example", None, id="own-host-in-reverse"),
        pytest.param("https://x/.well-known/lockgate/saml", "reverse:https://api.example", "/saml", id="reverse"),
    ],
)
def test_the_gateways_own_pages(url: str, mode: str, page: str | None) -> None:
    flow = tflow.tflow(req=http.Request.make("POST", url))
    flow.client_conn.proxy_mode = ProxyMode.parse(mode)
    assert own_page(flow) == page


def test_an_answer_with_another_body() -> None:
    answer = Answer(200, b"OK", ((b"Content-Length", b"3"), (b"x", b"y")), b"old")
    assert answer.handing(b"longer") == Answer(200, b"OK", ((b"x", b"y"), (b"content-length", b"6")), b"longer")


HELD = Outgoing(
    "GET", "https", "a.example", 443, "/", ((b"a", b"1"), (b"range", b"x"), (b"b", b"2"), (b"a", b"3")), b""
)


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        pytest.param(HELD.headers, True, id="the-same"),
        pytest.param(((b"a", b"1"), (b"b", b"2"), (b"a", b"3")), True, id="less-one"),
        pytest.param(((b"accept-encoding", b"identity"), *HELD.headers), True, id="in-another-encoding"),
        pytest.param(((b"b", b"2"), (b"a", b"1"), (b"a", b"3")), False, id="in-another-order"),
        pytest.param(((b"a", b"3"), (b"b", b"2"), (b"a", b"1")), False, id="values-swapped"),
        pytest.param(((b"a", b"1"), (b"b", b"2"), (b"b", b"2"), (b"a", b"3")), False, id="one-twice"),
        pytest.param((*HELD.headers, (b"c", b"4")), False, id="one-more"),
    ],
)
def test_what_is_sent_is_what_was_held(fields: tuple[tuple[bytes, bytes], ...], same: bool) -> None:
    assert replace(HELD, headers=fields).is_what_was_held(HELD) is same
