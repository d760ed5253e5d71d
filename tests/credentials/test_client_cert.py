from __future__ import annotations

import copy
import pickle
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from OpenSSL import SSL

from lockgate.credentials.client_cert import MAX_FILE, client_cert, read_chain
from lockgate.errors import SecretUnavailable
from lockgate.model import CertificateFiles, CredentialSpec, SecretSource

KEY = SecretSource("env", "CRM_KEY", form="pem")
SPEC = CredentialSpec("crm-mtls", "client_cert", ("api.crm.example",), CertificateFiles(Path("crm.pem"), KEY))


def pem(key, encryption=None) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        encryption or serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def issued(authority) -> tuple[str, str]:
    return authority.issue("gateway.example")


def test_a_certificate_and_its_key(issued):
    certificate, key = issued
    made = client_cert(SPEC, key, certificate)
    assert made.name == "crm-mtls"
    assert client_cert(SPEC, key, f"of its bag\n{certificate}") != made


def test_prints_nothing_and_is_not_copied(issued):
    made = client_cert(SPEC, issued[1], issued[0])
    assert repr(made) == "<ClientCertificate crm-mtls redacted>"
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            act(made)


def handshake(made, authority, tmp_path: Path) -> tuple[list[str], ssl.SSLObject]:
    """What a server is shown that demands a certificate: the names of all that came."""
    server_side = authority.server_context("server.example")
    server_side.verify_mode = ssl.CERT_REQUIRED
    server_side.load_verify_locations(authority.pem)
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    made.install(context)
    client = SSL.Connection(context)
    client.set_connect_state()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_side.wrap_bio(incoming, outgoing, server_side=True)
    for _ in range(4):
        try:
            client.do_handshake()
        except SSL.WantReadError:
            pass
        try:
            incoming.write(client.bio_read(65536))
            server.do_handshake()
        except (ssl.SSLWantReadError, SSL.WantReadError):
            pass
        if data := outgoing.read():
            client.bio_write(data)
    shown = server.getpeercert()
    assert shown is not None
    return [value for part in shown["subject"] for _, value in part], server


def test_it_is_shown_to_who_asks(issued, authority, tmp_path):
    names, _ = handshake(client_cert(SPEC, issued[1], issued[0]), authority, tmp_path)
    assert names == ["gateway.example"]


def test_its_chain_is_shown_too(issued, authority, tmp_path):
    chain = issued[0] + authority.pem.read_text()
    _, server = handshake(client_cert(SPEC, issued[1], chain), authority, tmp_path)
    assert len(server._sslobj.get_unverified_chain()) == 2  # public from Python 3.13 on


RSA = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
ENCRYPTED = pem(ec.generate_private_key(ec.SECP256R1()), serialization.BestAvailableEncryption(b"passphrase"))
OF_NO_USE = pem(x25519.X25519PrivateKey.generate())


@pytest.mark.parametrize(
    ("key", "why"),
    [
        pytest.param(RSA, "is not the key of", id="another-kind"),
        pytest.param(pem(ec.generate_private_key(ec.SECP256R1())), "is not the key of", id="another"),
        pytest.param(ENCRYPTED, "is encrypted", id="encrypted"),
        pytest.param(OF_NO_USE, "not a key of a kind that TLS takes", id="no-use"),
        pytest.param("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a private key", id="junk"),
        pytest.param("correct-horse-battery", "not a private key", id="text"),
    ],
)
def test_wrong_keys(issued, key, why):
    with pytest.raises(SecretUnavailable, match=why) as caught:
        client_cert(SPEC, key, issued[0])
    assert not any(line in str(caught.value) for line in key.splitlines())
    assert "env:CRM_KEY" in str(caught.value)


@pytest.mark.parametrize("chain", ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_wrong_certificates(issued, chain):
    with pytest.raises(SecretUnavailable, match=r"crm\.pem: not a certificate"):
        client_cert(SPEC, issued[1], chain)


def test_a_key_in_place_of_the_certificate(issued):
    with pytest.raises(SecretUnavailable, match="not a certificate"):
        client_cert(SPEC, issued[1], issued[1])


def test_its_file_is_read(tmp_path):
    path = tmp_path / "crm.pem"
    path.write_bytes(b"PEM\xff")
    assert read_chain(path) == "PEM\ufffd"
    path.write_bytes(b"x" * (MAX_FILE + 1))
    with pytest.raises(SecretUnavailable, match="larger than"):
        read_chain(path)
    for missing in (tmp_path / "none.pem", tmp_path):
        with pytest.raises(SecretUnavailable, match=str(missing)):
            read_chain(missing)
