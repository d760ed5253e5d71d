"""What an agent's process is told to trust."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lockgate.errors import SetupError
from lockgate.launch.certificates import bundle

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(name: str) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, KEY.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_certificates_of_all_files_are_in_it(tmp_path: Path) -> None:
    names = ["one", "two"]
    for name in names:
        (tmp_path / name).write_text(certificate(name))
    text = bundle([tmp_path / name for name in names])
    assert [each.subject.rfc4514_string() for each in x509.load_pem_x509_certificates(text.encode())] == [
        "CN=one",
        "CN=two",
    ]


def test_a_private_key_is_not_handed_to_an_agent(tmp_path: Path) -> None:
    """mitmproxy keeps its CA's key beside the certificate, in a file of nearly the same name."""
    pem = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path = tmp_path / "mitmproxy-ca.pem"
    path.write_text(pem + certificate("ca"))
    with pytest.raises(SetupError, match="private key"):
        bundle([path])


@pytest.mark.parametrize(
    "content", [pytest.param(b"", id="empty"), pytest.param(b"hello", id="text"), pytest.param(b"\xff\xfe", id="bytes")]
)
def test_a_file_without_certificates(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(SetupError, match="no certificate"):
        bundle([path])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No such file"):
        bundle([tmp_path / "ca.pem"])
