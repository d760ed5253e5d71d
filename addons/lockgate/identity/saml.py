"""SAML 2.0 assertions to principals: the bearer assertions of the Web Browser SSO profile (SAML Profiles 2.0, 4.1).

An assertion is taken bare, or alone in a Response; it is signed itself, by a certificate in its identity provider's
metadata. What is read is what the signature covers, parsed again from those very bytes. Nothing asked for it, as when a
login starts at the identity provider, so an `InResponseTo` says nothing here. Pure: the clock is the caller's.
"""

from __future__ import annotations

import logging
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidCertificate
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from lockgate.errors import TokenRejected
from lockgate.identity import xml
from lockgate.identity.jwt import require_times, roles_of
from lockgate.identity.metadata import Metadata
from lockgate.identity.xml import Element
from lockgate.model import Issuer, Principal

MAX_ELEMENTS = 1000
MAX_DEPTH = 32

NAMESPACES = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
ASSERTION = f"{{{NAMESPACES['saml']}}}Assertion"
ENCRYPTED = f"{{{NAMESPACES['saml']}}}EncryptedAssertion"
RESPONSE = f"{{{NAMESPACES['samlp']}}}Response"
SIGNATURE = f"{{{NAMESPACES['ds']}}}Signature"
IDS = ("ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id")

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
ENTITY_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
CONDITIONS = {f"{{{NAMESPACES['saml']}}}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")}

ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
RSA_METHODS = frozenset(
    {
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.SHA256_RSA_MGF1,
        SignatureMethod.SHA384_RSA_MGF1,
        SignatureMethod.SHA512_RSA_MGF1,
    }
)
ECDSA_METHODS = frozenset({SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384, SignatureMethod.ECDSA_SHA512})
DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})

# At its finest level it logs what it verifies.
logging.getLogger("signxml").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Assertion:
    """One that held, but for its times.

    `certificate` is the SHA-256 of the one that signed it. `ends_at` is when what it says is over, in seconds since the
    epoch with the issuer's leeway; `principal.expires_at`, until when it may be presented, is never later.
    """

    principal: Principal
    identifier: str
    certificate: str
    ends_at: float
    one_time: bool


def read(token: str) -> Element:
    """The one Assertion in a base64 `token`, which is it, or a Response with it; its issuer and signature unverified.

    Both alphabets of base64 (RFC 4648) are taken: the usual one stands badly in a URL. Raises TokenRejected.
    """
    try:
        plain = token.rstrip("=").translate(str.maketrans("-_", "+/"))
        content = b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        root = xml.parse_message(content, MAX_ELEMENTS, MAX_DEPTH)
    except (ValueError, Error):
        raise TokenRejected("malformed") from None
    if next(root.iter(ENCRYPTED), None) is not None:
        raise TokenRejected("encrypted assertion")
    assertions = list(root.iter(ASSERTION))
    if len(assertions) != 1:
        raise TokenRejected("not one assertion")
    assertion = assertions[0]
    if root.tag == RESPONSE and assertion.getparent() is root:
        status = root.findall("samlp:Status/samlp:StatusCode", NAMESPACES)
        if [one.get("Value") for one in status] != [SUCCESS]:
            raise TokenRejected("not a success")
    elif root is not assertion:
        raise TokenRejected("malformed")
    names = [element.get(name) for element in root.iter() for name in IDS if element.get(name) is not None]
    if len(names) != len(set(names)):
        raise TokenRejected("ambiguous")
    return assertion


def named_issuer(assertion: Element) -> str:
    """Who it says has issued it. Raises TokenRejected."""
    issuer = only(assertion, "saml:Issuer")
    if issuer.get("Format", ENTITY_FORMAT) != ENTITY_FORMAT:
        raise TokenRejected("unknown issuer")
    return text(issuer)


