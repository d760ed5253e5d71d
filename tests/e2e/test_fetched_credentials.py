"""Credentials that the gateway fetches: secrets of commands, Vault and a keyring, tokens of a token endpoint."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.answers import message
from harness.expect import eventually
from harness.gateway import MAIN, Gateway, MakeGateway
from harness.issuer import Issuer
from harness.pki import Authority
from harness.rules import gateway_yaml
from harness.token_endpoint import TokenEndpoint
from harness.upstream import Connection, RecordingUpstream, Seen
from harness.vault import FakeVault

CLIENT_SECRET = "client-secret-of-the-gateway"
VAULT_TOKEN = "hvs.token-of-the-gateway"
REFRESH = "refresh-of-the-operator"
PRINTED = "printed-by-a-command-1"
KEPT = "kept-in-the-keyring-1"
APP_KEY = ec.generate_private_key(ec.SECP256R1())
RETRY = 0.5  # seconds from a failed fetch to the next, in these tests

KEYRING = f"""\
from keyring.backend import KeyringBackend


class Keyring(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        return {KEPT!r} if (service, username) == ("crm", "gateway") else None

    def set_password(self, service, username, password):
        raise NotImplementedError
"""

TARGETS = (
    *("token", "short", "parallel", "down", "refresh", "app", "grant"),
    *("vault", "sealed", "printed", "fails", "kept"),
)
ROLE = f"role: support\nrules:\n  - id: all\n    allow: GET {'|'.join(TARGETS)} /open/{{what}}\n"


class Target:
    """Answers with all it was sent; `/open/slow` only once `open` is set, `/open/401` with 401."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def answer(self, connection: Connection, seen: Seen) -> None:
        if seen.path == "/open/slow":
            assert self.open.wait(20)
        status = "401 Unauthorized" if seen.path == "/open/401" else "200 OK"
        body = json.dumps({"headers": dict(seen.headers), "note": "fine"}).encode()
        connection.send(message(status, [("content-type", "application/json")], body))


@dataclass
class World:
    """A gateway, a target that all names lead to, and who gives the gateway secrets."""

    gateway: Gateway
    issuer: Issuer
    target: Target
    upstream: RecordingUpstream
    tokens: TokenEndpoint
    down: TokenEndpoint
    vault: FakeVault
    token_server: RecordingUpstream
    down_server: RecordingUpstream
    vault_server: RecordingUpstream
    home: Path

    def client(self) -> httpx.Client:
        return self.gateway.client(self.issuer.token("support"), limits=httpx.Limits(max_connections=40))

    def get(self, name: str, path: str = "/open/echo") -> httpx.Response:
        with self.client() as client:
            return client.get(f"http://{name}.example{path}")

    def shown(self, name: str) -> str:
        """The bearer token that the target was shown at one request."""
        seen = self.upstream.watch()
        assert self.get(name).status_code == 200
        (request,) = seen.requests
        return (request.header("authorization") or "").removeprefix("Bearer ")


def credentials(tokens: int, down: int, vault: int, ca: Path, home: Path) -> str:
    login = f"https://localhost:{tokens}/token"
    client = f'client_id: gateway, client_secret: "env:CLIENT_SECRET", ca: {ca}'
    signed = "algorithm: ES256, issuer: app-7"
    return f"""\
credentials:
  token: {{oauth2: {{token_url: "{login}", {client}, scope: crm.read}}, hosts: [token.example]}}
  short: {{oauth2: {{token_url: "{login}", {client}, scope: short}}, hosts: [short.example]}}
  parallel: {{oauth2: {{token_url: "{login}", {client}, scope: parallel}}, hosts: [parallel.example]}}
  down: {{oauth2: {{token_url: "https://localhost:{down}/token", {client}}}, hosts: [down.example]}}
  refresh:
    oauth2: {{token_url: "{login}", {client}, refresh_token: "file:{home}/refresh"}}
    hosts: [refresh.example]
  app: {{jwt: {{key: "file:{home}/app.pem", {signed}, audience: them}}, hosts: [app.example]}}
  grant:
    jwt: {{key: "file:{home}/app.pem", {signed}, subject: robot, token_url: "{login}", ca: {ca}}}
    hosts: [grant.example]
  vault: {{bearer: "vault:secret/crm#token", cache: 1s, hosts: [vault.example]}}
  sealed: {{bearer: "vault:secret/sealed#token", cache: 1s, hosts: [sealed.example]}}
  printed: {{bearer: "exec:{home}/get-secret crm", hosts: [printed.example]}}
  fails: {{bearer: "exec:{home}/get-secret other", hosts: [fails.example]}}
  kept: {{bearer: "keyring:crm/gateway", hosts: [kept.example]}}
vault: {{address: "https://localhost:{vault}", ca: {ca}}}
"""


def targets(port: int) -> str:
    where = f"connect: 127.0.0.1:{port}, private: true"
    entries = "".join(f'  {name}: {{url: "http://{name}.example", credential: {name}, {where}}}\n' for name in TARGETS)
    return f"targets:\n{entries}"


def kept_for_the_gateway(home: Path) -> None:
    files = {
        "refresh": REFRESH,
        "app.pem": APP_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "get-secret": f'#!/bin/sh\n[ $# = 1 ] && [ "$1" = crm ] || exit 3\necho {PRINTED}\n',
        "fake_keyring.py": KEYRING,
    }
    for name, text in files.items():
        (home / name).write_text(text)
        (home / name).chmod(0o700 if name == "get-secret" else 0o600)


@pytest.fixture(scope="module")
def world(
    make_module_gateway: MakeGateway,
    tmp_path_factory: pytest.TempPathFactory,
    authority: Authority,
    issuer: Issuer,
) -> Iterator[World]:
    home = tmp_path_factory.mktemp("secrets")
    kept_for_the_gateway(home)
    target, vault = Target(), FakeVault(tokens={VAULT_TOKEN: ("", ("secret/data/",))})
    target.open.set()
    vault.put("secret/crm", {"token": "token-in-vault-1"})
    vault.put("secret/sealed", {"token": "never-to-be-seen-1"})
    tokens, down = (TokenEndpoint(secrets={"gateway": CLIENT_SECRET}, refresh=REFRESH) for _ in range(2))
    tokens.keys["app-7"] = APP_KEY.public_key()
    down.expires_in = 0.05
    upstream = RecordingUpstream(target.answer)
    served = [RecordingUpstream(each.answer, authority.server_context("localhost")) for each in (tokens, down, vault)]
    ports = [server.port for server in served]
    tokens.url = f"https://localhost:{ports[0]}/token"
    script = home / "chain.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(MAIN.parent)!r})\n"
        f"from lockgate.credentials import cache\ncache.RETRY = {RETRY}\nfrom lockgate.chain import addons\n"
    )
    gateway = make_module_gateway(
        {
            "gateway.yaml": gateway_yaml(),
            "jwks.json": issuer.jwks,
            "credentials.yaml": credentials(*ports, authority.pem, home),
            "targets.yaml": targets(upstream.port),
            "roles/support.yaml": ROLE,
        },
        script=script,
        environment={
            "CLIENT_SECRET": CLIENT_SECRET,
            "VAULT_TOKEN": VAULT_TOKEN,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(home), os.environ.get("PYTHONPATH")])),
            "PYTHON_KEYRING_BACKEND": "fake_keyring.Keyring",
        },
    ).start()
    yield World(gateway, issuer, target, upstream, tokens, down, vault, *served, home)
    gateway.stop()
    assert "Traceback" not in gateway.output
    for secret in [
        CLIENT_SECRET,
        VAULT_TOKEN,
        REFRESH,
        PRINTED,
        KEPT,
        "token-in-vault",
        "never-to-be-seen",
        *tokens.issued,
    ]:
        held = [path for path, content in gateway.traces().items() if secret.encode() in content]
        assert held == [], secret
    for server in (upstream, *served):
        server.close()


