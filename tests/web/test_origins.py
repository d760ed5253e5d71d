from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.model import Approvals
from lockgate.web.origins import is_forwarded, is_same_origin, origins

HERE = ("127.0.0.1", 8765)
FILES = (Path("a.pem"), Path("a.key"))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param(Approvals(), {}, id="nowhere"),
        pytest.param(Approvals(listen=HERE), {"127.0.0.1:8765": "http://127.0.0.1:8765"}, id="address"),
        pytest.param(Approvals(listen=("::1", 8765)), {"[::1]:8765": "http://[::1]:8765"}, id="ipv6"),
        pytest.param(
            Approvals(listen=("192.0.2.1", 443), tls=FILES),
            {"192.0.2.1": "https://192.0.2.1", "192.0.2.1:443": "https://192.0.2.1"},
            id="default-port",
        ),
        pytest.param(
            Approvals(listen=HERE, url="https://Approvals.example"),
            {
                "127.0.0.1:8765": "http://127.0.0.1:8765",
                "approvals.example": "https://approvals.example",
                "approvals.example:443": "https://approvals.example",
            },
            id="behind-a-proxy",
        ),
        pytest.param(
            Approvals(listen=HERE, url="http://localhost:9000"),
            {"127.0.0.1:8765": "http://127.0.0.1:8765", "localhost:9000": "http://localhost:9000"},
            id="other-port",
        ),
    ],
)
def test_names(config: Approvals, expected: dict[str, str]) -> None:
    assert origins(config) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({"Origin": "https://a.example"}, True, id="ours"),
        pytest.param({"Origin": "https://a.example", "Sec-Fetch-Site": "same-origin"}, True, id="says-the-browser"),
        pytest.param({}, False, id="none"),
        pytest.param({"Origin": "null"}, False, id="opaque"),
        pytest.param({"Origin": "http://a.example"}, False, id="other-scheme"),
        pytest.param({"Origin": "https://a.example:8443"}, False, id="other-port"),
        pytest.param({"Origin": "https://a.example.evil.example"}, False, id="longer"),
        pytest.param({"Origin": "https://a.example", "Sec-Fetch-Site": "same-site"}, False, id="a-neighbour"),
        pytest.param({"Origin": "https://a.example", "Sec-Fetch-Site": "cross-site"}, False, id="cross-site"),
    ],
)
def test_same_origin(headers: dict[str, str], expected: bool) -> None:
    assert is_same_origin(headers, "https://a.example") is expected


def test_forwarded() -> None:
    assert not is_forwarded({"Host": "a.example"})
    assert all(is_forwarded({name: "x"}) for name in ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"))
