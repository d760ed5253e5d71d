from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from mitmproxy import ctx, http

from lockgate.errors import Refused
from lockgate.exchange import exchange
from lockgate.model import Principal
from lockgate.policy.generation import Generation
from lockgate.stages.local import READ_ONLY, UNKNOWN, Local

PEM = b"-----BEGIN CERTIFICATE-----\n"
Identified = Callable[..., http.HTTPFlow]


@pytest.fixture(autouse=True)
def certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    tls = SimpleNamespace(certstore=SimpleNamespace(default_ca=SimpleNamespace(to_pem=lambda: PEM)))
    monkeypatch.setattr(ctx, "master", SimpleNamespace(addons={"tlsconfig": tls}), raising=False)


@pytest.mark.parametrize(
    ("url", "reverse"),
    [
        pytest.param("https://lockgate.invalid/whoami", False, id="tunnel"),
        pytest.param("http://lockgate.invalid/whoami", False, id="plain"),
        pytest.param("http://lockgate.invalid/whoami?x=/ca.pem", False, id="query"),
        pytest.param("https://api.crm.example/.well-known/lockgate/whoami", True, id="reverse"),
        pytest.param("https://api.crm.example/.well-known/lockgate/whoami?x", True, id="reverse-query"),
    ],
)
def test_who_is_calling(
    identified: Identified, principal: Principal, generation: Generation, url: str, reverse: bool
) -> None:
    flow = identified("GET", url, reverse=reverse)
    found = exchange(flow)
    found.principal = replace(principal, roles=("nobody", "support"))
    Local().requestheaders(flow)
    assert found.own
    assert flow.response is not None
    assert flow.response.status_code == 200
    assert dict(flow.response.headers.items()) | {"content-length": ""} == {
        "content-type": "application/json",
        "cache-control": "no-store",
        "content-length": "",
    }
    assert json.loads(flow.response.raw_content or b"") == {
        "issuer": "https://login.example",
        "subject": "agent-7",
        "roles": ["support"],
        "expires_at": principal.expires_at,
        "generation": generation.id,
    }


def test_the_certificate_to_trust(identified: Identified) -> None:
    flow = identified("GET", "http://lockgate.invalid/ca.pem")
    Local().requestheaders(flow)
    assert exchange(flow).own
    assert flow.response is not None
    assert flow.response.raw_content == PEM
    assert flow.response.headers["content-type"] == "application/x-pem-file"
    assert flow.response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("url", "reverse"),
    [
        pytest.param("https://api.crm.example/whoami", False, id="another-host"),
        pytest.param("https://api.crm.example/.well-known/lockgate/whoami", False, id="reverse-path-at-the-proxy"),
        pytest.param("https://sub.lockgate.invalid/whoami", False, id="below-the-host"),
        pytest.param("https://lockgate.invalid/whoami", True, id="the-host-in-reverse"),
        pytest.param("https://api.crm.example/whoami", True, id="no-prefix"),
        pytest.param("https://api.crm.example/.well-known/lockgate", True, id="prefix-alone"),
        pytest.param("https://api.crm.example/.well-known/lockgate-x/whoami", True, id="another-prefix"),
        pytest.param("https://api.crm.example/v1?/.well-known/lockgate/whoami", True, id="prefix-in-the-query"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_for_a_target_goes_on(identified: Identified, url: str, reverse: bool, method: str) -> None:
    flow = identified(method, url, reverse=reverse)
    Local().requestheaders(flow)
    assert flow.response is None
    assert not exchange(flow).own


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize("path", ["/whoami", "/ca.pem", "/other"])
def test_its_pages_are_read_only(identified: Identified, method: str, path: str) -> None:
    flow = identified(method, f"http://lockgate.invalid{path}")
    with pytest.raises(Refused) as refused:
        Local().requestheaders(flow)
    assert refused.value.refusal is READ_ONLY
    assert READ_ONLY.status == 405
    assert flow.response is None
    assert not exchange(flow).own


@pytest.mark.parametrize("path", ["/", "/whoami/", "/WHOAMI", "/whoami2", "/approvals"])
def test_it_has_no_other_page(identified: Identified, path: str) -> None:
    flow = identified("GET", f"http://lockgate.invalid{path}")
    with pytest.raises(Refused) as refused:
        Local().requestheaders(flow)
    assert refused.value.refusal is UNKNOWN
    assert UNKNOWN.status == 404
    assert flow.response is None
    assert not exchange(flow).own


@pytest.mark.parametrize("missing", ["principal", "generation"])
def test_nobody_is_told_who_they_are_unidentified(identified: Identified, missing: str) -> None:
    flow = identified("GET", "http://lockgate.invalid/whoami")
    setattr(exchange(flow), missing, None)
    with pytest.raises(AssertionError):
        Local().requestheaders(flow)
    assert flow.response is None
    assert not exchange(flow).own
