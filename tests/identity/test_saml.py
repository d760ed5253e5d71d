"""What an assertion must be to identify anyone, and every way around that."""

from __future__ import annotations

import base64
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from harness import identity_provider as idp
from harness.identity_provider import AUDIENCE, DS, ENTITY, EXCLUSIVE, RECIPIENT, SAML, SAMLP, IdentityProvider, encoded
from lockgate.errors import TokenRejected
from lockgate.identity import saml
from lockgate.identity.metadata import Metadata, parse_metadata
from lockgate.model import Issuer, Saml

NOW = 1_800_000_000.0
NS = {"saml": SAML, "samlp": SAMLP, "ds": DS}
Element = etree._Element


@pytest.fixture(scope="module")
def provider() -> IdentityProvider:
    return IdentityProvider()


@pytest.fixture(scope="module")
def stranger() -> IdentityProvider:
    return IdentityProvider()


@pytest.fixture
def config() -> Issuer:
    return Issuer(
        ENTITY,
        AUDIENCE,
        (),
        "$.attributes.groups[*]",
        alias={"Agents": "support"},
        saml=Saml(Path("idp.xml"), RECIPIENT),
    )


Accept = Callable[..., saml.Assertion]


@pytest.fixture
def accept(config: Issuer, provider: IdentityProvider) -> Accept:
    """What an assertion comes to, as XML or as what an agent presents."""

    def accept(given: bytes | str, now: float = NOW, config: Issuer = config, metadata: str = "") -> saml.Assertion:
        known: Metadata = parse_metadata((metadata or provider.metadata).encode(), "idp.xml", ENTITY)
        token = given if isinstance(given, str) else encoded(given)
        found = saml.verify(saml.read(token), config, RECIPIENT, known, now)
        saml.require_current(found, config, now)
        return found

    return accept


def rejection(accept: Accept, given: bytes | str, **options: object) -> str:
    with pytest.raises(TokenRejected) as caught:
        accept(given, **options)
    return caught.value.reason


def test_a_good_one(accept: Accept, provider: IdentityProvider) -> None:
    xml = provider.assertion("Agents", "reader", now=NOW, identifier="_x")
    found = accept(xml)
    principal = found.principal
    assert (principal.issuer, principal.subject, principal.roles) == (ENTITY, idp.SUBJECT, ("support", "reader"))
    assert (principal.token_id, found.identifier, found.one_time) == ("_x", "_x", False)
    assert principal.expires_at == found.ends_at == NOW + idp.LIFETIME + 30
    assert principal.claims == {
        "iss": ENTITY,
        "aud": AUDIENCE,
        "sub": idp.SUBJECT,
        "jti": "_x",
        "iat": NOW,
        "nbf": NOW - 1,
        "exp": NOW + idp.LIFETIME,
        "attributes": {"groups": ["Agents", "reader"]},
    }


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(encoded, id="bare"),
        pytest.param(lambda xml: encoded(b'<?xml version="1.0" encoding="UTF-8"?>\n' + xml), id="with-a-declaration"),
        pytest.param(lambda xml: base64.urlsafe_b64encode(xml).decode().rstrip("="), id="base64url"),
        pytest.param(lambda xml: encoded(idp.response(xml)), id="in-a-response"),
    ],
)
def test_how_it_may_come(accept: Accept, provider: IdentityProvider, wrap: Callable[[bytes], str]) -> None:
    assert accept(wrap(provider.assertion("a", now=NOW))).principal.roles == ("a",)


@pytest.mark.parametrize(
    ("key", "digest"),
    [
        pytest.param(rsa.generate_private_key(public_exponent=65537, key_size=2048), "sha384", id="RSA-SHA384"),
        pytest.param(rsa.generate_private_key(public_exponent=65537, key_size=2048), "sha512", id="RSA-SHA512"),
        pytest.param(ec.generate_private_key(ec.SECP256R1()), "sha256", id="ECDSA-P256"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), "sha384", id="ECDSA-P384"),
        pytest.param(ec.generate_private_key(ec.SECP521R1()), "sha512", id="ECDSA-P521"),
    ],
)
def test_signatures_that_are_taken(accept: Accept, key: idp.Key, digest: str) -> None:
    other = IdentityProvider(key=key)
    xml = other.sign(other.assertion("a", now=NOW, signed=False), digest=digest)
    assert accept(xml, metadata=other.metadata).principal.roles == ("a",)


