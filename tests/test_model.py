from __future__ import annotations

import dataclasses

import pytest

from lockgate.model import Principal, Target


@pytest.mark.parametrize(
    ("target", "authority"),
    [
        pytest.param(Target("t", "https", "a.example", 443), "a.example", id="default-https"),
        pytest.param(Target("t", "http", "a.example", 80), "a.example", id="default-http"),
        pytest.param(Target("t", "https", "a.example", 8443), "a.example:8443", id="port"),
        pytest.param(Target("t", "http", "a.example", 443), "a.example:443", id="other-scheme's-port"),
        pytest.param(Target("t", "https", "::1", 443), "[::1]", id="ipv6"),
        pytest.param(Target("t", "https", "::1", 8443), "[::1]:8443", id="ipv6-port"),
    ],
)
def test_authority(target: Target, authority: str) -> None:
    assert target.authority == authority


def test_values_do_not_change() -> None:
    principal = Principal("i", "s", ("r",), 1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        principal.subject = "other"  # type: ignore[misc]


def test_claims_are_not_printed() -> None:
    assert "private" not in repr(Principal("i", "s", ("r",), 1.0, claims={"email": "private"}))
