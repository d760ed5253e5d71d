"""The gateway's own configuration, as the rest of the gateway gets it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from lockgate.model import CredentialSpec, Issuer, Limits, SecretSource, Target
from lockgate.policy.generation import Generation

Loaded = Callable[..., Generation]


def test_the_smallest_gateway(loaded: Loaded) -> None:
    gateway = loaded().gateway
    assert gateway.issuers == (Issuer("lockgate-dev", "lockgate", ("EdDSA",), "$.roles[*]", dev=True),)
    assert (gateway.recordings_dir, gateway.recordings_max_body, gateway.state) == (
        "recordings",
        10 * 2**20,
        ".lockgate",
    )


def test_a_whole_gateway(loaded: Loaded, tmp_path: Path) -> None:
    text = """\
issuers:
  - issuer: https://login.example/realms/agents
    audience: lockgate
    algorithms: [RS256, ES256]
    roles: $.realm_access.roles[*]
    jwks_file: keys/jwks.json
    alias: {"Support Agents": support, "no": support}
    leeway: 1m
    max_ttl: 1h
  - dev: false
    issuer: https://other.example
    audience: x
    algorithms: [EdDSA]
    roles: $.roles
    jwks_file: /etc/keys.json
recordings: {dir: /var/lib/lockgate, max_body: 64KB}
state: 012
"""
    gateway = loaded({"gateway.yaml": text}).gateway
    rules = tmp_path / "rules"
    assert gateway.issuers == (
        Issuer(
            "https://login.example/realms/agents",
            "lockgate",
            ("RS256", "ES256"),
            "$.realm_access.roles[*]",
            rules / "keys/jwks.json",
            {"Support Agents": "support", "no": "support"},
            60.0,
            3600.0,
        ),
        Issuer("https://other.example", "x", ("EdDSA",), "$.roles", Path("/etc/keys.json")),
    )
    assert (gateway.recordings_dir, gateway.recordings_max_body, gateway.state) == ("/var/lib/lockgate", 64_000, "012")


@pytest.mark.parametrize(
    ("entry", "spec"),
    [
        pytest.param(
            '{bearer: "env:CRM_TOKEN", hosts: [API.CRM.example]}',
            CredentialSpec("c", "bearer", ("api.crm.example",), SecretSource("env", "CRM_TOKEN")),
            id="bearer",
        ),
        pytest.param(
            '{basic: {user: gateway, password: "file:/run/secrets/crm"}, hosts: [api.crm.example]}',
            CredentialSpec(
                "c", "basic", ("api.crm.example",), SecretSource("file", "/run/secrets/crm"), user="gateway"
            ),
            id="basic",
        ),
        pytest.param(
            '{header: {name: X-Api-Key, value: "env:KEY", prefix: "Key "}, hosts: [api.crm.example, 10.0.0.5]}',
            CredentialSpec(
                "c",
                "header",
                ("api.crm.example", "10.0.0.5"),
                SecretSource("env", "KEY"),
                field="X-Api-Key",
                prefix="Key ",
            ),
            id="header",
        ),
        pytest.param(
            '{query: {name: api key, value: "env:KEY"}, hosts: ["[::1]"]}',
            CredentialSpec("c", "query", ("::1",), SecretSource("env", "KEY"), field="api key"),
            id="query",
        ),
    ],
)
def test_credentials(loaded: Loaded, entry: str, spec: CredentialSpec) -> None:
    targets = "targets:\n  crm: {url: https://x.example}\n"
    generation = loaded({"credentials.yaml": f"credentials:\n  c: {entry}\n", "targets.yaml": targets})
    assert generation.credentials == {"c": spec}


def test_a_secret_file_is_relative_to_the_rules(loaded: Loaded, tmp_path: Path) -> None:
    text = 'credentials:\n  crm-token: {bearer: "file:../secrets/crm", hosts: [api.crm.example]}\n'
    source = loaded({"credentials.yaml": text}).credentials["crm-token"].source
    assert source == SecretSource("file", str(tmp_path / "secrets/crm"))


@pytest.mark.parametrize(
    ("entry", "target"),
    [
        pytest.param("{url: https://a.example}", Target("t", "https", "a.example", 443), id="smallest"),
        pytest.param("{url: HTTPS://A.Example:8443}", Target("t", "https", "a.example", 8443), id="case"),
        pytest.param("{url: http://a.example}", Target("t", "http", "a.example", 80), id="http"),
        pytest.param("{url: http://10.0.0.5:8080}", Target("t", "http", "10.0.0.5", 8080), id="ipv4"),
        pytest.param('{url: "https://[2001:DB8::1]:9443"}', Target("t", "https", "2001:db8::1", 9443), id="ipv6"),
        pytest.param(
            "{url: https://a.example, limits: {request: 10KiB}, private: true, connect: 127.0.0.1:9443, cookies: pass}",
            Target(
                "t",
                "https",
                "a.example",
                443,
                limits=Limits(request=10240),
                private=True,
                connect=("127.0.0.1", 9443),
                pass_cookies=True,
            ),
            id="all",
        ),
    ],
)
def test_targets(loaded: Loaded, entry: str, target: Target) -> None:
    role = "role: support\nrules: []\n"
    generation = loaded({"targets.yaml": f"targets:\n  t: {entry}\n", "roles/support.yaml": role})
    assert generation.targets == {"t": (target,)}


def test_a_target_of_several_origins(loaded: Loaded) -> None:
    entry = "{urls: ['https://a.example', 'http://b.example:8080'], private: true}"
    role = "role: support\nrules:\n  - {id: r, allow: GET t /x}\n"
    generation = loaded({"targets.yaml": f"targets:\n  t: {entry}\n", "roles/support.yaml": role})
    first, second = generation.targets["t"]
    assert (first.name, first.authority, first.private) == ("t", "a.example", True)
    assert (second.name, second.authority, second.private) == ("t", "b.example:8080", True)
    assert generation.target_for("https", "A.example", 443) is first
    assert generation.target_for("http", "b.example", 8080) is second
    assert generation.target_for("https", "b.example", 8080) is None


def test_named_lists(loaded: Loaded) -> None:
    text = "issuers:\n  - dev: true\nlists:\n  vip: [ann, '7']\n  steps: {numbers: [1, -2.50]}\n  none: []\n"
    assert loaded({"gateway.yaml": text}).gateway.lists == {
        "vip": ("ann", "7"),
        "steps": (1, Decimal("-2.5")),
        "none": (),
    }
