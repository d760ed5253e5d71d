"""Who signs a SAML identity provider's assertions: the certificates in its metadata (SAML Metadata 2.0), in a file that
may change at any time.
"""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lockgate.errors import KeysUnavailable, KeysWithdrawn
from lockgate.identity import xml
from lockgate.identity.jwks import CURVES, MAX_FILE, MIN_RSA_BITS, stamp

NAMESPACES = {"md": "urn:oasis:names:tc:SAML:2.0:metadata", "ds": "http://www.w3.org/2000/09/xmldsig#"}
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
ENTITY = "{urn:oasis:names:tc:SAML:2.0:metadata}EntityDescriptor"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What one identity provider signs with: its certificates by the SHA-256 of their DER, in hex.

    They count until `valid_until` (seconds since the epoch), where its metadata has an end. `version` changes whenever
    any of it does.
    """

    certificates: Mapping[str, x509.Certificate]
    valid_until: float | None
    version: str


class MetadataFile:
    """The metadata of `entity` in a file, read again when it changes. One that has become unusable vouches for none."""

    def __init__(self, path: Path, entity: str) -> None:
        self.path = path
        self._entity = entity
        self._held: tuple[tuple[int, ...], Metadata] | None = None

    def read(self, now: float) -> Metadata:
        """The metadata as the file has it at `now`, in seconds since the epoch. Raises KeysUnavailable.

        For any thread.
        """
        held = self._held
        try:
            if held is None or stamp(self.path.stat()) != held[0]:
                self._held = None
                with self.path.open("rb") as file:
                    seen = stamp(os.fstat(file.fileno()))
                    content = file.read(MAX_FILE + 1)
                held = self._held = seen, parse_metadata(content, str(self.path), self._entity)
        except OSError as error:
            raise KeysUnavailable(f"{self.path}: {error.strerror}") from error
        metadata = held[1]
        if metadata.valid_until is not None and now >= metadata.valid_until:
            raise KeysUnavailable(f"{self.path}: its validUntil has passed; get it anew from the identity provider")
        return metadata


def parse_metadata(content: bytes, name: str, entity: str) -> Metadata:
    """The metadata document of `entity`, an EntityDescriptor; `name` is the file's, for errors.

    Certificates count whose keys sign (`use` is signing, or not said). Keys that are too weak or not supported are left
    out. Raises KeysUnavailable, KeysWithdrawn where it is metadata that has none left.
    """
    if len(content) > MAX_FILE:
        raise KeysUnavailable(f"{name}: larger than {MAX_FILE} bytes")
    try:
        root = xml.parse(content)
        until = root.get("validUntil")
        valid_until = None if until is None else xml.seconds(until)
    except ValueError as error:
        raise KeysUnavailable(f"{name}: {error}") from None
    if root.tag != ENTITY:
        raise KeysUnavailable(f"{name}: not the metadata of one SAML 2.0 entity, which is an EntityDescriptor")
    if root.get("entityID") != entity:
        raise KeysUnavailable(f"{name}: the metadata of another entity; its entityID must be {entity}")
    found = {sha256(der).hexdigest(): certificate for der in ders(root, name) if (certificate := usable(der, name))}
    if not found:
        raise KeysWithdrawn(f"{name}: has no usable certificate of an identity provider")
    return Metadata(found, valid_until, sha256(content).hexdigest())


def ders(root: xml.Element, name: str) -> Iterator[bytes]:
    for role in root.findall("md:IDPSSODescriptor", NAMESPACES):
        if PROTOCOL not in role.get("protocolSupportEnumeration", "").split():
            continue
        for key in role.findall("md:KeyDescriptor", NAMESPACES):
            if key.get("use", "signing") != "signing":
                continue
            for held in key.findall("ds:KeyInfo/ds:X509Data/ds:X509Certificate", NAMESPACES):
                try:
                    yield b64decode("".join((held.text or "").split()), validate=True)
                except ValueError:
                    raise KeysUnavailable(f"{name}: an X509Certificate is not base64") from None


def usable(der: bytes, name: str) -> x509.Certificate | None:
    """The certificate, unless signatures by its key are not taken: RSA of 2048 bits or more, or a NIST curve."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise KeysUnavailable(f"{name}: an X509Certificate cannot be read") from None
    if isinstance(key, rsa.RSAPublicKey):
        return certificate if key.key_size >= MIN_RSA_BITS else None
    return (
        certificate
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, tuple(CURVES.values()))
        else None
    )
