from __future__ import annotations

import hashlib
import hmac as stdlib
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from lockgate.credentials.hmac import Hmac, hmac
from lockgate.errors import SecretUnavailable
from lockgate.model import CredentialSpec, HmacKey, SecretSource

SECRET = "correct-horse-battery"
KEY_ID = "key-0001"
NOW = 1893456000.75
BODY = b'{"amount": "{timestamp}", "\xff": 1}'


@dataclass
class Request:
    path: str = "/v1/refunds?b=2&a=1"
    method: str = "POST"
    host: str = "api.crm.example"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = BODY


def signer(content: str, *headers: tuple[str, str], secret: str = SECRET, **members: str) -> Hmac:
    source = SecretSource("env", "KEY")
    scheme = HmacKey(source, content, headers or (("X-Signature", "{signature}"),), **members)
    return hmac(CredentialSpec("crm", "hmac", ("api.crm.example",), scheme), secret, KEY_ID)


def signed(made: Hmac, request: Request | None = None) -> tuple[str, dict[bytes, bytes]]:
    request = request or Request()
    path, fields = made.sign(request, NOW).apply(request.path, request.headers)
    assert len(dict(fields)) == len(fields)
    return path, dict(fields)


def digest(content: bytes, algorithm: str = "sha256", key: bytes = SECRET.encode()) -> str:
    return stdlib.new(key, content, algorithm).hexdigest()


def test_a_vector():
    """RFC 4231, 4.3."""
    source = SecretSource("env", "KEY")
    scheme = HmacKey(source, "{body}", (("X-Signature", "{signature}"),))
    made = hmac(CredentialSpec("crm", "hmac", (), scheme), "Jefe")
    _, fields = signed(made, Request(body=b"what do ya want for nothing?"))
    assert fields[b"X-Signature"] == b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param("{body}", BODY, id="body"),
        pytest.param("{timestamp}.{body}", b"1893456000." + BODY, id="webhook"),
        pytest.param("{timestamp}{method}{uri}{body}", b"1893456000POST/v1/refunds?b=2&a=1" + BODY, id="request-line"),
        pytest.param(
            "{method}\n{host}\n{path}\n{query}\n{body_hash}",
            b"POST\napi.crm.example\n/v1/refunds\nb=2&a=1\n" + hashlib.sha256(BODY).hexdigest().encode(),
            id="lines",
        ),
        pytest.param("{key_id}:{key_id}", b"key-0001:key-0001", id="twice"),
    ],
)
def test_content(content, what):
    path, fields = signed(signer(content))
    assert path == "/v1/refunds?b=2&a=1"
    assert fields == {b"X-Signature": digest(what).encode()}


@pytest.mark.parametrize(
    ("form", "written"),
    [("seconds", b"1893456000"), ("milliseconds", b"1893456000750"), ("rfc3339", b"2030-01-01T00:00:00Z")],
)
def test_headers(form, written):
    headers = [("X-Key", "{key_id}"), ("X-Time", "{timestamp}"), ("X-Sig", "t={timestamp},v1={signature}")]
    _, fields = signed(signer("{timestamp}", *headers, timestamp=form))
    expected = b"t=" + written + b",v1=" + digest(written).encode()
    assert fields == {b"X-Key": b"key-0001", b"X-Time": written, b"X-Sig": expected}


def test_algorithm_and_encoding():
    _, fields = signed(signer("{body_hash}", algorithm="sha512", encoding="base64"))
    expected = digest(hashlib.sha512(BODY).hexdigest().encode(), "sha512")
    assert fields[b"X-Signature"] == b64encode(bytes.fromhex(expected))


def test_a_secret_in_base64():
    secret = b64encode(b"\0\xff" * 16).decode()
    _, fields = signed(signer("{body}", secret=secret, secret_encoding="base64"))
    assert fields[b"X-Signature"] == digest(BODY, key=b64decode(secret)).encode()
    for wrong in ("not base64!", "abcde", "YWJj\nZGVm"):
        with pytest.raises(SecretUnavailable, match="not base64") as caught:
            signer("{body}", secret=wrong, secret_encoding="base64")
        assert wrong not in str(caught.value)


def test_what_the_agent_put_there_goes():
    request = Request(headers=((b"x-SIG", b"mine"), (b"a", b"b"), (b"X-Time", b"mine")))
    _, fields = signed(signer("{body}", ("X-Sig", "{signature}"), ("X-Time", "{timestamp}")), request)
    assert fields == {b"a": b"b", b"X-Sig": digest(BODY).encode(), b"X-Time": b"1893456000"}


@pytest.mark.parametrize("name", ["Host", "Content-Length", "X Key", "", "Transfer-Encoding"])
def test_headers_that_carry_no_credential(name):
    with pytest.raises(SecretUnavailable):
        signer("{body}", (name, "{signature}"))


def test_a_fragment_is_refused():
    with pytest.raises(ValueError, match="fragment"):
        signer("{body}").sign(Request("/a#b"), NOW)


def test_echoes_are_scrubbed():
    made = signer("{timestamp}")
    signature = digest(b"1893456000")
    data = f"{SECRET} {KEY_ID} {signature} {b64encode(signature.encode()).decode()}".encode()
    assert made.sign(Request(), NOW).scrub(data) == (b"[redacted] [redacted] [redacted] [redacted]", 4)
    assert SECRET not in repr(made) + repr(made.sign(Request(), NOW))


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_each_way_that_a_signature_may_be_echoed(encoding):
    signature = signer("{body}", encoding=encoding).sign(Request(), NOW)
    made = dict(signature.apply("/", ())[1])[b"X-Signature"].decode()
    forms = [
        made,
        quote(made, safe=""),
        quote(made, safe="").lower() if encoding == "hex" else made.replace("=", "%3d"),
        json.dumps(made).replace("/", "\\/"),
        made.replace("=", "&#x3D;").replace("+", "&#43;").replace("/", "&#x2F;"),
        b64encode(made.encode()).decode(),
        b64encode(f"sha256={made}".encode()).decode(),
        made.translate(str.maketrans("+/", "-_")).rstrip("=") + "=",
    ]
    for form in forms:
        scrubbed, count = signature.scrub(f'{{"you sent": "{form}"}}'.encode())
        assert count == 1, form
        assert made[:20].encode() not in scrubbed
