from __future__ import annotations

import pytest

from lockgate.actions.head import document, is_passed_on, require_plain, values
from lockgate.errors import Refused, RequestUnreadable
from lockgate.model import Unreadable

JSON = ("Content-Type", "application/json")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param([("x-a", "b\nc")], "control character", id="line-end"),
        pytest.param([("x-a", "\x00")], "control character", id="nul"),
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
    require_plain([("Connection", "Keep-Alive, close"), ("Transfer-Encoding", "Chunked"), ("x-a", "tab\tand é")])


@pytest.mark.parametrize("name", ["Upgrade", "HTTP2-Settings"])
def test_upgrades_are_refused(name: str) -> None:
    with pytest.raises(Refused) as caught:
        require_plain([(name, "")])
    assert caught.value.refusal.status == 403


@pytest.mark.parametrize(
    ("name", "passed"),
    [
        pytest.param("Authorization", False, id="identity"),
        pytest.param("Proxy-Authorization", False, id="proxy-identity"),
        pytest.param("cookie", False, id="cookie"),
        pytest.param("Keep-Alive", False, id="between-hops"),
        pytest.param("X-Forwarded-For", False, id="forwarding"),
        pytest.param("Via", False, id="via"),
        pytest.param("x-forwardedness", True, id="not-quite-forwarding"),
        pytest.param("via-x", True, id="not-quite-via"),
        pytest.param("Accept", True, id="plain"),
    ],
)
def test_what_is_passed_on(name: str, passed: bool) -> None:
    assert is_passed_on(name) is passed


@pytest.mark.parametrize(
    ("fields", "body", "expected"),
    [
        pytest.param([], b"", {}, id="none"),
        pytest.param([JSON], b'{"a": 1}', {"a": 1}, id="json"),
        pytest.param([("content-type", "application/x+json; charset=utf-8")], b"[]", [], id="suffix"),
        pytest.param([], b"{}", Unreadable("the body is not declared as JSON"), id="undeclared"),
        pytest.param([JSON, JSON], b"{}", Unreadable("the body is not declared as JSON"), id="declared-twice"),
        pytest.param(
            [("content-type", "text/plain")], b"{}", Unreadable("the body is not declared as JSON"), id="text"
        ),
    ],
)
def test_document(fields: list[tuple[str, str]], body: bytes, expected: object) -> None:
    assert document(fields, body) == expected


def test_a_broken_document_says_why() -> None:
    found = document([JSON], b'{"a": 1, "a": 2}')
    assert isinstance(found, Unreadable)
    assert "same key twice" in found.reason


def test_values_by_name_in_any_case() -> None:
    assert values([("X-A", "1"), ("x-b", "2"), ("x-a", "3")], "x-a") == ["1", "3"]
