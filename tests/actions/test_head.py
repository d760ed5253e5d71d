from __future__ import annotations

import pytest

from lockgate.actions.head import is_passed_on, replayed, require_expected, require_plain, values
from lockgate.errors import Refused, RequestUnreadable


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param([("x-a", "b\nc")], "control character", id="line-end"),
        pytest.param([("x-a", "\x00")], "control character", id="nul"),
        pytest.param([("x-a", "b" * 16382)], "longer than 16384 characters", id="long"),
        pytest.param([("x" * 16384, "b")], "longer than 16384 characters", id="long-name"),
        pytest.param([("Connection", "x-secret")], "names other headers", id="connection"),
        pytest.param([("connection", "close"), ("connection", "x-b")], "names other headers", id="second-connection"),
        pytest.param([("Transfer-Encoding", "gzip, chunked")], "not chunked", id="coding"),
        pytest.param([("transfer-encoding", "chunked")] * 2, "not chunked", id="twice"),
    ],
)
def test_what_has_no_single_meaning(fields: list[tuple[str, str]], why: str) -> None:
    with pytest.raises(RequestUnreadable) as caught:
        require_plain(fields)
    assert why in caught.value.reason


def test_plain() -> None:
    require_plain([("x-a", "b" * 16381)])
    require_plain([("Connection", "Keep-Alive, close"), ("Transfer-Encoding", "Chunked"), ("x-a", "tab\tand é")])


@pytest.mark.parametrize("name", ["Upgrade", "HTTP2-Settings"])
def test_upgrades_are_refused(name: str) -> None:
    with pytest.raises(Refused) as caught:
        require_plain([(name, "")])
    assert caught.value.refusal.status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_body_that_is_not_expected(method: str) -> None:
    require_expected(method, b"")
    with pytest.raises(RequestUnreadable, match=f"it is a {method} with a body"):
        require_expected(method, b"{}")


@pytest.mark.parametrize("method", ["POST", "DELETE", "QUERY", "PROPFIND"])
def test_a_body_that_is_expected(method: str) -> None:
    require_expected(method, b"{}")


@pytest.mark.parametrize(
    ("name", "passed"),
    [
        pytest.param("Authorization", False, id="identity"),
        pytest.param("Proxy-Authorization", False, id="proxy-identity"),
        pytest.param("cookie", False, id="cookie"),
        pytest.param("Keep-Alive", False, id="between-hops"),
        pytest.param("X-Forwarded-For", False, id="forwarding"),
        pytest.param("Via", False, id="via"),
        pytest.param("CF-Connecting-IP", False, id="address-of-a-network"),
        pytest.param("Remote-User", False, id="user-of-a-proxy"),
        pytest.param("client-ip", False, id="address-of-a-client"),
        pytest.param("Proxy", False, id="proxy-of-cgi"),
        pytest.param("Lockgate-Replay", False, id="replay"),
        pytest.param("x-forwardedness", True, id="not-quite-forwarding"),
        pytest.param("via-x", True, id="not-quite-via"),
        pytest.param("Accept", True, id="plain"),
    ],
)
def test_what_is_passed_on(name: str, passed: bool) -> None:
    assert is_passed_on(name) is passed


def test_values_by_name_in_any_case() -> None:
    assert values([("X-A", "1"), ("x-b", "2"), ("x-a", "3")], "x-a") == ["1", "3"]


@pytest.mark.parametrize(
    ("said", "known"),
    [
        pytest.param(["7f3a-1.b_c"], "7f3a-1.b_c", id="an id"),
        pytest.param([], None, id="none"),
        pytest.param(["a", "a"], None, id="several"),
        pytest.param([""], None, id="empty"),
        pytest.param(["a b"], None, id="words"),
        pytest.param(["a\u202e"], None, id="not ASCII"),
        pytest.param(["a\n"], None, id="line"),
        pytest.param(["a" * 65], None, id="long"),
    ],
)
def test_what_says_that_it_is_a_replay(said: list[str], known: str | None) -> None:
    assert replayed([("Lockgate-Replay", value) for value in said]) == known
