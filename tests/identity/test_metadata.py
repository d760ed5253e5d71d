from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from harness import identity_provider as idp
from harness.identity_provider import ENTITY
from lockgate.errors import KeysUnavailable, KeysWithdrawn
from lockgate.identity.metadata import MetadataFile, parse_metadata

NOW = 1_800_000_000.0


def document(*keys: idp.Key, **options: str) -> bytes:
    return idp.metadata(ENTITY, [idp.certificate(key) for key in keys], **options).encode()


def test_its_certificates(private_keys: SimpleNamespace) -> None:
    content = document(private_keys.rsa, private_keys.p256, private_keys.weak_rsa)
    found = parse_metadata(content, "idp.xml", ENTITY)
    kept = [private_keys.rsa.public_key(), private_keys.p256.public_key()]
    assert [one.public_key() for one in found.certificates.values()] == kept
    assert all(name == name.lower() and len(name) == 64 for name in found.certificates)
    assert found.valid_until is None
    assert parse_metadata(document(private_keys.other_rsa), "idp.xml", ENTITY).version != found.version


def test_a_key_without_a_use_signs_too(private_keys: SimpleNamespace) -> None:
    content = document(private_keys.rsa).replace(b' use="signing"', b"")
    assert len(parse_metadata(content, "idp.xml", ENTITY).certificates) == 1


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        pytest.param(b"<md:Ent", b"<", "not well-formed XML in UTF-8", id="not-xml"),
        pytest.param(b"<md:Ent", b"<!DOCTYPE x><md:Ent", "has a DTD", id="dtd"),
        pytest.param(
            b"EntityDescriptor", b"EntitiesDescriptor", "not the metadata of one SAML 2.0 entity", id="aggregate"
        ),
        pytest.param(b"//idp.example", b"//other.example", f"its entityID must be {ENTITY}", id="another-entity"),
        pytest.param(b">MII", b">!MII", "is not base64", id="not-base64"),
        pytest.param(b">MII", b">AAA", "cannot be read", id="no-certificate"),
    ],
)
def test_what_is_no_metadata(private_keys: SimpleNamespace, old: bytes, new: bytes, problem: str) -> None:
    content = document(private_keys.rsa).replace(old, new)
    with pytest.raises(KeysUnavailable, match=r"^idp\.xml: ") as caught:
        parse_metadata(content, "idp.xml", ENTITY)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b'"signing"', b'"encryption"', id="for-encryption"),
        pytest.param(b"IDPSSO", b"SPSSO", id="no-identity-provider"),
        pytest.param(b"SAML:2.0:protocol", b"SAML:1.1:protocol", id="saml-1.1"),
    ],
)
def test_metadata_without_a_certificate(private_keys: SimpleNamespace, old: bytes, new: bytes) -> None:
    with pytest.raises(KeysWithdrawn):
        parse_metadata(document(private_keys.rsa).replace(old, new), "idp.xml", ENTITY)


def test_weak_keys_alone(private_keys: SimpleNamespace) -> None:
    with pytest.raises(KeysWithdrawn):
        parse_metadata(document(private_keys.weak_rsa), "idp.xml", ENTITY)
    with pytest.raises(KeysWithdrawn):
        parse_metadata(document(ec.generate_private_key(ec.SECP256K1())), "idp.xml", ENTITY)


def test_it_has_an_end(private_keys: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "idp.xml"
    path.write_bytes(document(private_keys.rsa, until=f' validUntil="{idp.instant(NOW)}"'))
    file = MetadataFile(path, ENTITY)
    assert file.read(NOW - 1).certificates
    with pytest.raises(KeysUnavailable, match="validUntil has passed"):
        file.read(NOW)
    path.write_bytes(document(private_keys.rsa, until=' validUntil="soon"'))
    with pytest.raises(KeysUnavailable, match="not an instant in UTC"):
        file.read(NOW)


def test_a_file_that_changes(private_keys: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "idp.xml"
    file = MetadataFile(path, ENTITY)
    with pytest.raises(KeysUnavailable, match="No such file"):
        file.read(NOW)
    path.write_bytes(document(private_keys.rsa))
    first = file.read(NOW)
    assert file.read(NOW) is first
    draft = tmp_path / "draft"
    draft.write_bytes(document(private_keys.other_rsa))
    os.replace(draft, path)  # noqa: PTH105
    assert not first.certificates.keys() & file.read(NOW).certificates.keys()
    path.write_bytes(b"<x")
    for _ in range(2):
        with pytest.raises(KeysUnavailable):
            file.read(NOW)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "idp.xml"
    path.write_bytes(b" " * (1024 * 1024 + 1))
    with pytest.raises(KeysUnavailable, match="larger than"):
        MetadataFile(path, ENTITY).read(NOW)
