from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from mitmproxy import ctx, http

from lockgate.errors import AssertionUnverified, KeysUnavailable, Refused, StoreUnavailable, TokenRejected
from lockgate.exchange import exchange
from lockgate.identity.assertions import Issued
from lockgate.identity.presented import Presented
from lockgate.model import Principal
from lockgate.policy.generation import Generation
from lockgate.runtime import InForce, Runtime
from lockgate.stages.local import POST_ONLY, READ_ONLY, UNKNOWN, Local

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
async def test_who_is_calling(
    runtime: Runtime, identified: Identified, principal: Principal, generation: Generation, url: str, reverse: bool
) -> None:
    flow = identified("GET", url, reverse=reverse)
    found = exchange(flow)
    found.principal = replace(principal, roles=("nobody", "support"))
    await Local(runtime).requestheaders(flow)
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


async def test_the_certificate_to_trust(runtime: Runtime, identified: Identified) -> None:
    flow = identified("GET", "http://lockgate.invalid/ca.pem")
    await Local(runtime).requestheaders(flow)
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
async def test_what_is_for_a_target_goes_on(
    runtime: Runtime, identified: Identified, url: str, reverse: bool, method: str
) -> None:
    flow = identified(method, url, reverse=reverse)
    await Local(runtime).requestheaders(flow)
    assert flow.response is None
    assert not exchange(flow).own


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize("path", ["/whoami", "/ca.pem", "/other"])
async def test_its_pages_are_read_only(runtime: Runtime, identified: Identified, method: str, path: str) -> None:
    flow = identified(method, f"http://lockgate.invalid{path}")
    with pytest.raises(Refused) as refused:
        await Local(runtime).requestheaders(flow)
    assert refused.value.refusal is READ_ONLY
    assert READ_ONLY.status == 405
    assert flow.response is None
    assert not exchange(flow).own


@pytest.mark.parametrize("path", ["/", "/whoami/", "/WHOAMI", "/whoami2", "/approval"])
async def test_it_has_no_other_page(runtime: Runtime, identified: Identified, path: str) -> None:
    flow = identified("GET", f"http://lockgate.invalid{path}")
    with pytest.raises(Refused) as refused:
        await Local(runtime).requestheaders(flow)
    assert refused.value.refusal is UNKNOWN
    assert UNKNOWN.status == 404
    assert flow.response is None
    assert not exchange(flow).own


@pytest.mark.parametrize("missing", ["principal", "generation"])
async def test_nobody_is_told_who_they_are_unidentified(runtime: Runtime, identified: Identified, missing: str) -> None:
    flow = identified("GET", "http://lockgate.invalid/whoami")
    setattr(exchange(flow), missing, None)
    with pytest.raises(AssertionError):
        await Local(runtime).requestheaders(flow)
    assert flow.response is None
    assert not exchange(flow).own


# The exchange of an assertion


class Issues:
    """A verifier that gives out one token, or fails; `asked` is what it was asked for."""

    def __init__(self, answer: Issued | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def exchange(self, token: str, now: float) -> Issued:
        self.asked.append(token)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def issuing(runtime: Runtime, answer: Issued | Exception) -> Issues:
    verifier = Issues(answer)
    runtime.current = InForce(runtime.current.generation, verifier, verifier)
    return verifier


@pytest.mark.parametrize(
    ("url", "reverse"),
    [
        pytest.param("https://lockgate.invalid/saml", False, id="tunnel"),
        pytest.param("https://api.crm.example/.well-known/lockgate/saml", True, id="reverse"),
    ],
)
async def test_an_assertion_is_exchanged(
    runtime: Runtime, identified: Identified, presented: Presented, url: str, reverse: bool
) -> None:
    verifier = issuing(runtime, Issued("a.b.c", 1_800_000_900))
    flow = identified("POST", url, reverse=reverse)
    await Local(runtime).requestheaders(flow)
    found = exchange(flow)
    assert found.own and flow.response is not None
    assert verifier.asked == [presented.token]
    assert json.loads(found.handed or b"") == {"token": "a.b.c", "expires_at": 1_800_000_900}
    assert json.loads(flow.response.raw_content or b"") == {"token": "[redacted]", "expires_at": 1_800_000_900}
    assert flow.response.headers["cache-control"] == "no-store"
    assert "a.b.c" not in repr(found)


@pytest.mark.parametrize(
    ("fault", "status", "detail"),
    [
        pytest.param(TokenRejected("was used before"), 400, "was used before", id="used"),
        pytest.param(AssertionUnverified(), 503, "changed meanwhile", id="other-rules"),
        pytest.param(KeysUnavailable("/etc/idp.xml: gone"), 503, "cannot be exchanged", id="no-metadata"),
        pytest.param(StoreUnavailable("/state: full"), 503, "cannot be exchanged", id="no-store"),
    ],
)
async def test_an_exchange_that_fails(
    runtime: Runtime, identified: Identified, fault: Exception, status: int, detail: str
) -> None:
    issuing(runtime, fault)
    flow = identified("POST", "https://lockgate.invalid/saml")
    with pytest.raises(Refused) as refused:
        await Local(runtime).requestheaders(flow)
    assert refused.value.refusal.status == status
    assert detail in refused.value.refusal.detail
    assert "/" not in refused.value.refusal.detail
    assert flow.response is None and exchange(flow).handed is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
async def test_an_exchange_is_a_post(runtime: Runtime, identified: Identified, method: str) -> None:
    verifier = issuing(runtime, Issued("a.b.c", 1))
    with pytest.raises(Refused) as refused:
        await Local(runtime).requestheaders(identified(method, "https://lockgate.invalid/saml"))
    assert refused.value.refusal is POST_ONLY
    assert verifier.asked == []