def verify(assertion: Element, issuer: Issuer, recipient: str, metadata: Metadata, now: float) -> Assertion:
    """What `assertion` says, once it is signed, by `issuer`, for us: its audience, at `recipient`. Of times only the
    certificate's is looked at.

    Raises TokenRejected.
    """
    certificate, signed = verified(assertion, metadata, now)
    if signed.tag != ASSERTION or signed.get("ID") != assertion.get("ID") or signed.get("Version") != "2.0":
        raise TokenRejected("malformed")
    if named_issuer(signed) != issuer.issuer:
        raise TokenRejected("unknown issuer")
    conditions = only(signed, "saml:Conditions")
    require_audience(conditions, issuer.audience)
    ends = [instant(conditions, "NotOnOrAfter"), *session_ends(signed)]
    claims: dict[str, Any] = {
        "iss": issuer.issuer,
        "aud": issuer.audience,
        "sub": subject(signed),
        "jti": signed.get("ID"),
        "iat": int(instant(signed, "IssueInstant")),
        "exp": int(min(*ends, confirmed_until(signed, recipient))),
        "attributes": attributes(signed),
    }
    if conditions.get("NotBefore") is not None:
        claims["nbf"] = int(instant(conditions, "NotBefore"))
    principal = Principal(
        issuer=issuer.issuer,
        subject=claims["sub"],
        roles=roles_of(claims, issuer),
        expires_at=claims["exp"] + issuer.leeway,
        token_id=claims["jti"],
        claims=claims,
    )
    one_time = conditions.find("saml:OneTimeUse", NAMESPACES) is not None
    return Assertion(principal, claims["jti"], certificate, min(ends) + issuer.leeway, one_time)


def require_current(assertion: Assertion, issuer: Issuer, now: float) -> None:
    """Raise TokenRejected where it may not be presented at `now`."""
    require_times(assertion.principal.claims, issuer, now)


# The signature


def verified(assertion: Element, metadata: Metadata, now: float) -> tuple[str, Element]:
    """Which certificate signed it, and what exactly it signed. Raises TokenRejected."""
    document = xml.parse(xml.alone(assertion))
    signature = require_profile(document)
    for hint in signature.findall("ds:KeyInfo", NAMESPACES):
        signature.remove(hint)  # a message does not choose its key
    method = SignatureMethod(only(signature, "ds:SignedInfo/ds:SignatureMethod").get("Algorithm"))
    reason = "bad signature"
    for name, certificate in metadata.certificates.items():
        if method not in methods(certificate):
            continue
        config = SignatureConfiguration(
            location="./",
            signature_methods=frozenset({method}),
            digest_algorithms=DIGESTS,
            verification_time=datetime.fromtimestamp(now, UTC),
        )
        try:
            result = XMLVerifier().verify(document, x509_cert=certificate, id_attribute="ID", expect_config=config)
            if isinstance(result, VerifyResult):
                return name, xml.parse(result.signed_data)
        except InvalidCertificate:
            reason = "certificate out of date"
        except Exception:  # noqa: BLE001, S112 - whatever it finds wrong: this certificate does not vouch for it
            continue
    raise TokenRejected(reason)


def require_profile(document: Element) -> Element:
    """The one signature of an Assertion, once it is what SAML allows (SAML Core 2.0, 5.4): enveloped, of the whole
    element that it stands in and nothing else, with algorithms that are taken. Raises TokenRejected.
    """
    signatures = list(document.iter(SIGNATURE))
    if not signatures:
        raise TokenRejected("assertion not signed")
    if len(signatures) != 1 or signatures[0].getparent() is not document:
        raise TokenRejected("malformed")
    signature = signatures[0]
    if signature.find("ds:Object", NAMESPACES) is not None:
        raise TokenRejected("malformed")
    reference = only(signature, "ds:SignedInfo/ds:Reference")
    identifier = document.get("ID")
    if not identifier or reference.get("URI") != f"#{identifier}":
        raise TokenRejected("something else is signed")
    transforms = [one.get("Algorithm") for one in reference.findall("ds:Transforms/ds:Transform", NAMESPACES)]
    accepted = {
        "ds:SignedInfo/ds:CanonicalizationMethod": {EXCLUSIVE},
        "ds:SignedInfo/ds:SignatureMethod": {method.value for method in RSA_METHODS | ECDSA_METHODS},
        "ds:SignedInfo/ds:Reference/ds:DigestMethod": {digest.value for digest in DIGESTS},
    }
    named = all(only(signature, path).get("Algorithm") in values for path, values in accepted.items())
    if not named or transforms != [ENVELOPED, EXCLUSIVE]:
        raise TokenRejected("algorithm not allowed")
    return signature


