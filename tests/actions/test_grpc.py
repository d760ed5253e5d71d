from __future__ import annotations

import pytest

from lockgate.actions.grpc import is_call, require_call
from lockgate.errors import Refused, RequestUnreadable

GRPC = ("content-type", "application/grpc")
PATH = "/bank.v1.Ledger/GetEntry"


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/grpc", True),
        ("application/grpc+proto", True),
        ("application/grpc+json", True),
        ("Application/gRPC", True),
        ("application/grpc-web", False),
        ("application/grpc-web+proto", False),
        ("application/grpc; charset=utf-8", False),
        ("application/grpcx", False),
        ("application/json", False),
        ("", False),
        (None, False),
    ],
)
def test_content_types_of_calls(content_type: str | None, expected: bool) -> None:
    assert is_call(content_type) is expected


@pytest.mark.parametrize("path", [PATH, "/Ledger/Get", "/a.b.c.D/_x1"])
def test_a_plain_call_is_one(path: str) -> None:
    require_call("POST", path, "HTTP/2.0", [GRPC, ("grpc-encoding", "identity"), ("te", "trailers")])


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        pytest.param("HTTP/1.1", [GRPC], id="http-1"),
        pytest.param("HTTP/2.0", [], id="no-type"),
        pytest.param("HTTP/2.0", [GRPC, GRPC], id="two-types"),
        pytest.param("HTTP/2.0", [("content-type", "application/json")], id="json"),
        pytest.param("HTTP/2.0", [GRPC, ("grpc-encoding", "gzip")], id="compressed"),
        pytest.param("HTTP/2.0", [GRPC, ("grpc-encoding", "identity"), ("grpc-encoding", "gzip")], id="two-encodings"),
    ],
)
def test_what_is_no_plain_call_is_refused(version: str, fields: list[tuple[str, str]]) -> None:
    with pytest.raises(Refused) as refused:
        require_call("POST", PATH, version, fields)
    assert refused.value.refusal.status == 415


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", PATH, id="get"),
        pytest.param("POST", "/Ledger", id="no-method"),
        pytest.param("POST", "/Ledger/", id="empty-method"),
        pytest.param("POST", "//Get", id="no-service"),
        pytest.param("POST", "/a/b/c", id="three-parts"),
        pytest.param("POST", f"{PATH}?x=1", id="query"),
        pytest.param("POST", "/Ledger/%47et", id="escape"),
        pytest.param("POST", "/Ledger/../Get", id="dots"),
    ],
)
def test_another_shape_is_unreadable(method: str, path: str) -> None:
    with pytest.raises(RequestUnreadable):
        require_call(method, path, "HTTP/2.0", [GRPC])
