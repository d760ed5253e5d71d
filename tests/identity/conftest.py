"""An issuer's keys and tokens, made once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from harness.pki import Authority
from harness.upstream import Answer, RecordingUpstream
from lockgate.model import Issuer

NOW = 1_800_000_000
NAME = "localhost"

Sign = Callable[..., str]


def public_jwk(private: Any, **members: Any) -> dict[str, Any]:
    public = private.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        jwk = jwt.algorithms.OKPAlgorithm.to_jwk(public, as_dict=True)
    jwk.pop("key_ops", None)
    return {**jwk, **members}


@pytest.fixture(scope="session")
def private_keys() -> SimpleNamespace:
    return SimpleNamespace(
        rsa=rsa.generate_private_key(public_exponent=65537, key_size=2048),
        other_rsa=rsa.generate_private_key(public_exponent=65537, key_size=2048),
        weak_rsa=rsa.generate_private_key(public_exponent=65537, key_size=1024),
        p256=ec.generate_private_key(ec.SECP256R1()),
        p384=ec.generate_private_key(ec.SECP384R1()),
        ed25519=ed25519.Ed25519PrivateKey.generate(),
        ed448=ed448.Ed448PrivateKey.generate(),
    )


@pytest.fixture(scope="session")
def to_jwk() -> Callable[..., dict[str, Any]]:
    return public_jwk


@pytest.fixture(scope="session")
def jwks(private_keys: SimpleNamespace) -> dict[str, Any]:
    return {
        "keys": [
            public_jwk(private_keys.rsa, kid="rsa", use="sig"),
            public_jwk(private_keys.p256, kid="p256", alg="ES256"),
            public_jwk(private_keys.p384, kid="p384"),
            public_jwk(private_keys.ed25519, kid="ed25519"),
            public_jwk(private_keys.ed448, kid="ed448"),
        ]
    }


@pytest.fixture
def jwks_file(tmp_path: Path, jwks: Mapping[str, Any]) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(jwks))
    return path


@pytest.fixture
def issuer(jwks_file: Path) -> Issuer:
    return Issuer(
        issuer="https://login.example",
        audience="lockgate",
        algorithms=("RS256", "PS256", "ES256", "EdDSA"),
        roles="$.realm_access.roles[*]",
        jwks_file=jwks_file,
        alias={"idp-support": "support"},
        max_ttl=3600.0,
    )


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def serve(authority: Authority) -> Iterator[Callable[..., RecordingUpstream]]:
    """Serves on loopback with TLS, under a certificate of `authority`; `tls=False` without."""
    servers: list[RecordingUpstream] = []

    def serve(answer: Answer, *, tls: bool = True) -> RecordingUpstream:
        servers.append(RecordingUpstream(answer, authority.server_context(NAME) if tls else None))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.fixture
def claims() -> dict[str, Any]:
    return {
        "iss": "https://login.example",
        "aud": "lockgate",
        "sub": "agent-7",
        "iat": NOW,
        "exp": NOW + 600,
        "jti": "t-1",
        "realm_access": {"roles": ["reader", "idp-support", "reader", "support", 7, None, ["admin"]]},
    }


@pytest.fixture
def sign(private_keys: SimpleNamespace) -> Sign:
    """`sign(claims, key="rsa", algorithm="RS256", **header)`; a `kid` of None leaves it out."""

    def sign(claims: Mapping[str, Any], key: str = "rsa", algorithm: str = "RS256", **header: Any) -> str:
        header.setdefault("kid", key)
        header = {name: value for name, value in header.items() if value is not None}
        return jwt.encode(dict(claims), getattr(private_keys, key), algorithm=algorithm, headers=header)

    return sign