def methods(certificate: x509.Certificate) -> frozenset[SignatureMethod]:
    return RSA_METHODS if isinstance(certificate.public_key(), rsa.RSAPublicKey) else ECDSA_METHODS


# What it says


def subject(signed: Element) -> str:
    name = text(only(signed, "saml:Subject/saml:NameID"))
    if name != name.strip() or not name.isprintable():
        raise TokenRejected("malformed")
    return name


def require_audience(conditions: Element, audience: str) -> None:
    """SAML Core 2.0, 2.5.1: every restriction must have us in it; a condition that is not understood is not met."""
    if any(one.tag not in CONDITIONS for one in conditions):
        raise TokenRejected("condition not understood")
    restrictions = conditions.findall("saml:AudienceRestriction", NAMESPACES)
    named = [[text(one) for one in each.findall("saml:Audience", NAMESPACES)] for each in restrictions]
    if not named or not all(audience in each for each in named):
        raise TokenRejected("wrong audience")


def confirmed_until(signed: Element, recipient: str) -> float:
    """Until when it may be delivered to us by whoever bears it (SAML Profiles 2.0, 4.1.4.2). Raises TokenRejected."""
    ends = []
    for one in signed.findall("saml:Subject/saml:SubjectConfirmation", NAMESPACES):
        data = one.findall("saml:SubjectConfirmationData", NAMESPACES)
        if one.get("Method") != BEARER or len(data) != 1 or data[0].get("NotBefore") is not None:
            continue
        if data[0].get("Recipient") == recipient and data[0].get("NotOnOrAfter") is not None:
            ends.append(instant(data[0], "NotOnOrAfter"))
    if not ends:
        raise TokenRejected("wrong recipient")
    return max(ends)


def session_ends(signed: Element) -> Iterator[float]:
    for one in signed.findall("saml:AuthnStatement", NAMESPACES):
        if one.get("SessionNotOnOrAfter") is not None:
            yield instant(one, "SessionNotOnOrAfter")


def attributes(signed: Element) -> dict[str, list[str]]:
    """The values of each attribute by its name, in the order they stand; only text is a value here."""
    found: dict[str, list[str]] = {}
    if signed.find("saml:AttributeStatement/saml:EncryptedAttribute", NAMESPACES) is not None:
        raise TokenRejected("encrypted attribute")
    for one in signed.findall("saml:AttributeStatement/saml:Attribute", NAMESPACES):
        name = one.get("Name")
        if not name:
            raise TokenRejected("malformed")
        values = one.findall("saml:AttributeValue", NAMESPACES)
        if any(len(value) for value in values):
            raise TokenRejected("attribute is not text")
        found.setdefault(name, []).extend(value.text or "" for value in values)
    return found


def only(element: Element, path: str) -> Element:
    """The one element at `path`. Raises TokenRejected."""
    found = element.findall(path, NAMESPACES)
    if len(found) != 1:
        raise TokenRejected("malformed")
    return found[0]


def text(element: Element) -> str:
    """All the text of an element that has nothing but text. Raises TokenRejected."""
    if len(element) or not element.text:
        raise TokenRejected("malformed")
    found: str = element.text
    return found


def instant(element: Element, name: str) -> float:
    try:
        return xml.seconds(element.get(name, ""))
    except ValueError:
        raise TokenRejected("malformed") from None