def test_namespaces_that_the_signature_names(accept: Accept, provider: IdentityProvider) -> None:
    xml = provider.sign(provider.assertion("a", now=NOW, signed=False), prefixes="xs")
    assert accept(idp.response(xml)).principal.roles == ("a",)


def test_any_certificate_of_the_metadata(
    accept: Accept, provider: IdentityProvider, stranger: IdentityProvider
) -> None:
    both = idp.metadata(ENTITY, [stranger.certificate, provider.certificate])
    assert accept(provider.assertion("a", now=NOW), metadata=both).principal.roles == ("a",)


SESSION = ' SessionNotOnOrAfter="{}"'
CONFIRMATION = (
    '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:{}"><saml:SubjectConfirmationData'
    ' Recipient="' + RECIPIENT + '" {}/></saml:SubjectConfirmation>'
)
LATER = f'NotOnOrAfter="{idp.instant(NOW + 60)}"'


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"after": NOW - 31, "before": NOW - 99, "issued": NOW - 99}, "expired", id="over"),
        pytest.param({"before": NOW + 31}, "not yet valid", id="not-begun"),
        pytest.param({"issued": NOW + 31}, "not yet valid", id="issued-in-the-future"),
        pytest.param({"delivered": NOW - 31}, "expired", id="confirmation-over"),
        pytest.param({"session": SESSION.format(idp.instant(NOW - 31))}, "expired", id="session-over"),
        pytest.param({"session": SESSION.format("2030-01-01T00:00:00+01:00")}, "malformed", id="not-utc"),
        pytest.param({"session": SESSION.format("soon")}, "malformed", id="no-instant"),
        pytest.param({"audience": "https://other.example"}, "wrong audience", id="another-audience"),
        pytest.param({"audience": AUDIENCE + "/"}, "wrong audience", id="nearly-the-audience"),
        pytest.param({"audience": ""}, "wrong audience", id="for-everybody"),
        pytest.param(
            {"conditions": "<saml:AudienceRestriction><saml:Audience>x</saml:Audience></saml:AudienceRestriction>"},
            "wrong audience",
            id="a-second-restriction-without-us",
        ),
        pytest.param({"conditions": "<saml:Condition/>"}, "condition not understood", id="an-unknown-condition"),
        pytest.param({"recipient": "https://lockgate.invalid/saml/"}, "wrong recipient", id="another-recipient"),
        pytest.param({"confirmation": CONFIRMATION.format("sender-vouches", LATER)}, "wrong recipient", id="no-bearer"),
        pytest.param({"confirmation": CONFIRMATION.format("bearer", "")}, "wrong recipient", id="delivered-whenever"),
        pytest.param(
            {"confirmation": CONFIRMATION.format("bearer", LATER + f' NotBefore="{idp.instant(NOW)}"')},
            "wrong recipient",
            id="confirmation-that-begins",
        ),
        pytest.param({"confirmation": "<saml:BaseID/>"}, "wrong recipient", id="unconfirmed"),
        pytest.param({"entity": "https://other.example"}, "unknown issuer", id="another-issuer"),
        pytest.param({"subject": ""}, "malformed", id="no-subject"),
        pytest.param({"subject": " admin"}, "malformed", id="padded-subject"),
        pytest.param({"subject": "ad\u200bmin"}, "malformed", id="invisible-subject"),
        pytest.param({"subject": "a<saml:x/>b"}, "malformed", id="subject-with-elements"),
        pytest.param({"groups": ["<saml:x>a</saml:x>"]}, "attribute is not text", id="attribute-with-elements"),
        pytest.param({"identifier": ""}, "something else is signed", id="no-id"),
    ],
)
def test_what_it_must_say(accept: Accept, provider: IdentityProvider, changes: dict[str, object], reason: str) -> None:
    assert rejection(accept, provider.assertion("a", now=NOW, **changes)) == reason


def test_the_leeway(accept: Accept, provider: IdentityProvider) -> None:
    assert accept(provider.assertion("a", now=NOW, before=NOW + 29, issued=NOW + 29)).principal.roles == ("a",)
    assert accept(provider.assertion("a", now=NOW, after=NOW - 29)).principal.expires_at == NOW + 1