def refused(world: World, name: str) -> None:
    """503, and not a connection to the target."""
    seen = world.upstream.watch()
    answer = world.get(name)
    assert answer.status_code == 503
    assert answer.json()["detail"] == "The target's credential cannot be had."
    assert (seen.connections, seen.raw) == (0, b"")


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        pytest.param("printed", PRINTED, id="exec"),
        pytest.param("vault", "token-in-vault-1", id="vault"),
        pytest.param("kept", KEPT, id="keyring"),
    ],
)
def test_each_source(world: World, name: str, secret: str) -> None:
    assert world.shown(name) == secret


def test_a_token_is_shown_to_the_target_and_to_nobody_else(world: World) -> None:
    seen = world.upstream.watch()
    answer = world.get("token")
    shown = (seen.requests[0].header("authorization") or "").removeprefix("Bearer ")
    assert shown in world.tokens.issued
    assert answer.json() == {
        "headers": answer.json()["headers"] | {"authorization": "Bearer [redacted]"},
        "note": "fine",
    }
    assert shown not in answer.text + repr(answer.headers)
    eventually(lambda: world.gateway.records(1, path="/open/echo")[-1]["injected"] == ["token"], "its record")


def test_a_jwt_of_the_gateways_own(world: World) -> None:
    claims = jwt.decode(world.shown("app"), APP_KEY.public_key(), algorithms=["ES256"], audience="them")
    assert claims["iss"] == "app-7"
    assert world.shown("grant") in world.tokens.issued


