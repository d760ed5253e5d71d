"""The gateway's own configuration, as the rest of the gateway gets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from lockgate.errors import Problem, RulesInvalid
from lockgate.model import Issuer, Limits, Saml, Target, TargetTls
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


def test_no_gateway_has_that_many_issuers(problems: Callable[..., tuple[Problem, ...]]) -> None:
    entry = "  - {issuer: https://l%d.example, audience: a, algorithms: [RS256], roles: \"$['a','b%d'][*]\"}\n"
    issuers = "".join(entry.replace("%d", str(number)) for number in range(101))
    assert [str(problem) for problem in problems({"gateway.yaml": f"issuers:\n{issuers}"})] == [
        "gateway.yaml:1:1: more than 100 issuers: take some out"
    ]


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
            alias={"Support Agents": "support", "no": "support"},
            leeway=60.0,
            max_ttl=3600.0,
        ),
        Issuer("https://other.example", "x", ("EdDSA",), "$.roles", Path("/etc/keys.json")),
    )
    assert (gateway.recordings_dir, gateway.recordings_max_body, gateway.state) == ("/var/lib/lockgate", 64_000, "012")


ISSUER = "{audience: x, algorithms: [ES256], roles: $.roles, "


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param("", Saml(Path("idp.xml"), "https://lockgate.invalid/saml"), id="the-least"),
        pytest.param(", recipient: urn:x, direct: true", Saml(Path("idp.xml"), "urn:x", direct=True), id="the-most"),
    ],
)
def test_an_identity_provider(loaded: Loaded, tmp_path: Path, more: str, expected: Saml) -> None:
    entry = f"{{issuer: idp, audience: x, roles: $.attributes.r, saml: {{metadata: idp.xml{more}}}}}"
    [issuer] = loaded({"gateway.yaml": f"issuers:\n  - {entry}\n"}).gateway.issuers
    placed = replace(expected, metadata=tmp_path / "rules" / "idp.xml")
    assert issuer == Issuer("idp", "x", (), "$.attributes.r", saml=placed)


@pytest.mark.parametrize(
    ("entry", "keys"),
    [
        pytest.param("issuer: https://a.example/realms/b", {}, id="discovered"),
        pytest.param("issuer: https://a.example/, ca: ../ca.pem, keys_max_age: 4h", {"ca": "ca.pem"}, id="private-ca"),
        pytest.param("issuer: a, jwks: https://a.example/keys?p=1", {"jwks": "https://a.example/keys?p=1"}, id="url"),
        pytest.param('issuer: a, jwks: "https://[::1]:8443/keys"', {"jwks": "https://[::1]:8443/keys"}, id="loopback"),
        pytest.param("issuer: http://a.example, jwks_file: k.json", {"jwks_file": "rules/k.json"}, id="file"),
    ],
)
def test_where_an_issuers_keys_are(loaded: Loaded, tmp_path: Path, entry: str, keys: dict[str, str]) -> None:
    [issuer] = loaded({"gateway.yaml": f"issuers:\n  - {ISSUER}{entry}}}\n"}).gateway.issuers
    placed = {key: tmp_path / value if key in ("ca", "jwks_file") else value for key, value in keys.items()}
    assert {"ca": issuer.ca, "jwks": issuer.jwks, "jwks_file": issuer.jwks_file} == {
        "ca": None,
        "jwks": None,
        "jwks_file": None,
        **placed,
    }
    assert issuer.keys_max_age == (14400.0 if "4h" in entry else 3600.0)


@pytest.mark.parametrize(
    ("entry", "target"),
    [
        pytest.param("{url: https://a.example}", Target("t", "https", "a.example", 443), id="smallest"),
        pytest.param("{url: HTTPS://A.Example:8443}", Target("t", "https", "a.example", 8443), id="case"),
        pytest.param("{url: http://a.example}", Target("t", "http", "a.example", 80), id="http"),
        pytest.param("{url: http://10.0.0.5:8080}", Target("t", "http", "10.0.0.5", 8080), id="ipv4"),
        pytest.param('{url: "https://[2001:DB8::1]:9443"}', Target("t", "https", "2001:db8::1", 9443), id="ipv6"),
        pytest.param(
            "{url: https://a.example, content_types: [text/csv]}",
            Target("t", "https", "a.example", 443, content_types=frozenset({"text/csv"})),
            id="content-types",
        ),
        pytest.param(
            "{url: https://a.example, paths: lenient, methods: [PROPFIND, PURGE]}",
            Target("t", "https", "a.example", 443, methods=frozenset({"PROPFIND", "PURGE"}), lenient_paths=True),
            id="webdav",
        ),
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


def test_tls_of_a_target(loaded: Loaded, tmp_path: Path) -> None:
    entry = "{url: https://a.example, tls: {ca: ca.pem, server_name: B.Internal, client_cert: mtls, min_version: 1.3}}"
    files = {
        "targets.yaml": f"targets:\n  t: {entry}\n",
        "credentials.yaml": 'credentials:\n  mtls: {client_cert: {cert: /a.pem, key: "env:K"}, hosts: [a.example]}\n',
        "roles/support.yaml": "role: support\nrules: []\n",
    }
    (target,) = loaded(files).targets["t"]
    assert target.tls == TargetTls(tmp_path / "rules" / "ca.pem", "b.internal", "mtls", "1.3")


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


def test_the_gateways_own_name_is_taken(loaded: Loaded) -> None:
    own = "{issuer: lockgate, audience: x, algorithms: [ES256], roles: $.roles, jwks_file: k.json}"
    provider = "{issuer: idp, audience: x, roles: $.roles, saml: {metadata: idp.xml}}"
    assert loaded({"gateway.yaml": f"issuers:\n  - {own}\n"}).gateway.issuers[0].issuer == "lockgate"
    with pytest.raises(RulesInvalid, match=r"gateway\.yaml:2:14: the gateway's own tokens are of lockgate"):
        loaded({"gateway.yaml": f"issuers:\n  - {own}\n  - {provider}\n"})
