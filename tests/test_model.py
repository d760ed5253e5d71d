from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lockgate.model import AwsKeys, CertificateFiles, HmacKey, Principal, SecretSource, Target, TargetTls

SOURCE = SecretSource("env", "KEY")


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


def test_the_name_that_is_verified() -> None:
    target = Target("t", "https", "a.example", 443)
    assert target.server_name == "a.example"
    assert dataclasses.replace(target, tls=TargetTls(server_name="b.internal")).server_name == "b.internal"


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        ({}, ()),
        ({"credential": "c"}, ("c",)),
        ({"tls": TargetTls()}, ()),
        ({"tls": TargetTls(client_cert="d")}, ("d",)),
        ({"credential": "c", "tls": TargetTls(client_cert="d")}, ("c", "d")),
    ],
)
def test_what_a_target_is_shown(members: dict[str, Any], shown: tuple[str, ...]) -> None:
    assert Target("t", "https", "a.example", 443, **members).shown == shown


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (AwsKeys(SOURCE, SOURCE, "eu-central-1", "s3"), "aws eu-central-1 s3"),
        (HmacKey(SOURCE, "{body}", (("X-Signature", "{signature}"),)), "hmac env:KEY"),
        (CertificateFiles(Path("/etc/crm.pem"), SOURCE), "client_cert /etc/crm.pem"),
    ],
)
def test_a_source_in_messages(source: object, text: str) -> None:
    assert str(source) == text


def test_the_secrets_of_what_has_several() -> None:
    other = SecretSource("env", "OTHER")
    assert AwsKeys(SOURCE, other, "r", "s").secrets == (SOURCE, other)
    assert AwsKeys(SOURCE, other, "r", "s", SOURCE).secrets == (SOURCE, other, SOURCE)
    assert HmacKey(SOURCE, "", ()).secrets == (SOURCE,)
    assert HmacKey(SOURCE, "", (), other).secrets == (SOURCE, other)


def test_values_do_not_change() -> None:
    principal = Principal("i", "s", ("r",), 1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        principal.subject = "other"  # type: ignore[misc]


def test_claims_are_not_printed() -> None:
    assert "private" not in repr(Principal("i", "s", ("r",), 1.0, claims={"email": "private"}))