def test_one_fetch_for_all_that_wait(world: World) -> None:
    """None is sent before the token is there, and then every one with it."""
    world.tokens.open.clear()
    seen, asked = world.upstream.watch(), world.token_server.watch()
    with world.client() as client, ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(client.get, "http://parallel.example/open/echo") for _ in range(20)]
        asked.wait_for(1)
        time.sleep(0.3)  # for the others to get as far
        assert (seen.connections, seen.raw) == (0, b"")
        world.tokens.open.set()
        assert [answer.result().status_code for answer in answers] == [200] * 20
    assert len(asked.requests) == 1
    assert {request.header("authorization") for request in seen.requests} == {f"Bearer {world.tokens.issued[-1]}"}
    assert len(seen.requests) == 20


def test_nothing_is_sent_while_there_is_no_token(world: World) -> None:
    world.down.answer_as = ("500 Internal Server Error", "text/plain", b"it broke")
    asked = len(world.down_server.requests)
    for _ in range(3):
        refused(world, "down")
    assert len(world.down_server.requests) == asked + 1
    assert "Credential down: oauth2 https://localhost:" in world.gateway.output
    assert "the token endpoint answers 500." in world.gateway.output
    assert "it broke" not in world.gateway.output
    world.down.answer_as = None
    eventually(lambda: world.get("down").status_code == 200, "a token is fetched")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"access_token": "a-token-of-another-kind", "token_type": "mac"}, id="another-token-type"),
        pytest.param({"access_token": "a-token\r\nX-Admin: 1", "token_type": "bearer"}, id="header-injection"),
    ],
)
def test_no_other_answer_is_taken_for_a_token(world: World, answer: dict[str, str]) -> None:
    world.down.answer_as = ("200 OK", "application/json", json.dumps(answer).encode())
    eventually(lambda: world.get("down").status_code == 503, "the token before has ended")
    refused(world, "down")
    world.down.answer_as = None
    eventually(lambda: world.get("down").status_code == 200, "a token is fetched")


def test_a_token_is_replaced_before_it_ends(world: World) -> None:
    world.tokens.expires_in = 1
    first = world.shown("short")
    assert world.shown("short") == first
    eventually(lambda: world.shown("short") != first, "a new token is shown")
    world.tokens.expires_in = 3600


def test_a_targets_401_fetches_nothing(world: World) -> None:
    world.shown("token")
    seen, asked = world.upstream.watch(), world.token_server.watch()
    assert world.get("token", "/open/401").status_code == 401
    assert len(seen.requests) == 1
    assert asked.requests == []
    assert world.get("token").status_code == 200


def test_rotation_while_a_request_is_on_its_way(world: World) -> None:
    """It keeps the secret it was sent with, which is scrubbed from its answer; others get the new one."""
    world.vault.put("secret/crm", {"token": "token-in-vault-2"})
    eventually(lambda: world.shown("vault") == "token-in-vault-2", "the new version is shown")
    world.target.open.clear()
    seen = world.upstream.watch()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(world.get, "vault", "/open/slow")
        seen.wait_for(1)
        world.vault.put("secret/crm", {"token": "token-in-vault-3"})
        eventually(lambda: world.shown("vault") == "token-in-vault-3", "the new version is shown")
        world.target.open.set()
        answer = held.result()
    assert answer.status_code == 200
    assert answer.json()["headers"]["authorization"] == "Bearer [redacted]"
    assert seen.requests[0].header("authorization") == "Bearer token-in-vault-2"


def test_a_sealed_vault(world: World) -> None:
    world.vault.sealed = True
    asked = world.vault_server.watch()
    for _ in range(3):
        refused(world, "sealed")
    assert len(asked.requests) == 1
    assert "Credential sealed: vault:secret/sealed#token: Vault is sealed or in maintenance" in world.gateway.output
    world.vault.sealed = False
    eventually(lambda: world.get("sealed").status_code == 200, "it is read")


def test_a_command_that_fails(world: World) -> None:
    for _ in range(3):
        refused(world, "fails")
    assert world.gateway.output.count(f"Credential fails: exec:{world.home}/get-secret: ended with exit code 3.") == 1


def test_other_rules_are_given_no_token_of_the_ones_before(world: World) -> None:
    before = world.shown("token")
    rules = (world.gateway.rules / "credentials.yaml").read_text()
    world.gateway.write_rules({"credentials.yaml": rules.replace("scope: crm.read", "scope: crm.write")})
    eventually(lambda: "Rules reloaded" in world.gateway.output, "the rules are in force")
    after = world.shown("token")
    assert after != before
    assert world.tokens.forms[-1]["scope"] == "crm.write"


def test_a_refresh_token_that_was_replaced_is_still_known_after_a_restart(world: World) -> None:
    assert world.shown("refresh") in world.tokens.issued
    assert world.tokens.forms[-1]["refresh_token"] == REFRESH
    (path,) = world.gateway.state.glob("refresh-*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    replaced = world.tokens.refresh
    assert replaced != REFRESH
    world.gateway.stop()
    world.gateway.start()
    assert world.shown("refresh") in world.tokens.issued
    assert world.tokens.forms[-1]["refresh_token"] == replaced