def test_the_longest_life(accept: Accept, provider: IdentityProvider, config: Issuer) -> None:
    short = Issuer(ENTITY, AUDIENCE, (), config.roles, max_ttl=idp.LIFETIME - 1, saml=config.saml)
    assert rejection(accept, provider.assertion("a", now=NOW), config=short) == "lifetime too long"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param("", "malformed", id="nothing"),
        pytest.param("!!!!", "malformed", id="no-base64"),
        pytest.param(b"<a>", "malformed", id="not-well-formed"),
        pytest.param(b"<a/>", "not one assertion", id="something-else"),
        pytest.param(b"\xff", "malformed", id="not-utf-8"),
        pytest.param(f'<Assertion xmlns="{SAML}"/>'.encode("utf-16"), "malformed", id="utf-16"),
        pytest.param(b"<a>" * 40 + b"</a>" * 40, "malformed", id="too-deep"),
        pytest.param(b"<a>" + b"<b/>" * 1000 + b"</a>", "malformed", id="too-many-elements"),
        pytest.param(b"<!DOCTYPE a><a/>", "malformed", id="doctype"),
        pytest.param(b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', "malformed", id="xxe"),
        pytest.param(b'<!DOCTYPE a [<!ENTITY e "eeee">]><a>&e;&e;</a>', "malformed", id="entities"),
        pytest.param(b"<a>&e;</a>", "malformed", id="undefined-entity"),
        pytest.param(b'<?xml-stylesheet href="x"?><a/>', "malformed", id="processing-instruction"),
        pytest.param(f'<EncryptedAssertion xmlns="{SAML}"/>'.encode(), "encrypted assertion", id="encrypted"),
        pytest.param(idp.response(b""), "not one assertion", id="empty-response"),
    ],
)
def test_what_is_no_assertion(accept: Accept, given: bytes | str, reason: str) -> None:
    assert rejection(accept, given) == reason


# Signatures that say less than they seem to


def forged(provider: IdentityProvider, identifier: str = "_evil") -> Element:
    """An assertion for somebody else, unsigned."""
    return etree.fromstring(
        provider.assertion("admin", now=NOW, signed=False, identifier=identifier, subject="root@corp.example")
    )


def signature_of(assertion: Element) -> Element:
    found = assertion.find("ds:Signature", NS)
    assert found is not None
    return found


def holder(*children: Element) -> bytes:
    root = etree.fromstring(idp.response(b""))
    for child in children:
        root.append(child)
    return etree.tostring(root)


def xsw1(good: Element, evil: Element) -> bytes:
    """The signed one in the signature, of a Response that has been copied around it."""
    signature = signature_of(good)
    detached = deepcopy(good)
    detached.remove(signature_of(detached))
    signature.append(detached)
    evil.insert(1, signature)
    return holder(evil)


def xsw2(good: Element, evil: Element) -> bytes:
    """The signature detached, beside the signed one, in front of the forged one."""
    signature = signature_of(good)
    good.remove(signature)
    return holder(signature, good, evil)


def xsw3(good: Element, evil: Element) -> bytes:
    """The forged one first, as a sibling."""
    return holder(evil, good)


def xsw4(good: Element, evil: Element) -> bytes:
    """The signed one within the forged one."""
    evil.append(good)
    return holder(evil)


def xsw5(good: Element, evil: Element) -> bytes:
    """The signature in the forged one, the signed one behind it."""
    signature = signature_of(good)
    good.remove(signature)
    evil.insert(1, signature)
    return holder(evil, good)


def xsw6(good: Element, evil: Element) -> bytes:
    """The signature in the forged one, the signed one within the signature."""
    signature = signature_of(good)
    good.remove(signature)
    evil.insert(1, signature)
    signature.append(good)
    return holder(evil)


def xsw7(good: Element, evil: Element) -> bytes:
    """The forged one in an Extensions element."""
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    extensions.append(evil)
    return holder(extensions, good)


def xsw8(good: Element, evil: Element) -> bytes:
    """The signed one in an Object of the signature, which stands in the forged one."""
    signature = signature_of(good)
    good.remove(signature)
    evil.insert(1, signature)
    etree.SubElement(signature, f"{{{DS}}}Object").append(good)
    return holder(evil)


