"""SAML assertions as identity: exchanged once for a token, taken directly only where the rules say so."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.expect import refused
from harness.gateway import Gateway, MakeGateway, free_port, head
from harness.identity_provider import AUDIENCE, ENTITY, SUBJECT, IdentityProvider, encoded, response
from harness.rules import CRM, PLAIN
from harness.upstream import RecordingUpstream, Watch
from harness.wire import Reply

OWN = "lockgate.invalid"
PASSWORD = "look-only"
DIRECT = "https://direct.example/metadata"

ENTRY = """\
  - issuer: {}
    audience: {}
    roles: $.attributes.groups[*]
    alias: {{Agents: support}}
    leeway: 1s
    saml: {{metadata: {}, direct: {}}}
"""


@pytest.fixture(scope="module")
def provider() -> IdentityProvider:
    return IdentityProvider()


@pytest.fixture(scope="module")
def direct() -> IdentityProvider:
    return IdentityProvider(DIRECT)


@pytest.fixture(scope="module")
def files(rule_files: dict[str, str], provider: IdentityProvider, direct: IdentityProvider) -> dict[str, str]:
    entries = ENTRY.format(ENTITY, AUDIENCE, "idp.xml", "false") + ENTRY.format(DIRECT, AUDIENCE, "direct.xml", "true")
    return {
        **rule_files,
        "gateway.yaml": f"issuers:\n{entries}",
        "idp.xml": provider.metadata,
        "direct.xml": direct.metadata,
    }


@pytest.fixture(scope="module")
def issued() -> list[str]:
    """Every token that the gateway has given out."""
    return []


@pytest.fixture(scope="module")
def gateway(
    make_module_gateway: MakeGateway,
    files: dict[str, str],
    provider: IdentityProvider,
    direct: IdentityProvider,
    issued: list[str],
) -> Any:
    port = free_port()
    options = ["--no-web-open-browser", "--web-port", str(port), "--set", f"web_password={PASSWORD}"]
    gateway = make_module_gateway(files, program="mitmweb", options=options).start()
    yield gateway
    seen = shown(port)
    assert gateway.stop() == 0
    assert not [word for word in ("crashed", "Traceback") if word in gateway.output]
    assert issued and provider.issued and direct.issued
    secrets = [secret for token in issued for secret in (token, token.rpartition(".")[2])]
    for assertion in (*provider.issued, *direct.issued):
        xml = base64.b64decode(assertion)
        secrets += [assertion, assertion[64:128], xml.partition(b"SignatureValue>")[2][:40].decode()]
    for path, content in {**gateway.traces(), Path("mitmweb"): seen}.items():
        found = [secret for secret in secrets if secret.encode() in content]
        assert not found, f"{path} has {found}"


def shown(port: int) -> bytes:
    """All that mitmweb shows of every flow."""
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base, headers={"authorization": f"Bearer {PASSWORD}"}, trust_env=False) as web:
        flows = web.get("/flows")
        assert any(flow["request"]["path"] == "/saml" and flow["response"] for flow in flows.json())
        pages = [
            web.get(f"/flows/{flow['id']}/{part}/content.data").content
            for flow in flows.json()
            for part in ("request", "response")
        ]
        assert any(b"[redacted]" in page for page in pages)
        return flows.content + b"".join(pages)


def exchanged(gateway: Gateway, assertion: str, method: str = "POST", page: str = "/saml") -> Reply:
    return gateway.ask(method, page, assertion, host=OWN)


def token_of(reply: Reply, issued: list[str]) -> str:
    assert reply.status == 200, reply
    answer = json.loads(reply.body)
    assert answer.keys() == {"token", "expires_at"}
    issued.append(answer["token"])
    return issued[-1]


def untouched(seen: Watch) -> bool:
    return (seen.connections, seen.raw) == (0, b"")


def test_an_assertion_is_exchanged_for_a_token(
    gateway: Gateway, provider: IdentityProvider, crm: RecordingUpstream, issued: list[str]
) -> None:
    token = token_of(exchanged(gateway, provider.token("Agents")), issued)
    assert gateway.ask("GET", "/v1/json?saml", token).status == 200
    record = gateway.records(1, path="/v1/json?saml")[0]
    assert (record["principal"]["issuer"], record["principal"]["subject"]) == (ENTITY, SUBJECT)
    assert record["principal"]["roles"] == ["support"]
    exchange = gateway.records(1, path="/saml")[0]
    assert exchange["principal"] == record["principal"]
    assert b"[redacted]" in exchange["flow"].response.content


def test_it_is_exchanged_once(
    gateway: Gateway, provider: IdentityProvider, crm: RecordingUpstream, issued: list[str]
) -> None:
    assertion = provider.token("Agents")
    token_of(exchanged(gateway, assertion), issued)
    seen = crm.watch()
    again = refused(exchanged(gateway, assertion), 400)
    assert "was used before" in again["detail"]
    # In whatever wrapping it comes.
    wrapped = encoded(response(base64.b64decode(assertion)))
    assert "was used before" in refused(exchanged(gateway, wrapped), 400)["detail"]
    assert untouched(seen)


def test_once_also_after_a_restart(
    make_gateway: MakeGateway, files: dict[str, str], provider: IdentityProvider, issued: list[str]
) -> None:
    gateway = make_gateway(files).start()
    assertion = provider.token("Agents")
    token = token_of(exchanged(gateway, assertion), issued)
    gateway.kill9()
    gateway.start()
    assert "was used before" in refused(exchanged(gateway, assertion), 400)["detail"]
    assert gateway.ask("GET", "/v1/json", token).status == 200  # its key is kept too
    # Without the store nothing is exchanged.
    (gateway.state / "used-assertions").chmod(0o755)
    refused(exchanged(gateway, provider.token("Agents")), 503)
    (gateway.state / "used-assertions").chmod(0o700)
    # A provider that no longer has the certificate vouches for nothing: not for the tokens it was exchanged for either.
    metadata = gateway.rules / "idp.xml"
    draft = metadata.with_name(".draft")
    draft.write_text(IdentityProvider().metadata)
    draft.replace(metadata)
    wire, reply = gateway.connect(token)
    with wire:
        assert "unknown key" in refused(reply, 407)["detail"]


@pytest.mark.parametrize("host", [CRM, PLAIN, "lockgate.invalid.example"])
def test_it_is_no_password_for_anything_else(
    gateway: Gateway, provider: IdentityProvider, crm: RecordingUpstream, plain: RecordingUpstream, host: str
) -> None:
    seen = crm.watch(), plain.watch()
    wire, reply = gateway.connect(provider.token("Agents"), host)
    with wire:
        assert "exchanged for a token first" in refused(reply, 407)["detail"]
    assert all(map(untouched, seen))


@pytest.mark.parametrize("page", ["/whoami", "/ca.pem", "/saml/", "/other"])
def test_it_opens_one_page_only(gateway: Gateway, provider: IdentityProvider, page: str) -> None:
    problem = refused(exchanged(gateway, provider.token("Agents"), "GET", page), 401)
    assert "exchanged for a token first" in problem["detail"]


def test_an_exchange_is_no_get(gateway: Gateway, provider: IdentityProvider) -> None:
    refused(exchanged(gateway, provider.token("Agents"), "GET"), 405)


def test_a_tunnel_to_the_gateway_leads_nowhere_else(
    gateway: Gateway, provider: IdentityProvider, crm: RecordingUpstream
) -> None:
    seen = crm.watch()
    with gateway.tunnel(provider.token("Agents"), OWN) as wire:
        refused(wire.ask(head("GET", "/v1/json", CRM)), 400, 401)
    assert untouched(seen)


def test_a_token_is_not_exchanged_for_another(gateway: Gateway, provider: IdentityProvider, issued: list[str]) -> None:
    token = token_of(exchanged(gateway, provider.token("Agents")), issued)
    assert "not an assertion" in refused(exchanged(gateway, token), 400)["detail"]


def test_direct_is_for_those_that_say_so(gateway: Gateway, direct: IdentityProvider, crm: RecordingUpstream) -> None:
    assertion = direct.token("Agents")
    for _ in range(2):
        assert gateway.ask("GET", "/v1/json?direct", assertion).status == 200
    assert [one["principal"]["issuer"] for one in gateway.records(2, path="/v1/json?direct")] == [DIRECT] * 2
    once = direct.token("Agents", conditions="<saml:OneTimeUse/>")
    wire, reply = gateway.connect(once)
    with wire:
        assert "exchanged for a token first" in refused(reply, 407)["detail"]


def wrapped(provider: IdentityProvider) -> str:
    """A forged assertion that has the signature of a good one, which stands in its Object."""
    good = provider.assertion("reader")
    start, end = good.index(b"<ds:Signature "), good.index(b"</ds:Signature>")
    bare = good[:start] + good[end + len(b"</ds:Signature>") :]
    signature = good[start:end] + b"<ds:Object>" + bare + b"</ds:Object></ds:Signature>"
    evil = provider.assertion("Agents", signed=False, subject="root@corp.example")
    return encoded(evil.replace(b"</saml:Issuer>", b"</saml:Issuer>" + signature, 1))


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(wrapped, id="wrapped"),
        pytest.param(lambda provider: encoded(provider.assertion("Agents", signed=False)), id="unsigned"),
        pytest.param(lambda provider: IdentityProvider(DIRECT).token("Agents"), id="another-key"),
        pytest.param(lambda provider: provider.token("Agents", audience="x"), id="another-audience"),
        pytest.param(lambda provider: provider.token("Agents", recipient="x"), id="another-recipient"),
        pytest.param(lambda provider: provider.token("Agents", after=1.0), id="over"),
        pytest.param(lambda provider: provider.token("Agents", subject="a<!---->b"), id="comment"),
        pytest.param(lambda provider: "A" * 33_000, id="too-long"),
    ],
)
def test_forgeries_go_nowhere(gateway: Gateway, direct: IdentityProvider, crm: RecordingUpstream, forge: Any) -> None:
    seen = crm.watch()
    forged = forge(direct)
    for host in (CRM, OWN):
        wire, reply = gateway.connect(forged, host)
        with wire:
            refused(reply, 407)
    assert untouched(seen)


def test_a_large_one_is_taken(gateway: Gateway, direct: IdentityProvider) -> None:
    """As Basic, which is what HTTPS_PROXY sends: encoded twice."""
    groups = ["Agents", *(f"group-{number:04}" for number in range(360))]
    assertion = direct.token(*groups)
    assert 28_000 < len(assertion) <= 32 * 1024
    with gateway.client(assertion) as client:
        assert client.get(f"https://{CRM}/v1/json").status_code == 200
