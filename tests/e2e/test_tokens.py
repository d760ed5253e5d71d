"""Who asks is known from a token, on every request (DESIGN: Identify).

What is none, and gets 407, stands in the evasion corpus, in `token.yaml`.
"""

from __future__ import annotations

import time

import pytest

from harness.answers import CRM_TOKEN
from harness.expect import eventually, refused
from harness.gateway import Gateway, MakeGateway, head, identity
from harness.issuer import Issuer
from harness.rules import CRM, LEEWAY, PLAIN
from harness.upstream import RecordingUpstream


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Basic"])
def test_good_tokens_identify(gateway: Gateway, issuer: Issuer, algorithm: str, scheme: str) -> None:
    (field,) = identity(issuer.token("support", algorithm=algorithm), scheme=scheme)
    wire, reply = gateway.connect(None, CRM, 443, field)
    with wire:
        assert reply.status == 200


def test_ordinary_client_identifies_with_the_proxy_url(gateway: Gateway, token: str) -> None:
    with gateway.client(token) as client:
        assert client.get(f"https://{CRM}/v1/json").status_code == 200


def test_another_principal_on_a_connection_ends_it(gateway: Gateway, plain: RecordingUpstream, issuer: Issuer) -> None:
    url = f"http://{PLAIN}/v1/json"
    with gateway.dial() as wire:
        assert wire.ask(head("GET", url, PLAIN, *identity(issuer.token("support")))).status == 200
        seen = plain.watch()
        other = issuer.token("support", sub="agent-8")
        refused(wire.ask(head("GET", url, PLAIN, *identity(other))), 403)
        assert wire.closed()
    assert (seen.connections, seen.raw) == (0, b"")


def test_a_connection_does_not_remember_the_token(gateway: Gateway, plain: RecordingUpstream, token: str) -> None:
    """A plain request is identified by its own token, not by that of the request before it."""
    url = f"http://{PLAIN}/v1/json"
    with gateway.dial() as wire:
        assert wire.ask(head("GET", url, PLAIN, *identity(token))).status == 200
        seen = plain.watch()
        refused(wire.ask(head("GET", url, PLAIN)), 407)
    assert seen.raw == b""


def test_a_second_identity_inside_a_tunnel_is_refused(gateway: Gateway, crm: RecordingUpstream, issuer: Issuer) -> None:
    seen = crm.watch()
    reply = gateway.ask("GET", "/v1/json", issuer.token("support"), *identity(issuer.token("support")))
    refused(reply, 400, 401, 403)
    assert (seen.connections, seen.raw) == (0, b"")


def test_expiry_is_checked_on_every_request_of_a_tunnel(
    gateway: Gateway, crm: RecordingUpstream, issuer: Issuer
) -> None:
    expires = time.time() + 1.0
    with gateway.tunnel(issuer.token("support", exp=expires)) as wire:
        eventually(lambda: time.time() > expires + LEEWAY, "the token expires")
        seen = crm.watch()
        refused(wire.ask(head("GET", "/v1/json", CRM)), 401)
    assert seen.raw == b""


def test_a_tunnel_is_closed_with_an_answer_near_its_tokens_end(gateway: Gateway, issuer: Issuer) -> None:
    """So that a client with a fresh token shows it, and is not refused in the middle of its work."""
    with gateway.tunnel(issuer.token("support", exp=time.time() + 10)) as wire:
        reply = wire.ask(head("GET", "/v1/json", CRM))
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert wire.closed()


@pytest.mark.parametrize(
    "place",
    ["header", "path", "query", "query-encoded", "cookie", "body", "authorization", "proxy-authorization-other-case"],
)
def test_the_token_never_goes_past_the_gateway(
    gateway: Gateway, crm: RecordingUpstream, token: str, place: str
) -> None:
    """Wherever in its request the agent repeats its token: refused, or taken out."""
    fields: list[str] = []
    path, body = "/v1/echo", b""
    if place == "header":
        fields = [f"X-Api-Key: {token}"]
    elif place == "cookie":
        fields = [f"Cookie: session={token}"]
    elif place == "authorization":
        fields = [f"Authorization: Bearer {token}"]
    elif place == "proxy-authorization-other-case":
        fields = [f"pRoXy-aUtHoRiZaTiOn: Bearer {token}"]
    elif place == "path":
        path = f"/v1/{token}"
    elif place == "query":
        path = f"/v1/echo?token={token}"
    elif place == "query-encoded":
        path = "/v1/echo?token=" + token.replace(".", "%2E").replace("-", "%2D")
    else:
        body = f'{{"token": "{token}"}}'.encode()
    seen = crm.watch()
    gateway.ask("POST", path, token, *fields, "Content-Type: application/json", body=body)
    sent = seen.plain.decode("latin-1")
    assert token not in sent
    assert token not in sent.replace("%2E", ".").replace("%2D", "-")


def test_the_target_gets_the_credential_and_not_the_agents(
    gateway: Gateway, crm: RecordingUpstream, plain: RecordingUpstream, token: str
) -> None:
    seen, seen_plain = crm.watch(), plain.watch()
    assert gateway.ask("GET", "/v1/json", token, "Authorization: Bearer mine", "Cookie: mine=1").status == 200
    with gateway.dial() as wire:
        url = f"http://{PLAIN}/v1/json"
        assert wire.ask(head("GET", url, PLAIN, *identity(token), "Authorization: Bearer mine")).status == 200
    (request,) = seen.requests
    assert request.header("authorization") == f"Bearer {CRM_TOKEN}"
    assert b"mine" not in seen.plain + seen_plain.plain
    assert b"authorization" not in seen_plain.plain.lower()


def test_other_roles_are_another_principal(gateway: Gateway, plain: RecordingUpstream, issuer: Issuer) -> None:
    url = f"http://{PLAIN}/v1/json"
    with gateway.dial() as wire:
        assert wire.ask(head("GET", url, PLAIN, *identity(issuer.token("support")))).status == 200
        seen = plain.watch()
        refused(wire.ask(head("GET", url, PLAIN, *identity(issuer.token("support", "idle")))), 403)
        assert wire.closed()
    assert seen.raw == b""


def test_a_tunnel_ends_with_its_issuers_keys(
    make_gateway: MakeGateway, crm: RecordingUpstream, issuer: Issuer, token: str
) -> None:
    gateway = make_gateway().start()
    with gateway.tunnel(token) as wire:
        assert wire.ask(head("GET", "/v1/json", CRM)).status == 200
        seen = crm.watch()
        (gateway.rules / "jwks.json").write_text('{"keys": []}')
        refused(wire.ask(head("GET", "/v1/json", CRM)), 401, 503)
    (gateway.rules / "jwks.json").write_text("not keys")
    wire, reply = gateway.connect(token)
    with wire:
        refused(reply, 503)
    assert seen.raw == b""