def same_id(good: Element, evil: Element) -> bytes:
    evil.set("ID", good.get("ID") or "")
    return holder(evil, good)


def within_bare(good: Element, evil: Element) -> bytes:
    evil.append(good)
    return etree.tostring(evil)


def other_namespace(good: Element, evil: Element) -> bytes:
    """The signed one renamed, so that it is not counted."""
    signature = signature_of(good)
    good.remove(signature)
    evil.insert(1, signature)
    good.tag = "Assertion"
    etree.SubElement(signature, f"{{{DS}}}Object").append(good)
    return etree.tostring(evil)


def object_alone(good: Element, evil: Element) -> bytes:
    etree.SubElement(signature_of(good), f"{{{DS}}}Object").text = "x"
    return etree.tostring(good)


def duplicated_id(good: Element, evil: Element) -> bytes:
    signature_of(good).set("Id", good.get("ID") or "")
    return etree.tostring(good)


def second_signature(good: Element, evil: Element) -> bytes:
    good.append(deepcopy(signature_of(good)))
    return etree.tostring(good)


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(wrap, id=wrap.__name__)
        for wrap in (
            xsw1,
            xsw2,
            xsw3,
            xsw4,
            xsw5,
            xsw6,
            xsw7,
            xsw8,
            same_id,
            within_bare,
            other_namespace,
            object_alone,
            duplicated_id,
            second_signature,
        )
    ],
)
def test_wrapped_signatures(
    accept: Accept, provider: IdentityProvider, wrap: Callable[[Element, Element], bytes]
) -> None:
    good = etree.fromstring(provider.assertion("a", now=NOW))
    assert accept(etree.tostring(good)).principal.roles == ("a",)
    assert rejection(accept, wrap(good, forged(provider))) in {
        "not one assertion",
        "malformed",
        "ambiguous",
        "something else is signed",
    }


def test_a_forged_id_under_a_good_signature(accept: Accept, provider: IdentityProvider) -> None:
    """The signature moved to a forgery that has the very ID that it is of."""
    good = etree.fromstring(provider.assertion("a", now=NOW))
    evil = forged(provider, good.get("ID") or "")
    evil.insert(1, signature_of(good))
    assert rejection(accept, etree.tostring(evil)) == "bad signature"


def changed(xml: bytes, old: bytes, new: bytes) -> bytes:
    assert xml.count(old) == 1
    return xml.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        pytest.param(b"agent-7@", b"agent-8@", "bad signature", id="subject-changed"),
        pytest.param(b"agent-7@", b"agent-7<!-- -->@", "malformed", id="comment-in-the-subject"),
        pytest.param(b"@corp", b"@<![CDATA[corp]]>", "malformed", id="cdata-in-the-subject"),
        pytest.param(b"@corp", b"@<?x?>corp", "malformed", id="instruction-in-the-subject"),
        pytest.param(b">a</saml:Attr", b">a<!---->dmin</saml:Attr", "malformed", id="comment-in-an-attribute"),
        pytest.param(b">a</saml:Attr", b">admin</saml:Attr", "bad signature", id="attribute-changed"),
        pytest.param(
            b"<ds:Transforms>", b"<ds:Transforms><ds:Transform Algorithm='x'/>", "algorithm not allowed", id="transform"
        ),
        pytest.param(b"<ds:SignatureValue>", b"<ds:SignatureValue>AAAA", "bad signature", id="signature-changed"),
        pytest.param(b"#rsa-sha256", b"#rsa-sha1", "algorithm not allowed", id="method-renamed"),
        pytest.param(b"#rsa-sha256", b"#hmac-sha256", "algorithm not allowed", id="keyed-with-what-is-public"),
        pytest.param(b"#rsa-sha256", b"#ecdsa-sha256", "bad signature", id="of-another-kind-of-key"),
        pytest.param(b'Version="2.0"', b'Version="1.1"', "bad signature", id="version"),
    ],
)
def test_changed_after_signing(accept: Accept, provider: IdentityProvider, old: bytes, new: bytes, reason: str) -> None:
    assert rejection(accept, changed(provider.assertion("a", now=NOW), old, new)) == reason


