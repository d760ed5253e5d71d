"""A SAML 2.0 identity provider: signs assertions, good ones and every kind of bad one, with no library of the gateway's
but lxml, which canonicalises.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from lxml import etree  # type: ignore[import-untyped]

ENTITY = "https://idp.example/metadata"
AUDIENCE = "https://lockgate.example"
RECIPIENT = "https://lockgate.invalid/saml"
SUBJECT = "agent-7@corp.example"
LIFETIME = 300.0  # seconds

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
DIGESTS = {
    "sha1": "http://www.w3.org/2000/09/xmldsig#sha1",
    "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "sha384": MORE + "sha384",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
}
HASHES: Mapping[str, Any] = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class IdentityProvider:
    """One RSA key; `metadata` is what the gateway is given of it. `issued` is every assertion so far, in base64."""

    def __init__(self, entity: str = ENTITY, key: Key | None = None) -> None:
        self.entity = entity
        self.key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = certificate(self.key)
        self.issued: list[str] = []
        self._ids = count(1)

    @property
    def metadata(self) -> str:
        return metadata(self.entity, [self.certificate])

    def assertion(self, *roles: str, now: float | None = None, signed: bool = True, **changes: Any) -> bytes:
        """An Assertion for `roles`, as XML. What may change: see `template`."""
        fields: dict[str, Any] = {
            "identifier": f"_{id(self):x}-{next(self._ids)}",
            "entity": self.entity,
            "groups": roles,
        }
        xml = template(time.time() if now is None else now, **(fields | changes))
        return self.sign(xml) if signed else xml

    def sign(self, xml: bytes, **options: Any) -> bytes:
        return sign(xml, self.key, self.certificate, **options)

    def token(self, *roles: str, **changes: Any) -> str:
        """A signed assertion as an agent presents it."""
        self.issued.append(encoded(self.assertion(*roles, **changes)))
        return self.issued[-1]


def encoded(xml: bytes) -> str:
    return base64.b64encode(xml).decode("ascii")


def instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def template(
    now: float,
    *,
    identifier: str = "_a1",
    entity: str = ENTITY,
    subject: str = SUBJECT,
    groups: Sequence[str] = (),
    audience: str = AUDIENCE,
    recipient: str = RECIPIENT,
    issued: float | None = None,
    before: float | None = None,
    after: float | None = None,
    delivered: float | None = None,
    session: str = "",
    conditions: str = "",
    confirmation: str = "",
    extra: str = "",
) -> bytes:
    """An Assertion of `now`, unsigned; the values stand in it as they are. `extra` is what else is in it."""
    start, end = now - 1 if before is None else before, now + LIFETIME if after is None else after
    values = "".join(f"<saml:AttributeValue>{group}</saml:AttributeValue>" for group in groups)
    confirmation = confirmation or (
        '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData'
        f' Recipient="{recipient}" NotOnOrAfter="{instant(now + LIFETIME if delivered is None else delivered)}"/>'
        "</saml:SubjectConfirmation>"
    )
    restriction = (
        f"<saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>"
        if audience
        else ""
    )
    return (
        f'<saml:Assertion xmlns:saml="{SAML}" xmlns:xs="http://www.w3.org/2001/XMLSchema" ID="{identifier}"'
        f' Version="2.0" IssueInstant="{instant(now if issued is None else issued)}">'
        f"<saml:Issuer>{entity}</saml:Issuer><saml:Subject><saml:NameID>{subject}</saml:NameID>{confirmation}</saml:Subject>"
        f'<saml:Conditions NotBefore="{instant(start)}" NotOnOrAfter="{instant(end)}">{restriction}{conditions}'
        f'</saml:Conditions><saml:AuthnStatement AuthnInstant="{instant(now)}"{session}><saml:AuthnContext>'
        "<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:X509</saml:AuthnContextClassRef>"
        "</saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement>"
        f'<saml:Attribute Name="groups">{values}</saml:Attribute></saml:AttributeStatement>{extra}</saml:Assertion>'
    ).encode()


def response(content: bytes, status: str = "Success", extra: bytes = b"") -> bytes:
    """A Response with some content."""
    return (
        (
            f'<samlp:Response xmlns:samlp="{SAMLP}" ID="_r1" Version="2.0"><samlp:Status><samlp:StatusCode'
            f' Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></samlp:Status>'
        ).encode()
        + content
        + extra
        + b"</samlp:Response>"
    )


def sign(
    xml: bytes,
    key: Key,
    own: x509.Certificate,
    *,
    digest: str = "sha256",
    method: str = "",
    uri: str | None = None,
    transforms: Sequence[str] = (ENVELOPED, EXCLUSIVE),
    canonical: str = EXCLUSIVE,
    prefixes: str = "",
) -> bytes:
    """`xml` with a signature of its root behind its first child (XML Signature 1.1, SAML Core 2.0, 5.4)."""
    root = etree.fromstring(xml)
    inclusive = f'<InclusiveNamespaces xmlns="{EXCLUSIVE}" PrefixList="{prefixes}"/>' if prefixes else ""
    content = etree.tostring(root, method="c14n", exclusive=True, inclusive_ns_prefixes=prefixes.split() or None)
    value = base64.b64encode(hashlib.new(digest, content).digest()).decode()
    method = method or MORE + ("rsa-" if isinstance(key, rsa.RSAPrivateKey) else "ecdsa-") + digest
    steps = "".join(
        f'<ds:Transform Algorithm="{name}">{inclusive if name == EXCLUSIVE else ""}</ds:Transform>'
        for name in transforms
    )
    uri = f"#{root.get('ID')}" if uri is None else uri
    signature = etree.fromstring(
        f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{canonical}"/>'
        f'<ds:SignatureMethod Algorithm="{method}"/><ds:Reference URI="{uri}"><ds:Transforms>{steps}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{DIGESTS[digest]}"/><ds:DigestValue>{value}</ds:DigestValue></ds:Reference>'
        f"</ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{der(own)}"
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>"
    )
    info = etree.tostring(signature[0], method="c14n", exclusive=True)
    signature[1].text = base64.b64encode(raw(key, info, HASHES[digest])).decode()
    root.insert(1, signature)
    signed: bytes = etree.tostring(root)
    return signed


def raw(key: Key, data: bytes, algorithm: Any) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), algorithm)
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(algorithm)))
    size = (key.key_size + 7) // 8
    return r.to_bytes(size) + s.to_bytes(size)


def certificate(key: Key, ends: int = 2100) -> x509.Certificate:
    """Of its own making, until the year `ends`."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp.example")])
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(ends, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )


def der(one: x509.Certificate) -> str:
    return base64.b64encode(one.public_bytes(serialization.Encoding.DER)).decode()


def metadata(entity: str, certificates: Sequence[x509.Certificate], *, use: str = "signing", until: str = "") -> str:
    keys = "".join(
        f'<md:KeyDescriptor use="{use}"><ds:KeyInfo xmlns:ds="{DS}"><ds:X509Data><ds:X509Certificate>{der(one)}'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        for one in certificates
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"'
        f' entityID="{entity}"{until}><!-- made for tests --><md:IDPSSODescriptor protocolSupportEnumeration="{SAMLP}">'
        f"{keys}</md:IDPSSODescriptor></md:EntityDescriptor>\n"
    )
