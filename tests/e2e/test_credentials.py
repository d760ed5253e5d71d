"""Each kind of credential, as the target gets it: the gateway's own in its place, and nothing of the agent's."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.answers import CRM_TOKEN
from harness.expect import refused
from harness.gateway import Gateway, MakeGateway
from harness.rules import CRM
from harness.upstream import RecordingUpstream

SECRET = "kept-in-a-file-1"
KINDS = {
    "bearer": '{bearer: "file:SECRET"}',
    "basic": '{basic: {user: gateway, password: "file:SECRET"}}',
    "header": '{header: {name: X-Api-Key, value: "file:SECRET", prefix: "Key "}}',
    "query": '{query: {name: api_key, value: "file:SECRET"}}',
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def gateway_with(make_gateway: MakeGateway, rule_files: dict[str, str], secret: Path) -> Callable[[str], Gateway]:
    def make(kind: str) -> Gateway:
        entry = KINDS[kind].replace("SECRET", str(secret))[:-1] + f", hosts: [{CRM}]}}"
        return make_gateway({**rule_files, "credentials.yaml": f"credentials:\n  crm-token: {entry}\n"}).start()

    return make


@pytest.mark.parametrize(
    ("kind", "agents_own", "name", "value"),
    [
        pytest.param("bearer", "Authorization: Bearer mine", "authorization", f"Bearer {SECRET}", id="bearer"),
        pytest.param(
            "basic",
            "Authorization: Basic bWluZTptaW5l",
            "authorization",
            f"Basic {base64.b64encode(f'gateway:{SECRET}'.encode()).decode()}",
            id="basic",
        ),
        pytest.param("header", "x-api-KEY: mine", "x-api-key", f"Key {SECRET}", id="header"),
    ],
)
def test_header(
    gateway_with, crm: RecordingUpstream, token: str, kind: str, agents_own: str, name: str, value: str
) -> None:
    gateway = gateway_with(kind)
    seen = crm.watch()
    assert gateway.ask("GET", "/open/json", token, agents_own, "Cookie: mine=1").status == 200
    (request,) = seen.requests
    assert [found for field, found in request.headers if field.lower() == name] == [value]
    assert b"mine" not in seen.plain
    assert all(SECRET.encode() not in content for content in gateway.traces().values())


def test_query_parameter(gateway_with, crm: RecordingUpstream, token: str) -> None:
    gateway = gateway_with("query")
    seen = crm.watch()
    path = "/open/json?a=1&api_key=mine&API_KEY=mine&api%5Fkey=mine&b=2"
    assert gateway.ask("GET", path, token).status == 200
    assert seen.requests[0].target == f"/open/json?a=1&b=2&api_key={SECRET}"
    assert gateway.ask("GET", "/open/json", token).status == 200
    assert seen.requests[1].target == f"/open/json?api_key={SECRET}"
    assert all(SECRET.encode() not in content for content in gateway.traces().values())


def test_a_rotated_secret_counts_at_once(gateway_with, crm: RecordingUpstream, token: str, secret: Path) -> None:
    gateway = gateway_with("bearer")
    seen = crm.watch()
    gateway.ask("GET", "/open/json", token)
    secret.write_text("rotated-to-this-2")
    gateway.ask("GET", "/open/json", token)
    assert [request.header("authorization") for request in seen.requests] == [
        f"Bearer {SECRET}",
        "Bearer rotated-to-this-2",
    ]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_secret_others_can_read_is_not_used(
    gateway_with, crm: RecordingUpstream, token: str, secret: Path, mode: int
) -> None:
    secret.chmod(mode)
    gateway = gateway_with("bearer")
    seen = crm.watch()
    refused(gateway.ask("GET", "/open/json", token), 503)
    assert (seen.connections, seen.raw) == (0, b"")


def test_the_presented_token_goes_nowhere(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    """Not in a path, a query, a header or a body, plain or as Basic has it."""
    seen = crm.watch()
    as_basic = base64.b64encode(f"agent:{token}".encode()).decode()
    for path, fields, body in [
        (f"/v1/{token}", (), b""),
        (f"/v1/json?t={token}", (), b""),
        ("/v1/json", (f"X-Token: {token}",), b""),
        ("/v1/json", (f"X-Token: {as_basic}",), b""),
        ("/v1/json", ("Content-Type: text/plain",), token.encode()),
        ("/v1/json", ("Content-Type: text/plain",), as_basic.encode()),
    ]:
        problem = refused(gateway.ask("POST", path, token, *fields, body=body), 403)
        assert "token" in problem["detail"]
    assert (seen.connections, seen.raw) == (0, b"")


def test_its_echo_is_scrubbed_from_the_answer(gateway: Gateway, token: str) -> None:
    assert CRM_TOKEN.encode() not in gateway.ask("GET", "/open/echo", token).body