def test_comments_that_were_signed(accept: Accept, provider: IdentityProvider) -> None:
    """Canonicalisation leaves comments out: the signature holds, whatever the value is taken to be."""
    xml = provider.assertion("a", now=NOW, subject="admin<!---->@evil.example")
    assert rejection(accept, xml) == "malformed"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"digest": "sha1"}, "algorithm not allowed", id="sha1"),
        pytest.param({"uri": ""}, "something else is signed", id="the-whole-document"),
        pytest.param({"uri": "#xpointer(/)"}, "something else is signed", id="xpointer"),
        pytest.param({"uri": "https://evil.example/"}, "something else is signed", id="something-remote"),
        pytest.param({"uri": "#_other"}, "something else is signed", id="something-else"),
        pytest.param({"transforms": [EXCLUSIVE]}, "algorithm not allowed", id="not-enveloped"),
        pytest.param({"transforms": [idp.ENVELOPED]}, "algorithm not allowed", id="not-canonical"),
        pytest.param(
            {"transforms": [idp.ENVELOPED, "http://www.w3.org/TR/1999/REC-xslt-19991116"]},
            "algorithm not allowed",
            id="xslt",
        ),
        pytest.param({"canonical": EXCLUSIVE + "WithComments"}, "algorithm not allowed", id="with-comments"),
    ],
)
def test_signatures_that_are_not_taken(
    accept: Accept, provider: IdentityProvider, options: dict[str, object], reason: str
) -> None:
    xml = provider.sign(provider.assertion("a", now=NOW, signed=False), **options)
    assert rejection(accept, xml) == reason


def test_unsigned(accept: Accept, provider: IdentityProvider) -> None:
    xml = provider.assertion("a", now=NOW, signed=False)
    assert rejection(accept, xml) == "assertion not signed"
    # The signature of a Response is nobody's of the assertion in it.
    assert rejection(accept, provider.sign(idp.response(xml))) == "assertion not signed"


def test_somebody_elses_key(accept: Accept, stranger: IdentityProvider, provider: IdentityProvider) -> None:
    """Whatever certificate the message brings along."""
    assert rejection(accept, stranger.assertion("a", now=NOW)) == "bad signature"
    claimed = stranger.assertion("a", now=NOW).replace(
        idp.der(stranger.certificate).encode(), idp.der(provider.certificate).encode()
    )
    assert rejection(accept, claimed) == "bad signature"


def test_a_certificate_that_has_ended(accept: Accept, provider: IdentityProvider) -> None:
    ended = idp.metadata(ENTITY, [idp.certificate(provider.key, ends=2026)])
    assert rejection(accept, provider.assertion("a", now=NOW), metadata=ended) == "certificate out of date"


@pytest.mark.parametrize("status", ["Requester", "Responder", ""])
def test_a_response_that_is_no_success(accept: Accept, provider: IdentityProvider, status: str) -> None:
    assert rejection(accept, idp.response(provider.assertion("a", now=NOW), status)) == "not a success"


def test_two_assertions(accept: Accept, provider: IdentityProvider) -> None:
    both = provider.assertion("a", now=NOW) + provider.assertion("b", now=NOW)
    assert rejection(accept, idp.response(both)) == "not one assertion"
    encrypted = f'<saml:EncryptedAssertion xmlns:saml="{SAML}"/>'.encode()
    assert rejection(accept, idp.response(provider.assertion("a", now=NOW), extra=encrypted)) == "encrypted assertion"


def test_attributes_come_together(accept: Accept, provider: IdentityProvider) -> None:
    """Some providers send one Attribute for each value."""
    more = (
        '<saml:AttributeStatement><saml:Attribute Name="groups"><saml:AttributeValue>b</saml:AttributeValue>'
        "</saml:Attribute></saml:AttributeStatement>"
    )
    found = accept(provider.assertion("a", now=NOW, extra=more))
    assert found.principal.roles == ("a", "b")


def test_one_time_use_is_known(accept: Accept, provider: IdentityProvider) -> None:
    assert accept(provider.assertion("a", now=NOW, conditions="<saml:OneTimeUse/>")).one_time


def test_a_shorter_session(accept: Accept, provider: IdentityProvider) -> None:
    found = accept(provider.assertion("a", now=NOW, session=SESSION.format(idp.instant(NOW + 60)), delivered=NOW + 20))
    assert (found.principal.expires_at, found.ends_at) == (NOW + 50, NOW + 90)
