"""`client_cert`: a certificate that the gateway shows in its TLS handshake with a target (mutual TLS, RFC 8446, 4.4.2).

The private key is read into memory only, and from there into OpenSSL.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from lockgate.errors import SecretUnavailable
from lockgate.model import CertificateFiles, CredentialSpec, Sensitive

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

MAX_FILE = 64 * 1024  # bytes


class ClientCertificate(Sensitive):
    """A certificate with the chain up to its issuer, and the private key."""

    __slots__ = ("_chain", "_key", "name")

    def __init__(self, name: str, chain: list[x509.Certificate], key: PrivateKey) -> None:
        """`name` is that of its entry in the rules; the first of `chain` is the certificate itself."""
        self.name = name
        self._chain = tuple(chain)
        self._key = key

    def __repr__(self) -> str:
        return f"<ClientCertificate {self.name} redacted>"

    def install(self, context: SSL.Context) -> None:
        """Show it in handshakes of connections made with `context`, where the other side asks for one."""
        own, *others = self._chain
        context.use_certificate(own)
        for other in others:
            context.add_extra_chain_cert(other)
        context.use_privatekey(self._key)


def client_cert(spec: CredentialSpec, key: str, chain: str) -> ClientCertificate:
    """Of PEM, as the entry's `cert` and `key` have it. Raises SecretUnavailable, which quotes nothing of the key."""
    files = cast("CertificateFiles", spec.source)
    try:
        certificates = x509.load_pem_x509_certificates(chain.encode())
    except ValueError:
        raise SecretUnavailable(f"{files.cert}: not a certificate in PEM") from None
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except TypeError:
        raise SecretUnavailable(f"{files.key}: the key is encrypted") from None
    except ValueError:
        raise SecretUnavailable(f"{files.key}: not a private key in PEM") from None
    if not isinstance(private, get_args(PrivateKey)):
        raise SecretUnavailable(f"{files.key}: not a key of a kind that TLS takes")
    if private.public_key() != certificates[0].public_key():
        raise SecretUnavailable(f"{files.key} is not the key of {files.cert}")
    return ClientCertificate(spec.name, certificates, private)


def read_chain(path: Path) -> str:
    """A certificate file's content. Blocks. Raises SecretUnavailable."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise SecretUnavailable(f"{path}: {error.strerror}") from error
    if len(content) > MAX_FILE:
        raise SecretUnavailable(f"{path}: larger than {MAX_FILE} bytes")
    return content.decode("ascii", errors="replace")
