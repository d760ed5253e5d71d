from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
import pytest

from lockgate.errors import SetupError, TokenRejected
from lockgate.identity.gateway_token import GatewayKeys, vouched
from lockgate.identity.jwt import OWN, OWN_TTL, identify
from lockgate.identity.saml import Assertion
from lockgate.model import Principal

NOW = 1_800_000_000.0


def assertion(ends_at: float = NOW + 3600, **claims: Any) -> Assertion:
    said = {"iss": "idp", "sub": "agent-7", "attributes": {"groups": ["a"]}, **claims}
    return Assertion(Principal("idp", "agent-7", ("a",), ends_at, "_1", said), "_1", "c" * 64, ends_at, one_time=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    return path


def test_what_it_carries(home: Path) -> None:
    keys = GatewayKeys(home)
    token, expires_at = keys.mint(assertion(), NOW)
    principal = identify(token, OWN, keys.keys())
    assert (principal.issuer, principal.subject, principal.token_id) == ("lockgate", "agent-7", "_1")
    assert principal.roles == ()
    assert principal.expires_at == expires_at == NOW + OWN_TTL
    assert vouched(principal.claims) == ("c" * 64, assertion().principal.claims)


@pytest.mark.parametrize(
    ("ends_in", "lives"),
    [pytest.param(3600, 900, id="a-quarter-of-an-hour"), pytest.param(60.9, 60, id="as-long-as-the-assertion")],
)
def test_how_long_it_lives(home: Path, ends_in: float, lives: float) -> None:
    _, expires_at = GatewayKeys(home).mint(assertion(NOW + ends_in), NOW)
    assert expires_at == NOW + lives


@pytest.mark.parametrize("ends_in", [0.9, 0, -1])
def test_there_is_none_for_what_is_over(home: Path, ends_in: float) -> None:
    with pytest.raises(TokenRejected, match="expired"):
        GatewayKeys(home).mint(assertion(NOW + ends_in), NOW)


def test_it_has_to_fit(home: Path) -> None:
    with pytest.raises(TokenRejected, match="too many attributes"):
        GatewayKeys(home).mint(assertion(attributes={"groups": ["x" * 13_000]}), NOW)


def test_its_key_is_kept(home: Path, tmp_path: Path) -> None:
    token, _ = GatewayKeys(home).mint(assertion(), NOW)
    assert identify(token, OWN, GatewayKeys(home).keys()).subject == "agent-7"
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    with pytest.raises(TokenRejected, match="unknown key"):
        identify(token, OWN, GatewayKeys(other).keys())
    assert jwt.get_unverified_header(token)["kid"] == GatewayKeys(home).keys().version


def test_a_key_that_others_may_read(home: Path) -> None:
    GatewayKeys(home)
    (home / "gateway-token.key").chmod(0o644)
    with pytest.raises(SetupError):
        GatewayKeys(home)
