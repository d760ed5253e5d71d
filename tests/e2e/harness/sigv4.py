"""What a target does with an AWS signature (SigV4), by the book: works it out anew from the request as it came.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, unquote, unquote_plus

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/, ]+)/([^, ]+), SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True)
class Signed:
    """What a good signature says: whose key, for what (date, region, service), which header fields it covers."""

    key_id: str
    date: str
    region: str
    service: str
    names: tuple[str, ...]
    signature: str


def verify(secret: str, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes) -> Signed:
    """Header names are in lower case. Fails unless the signature, the hash of the body and the date are good."""
    known = {name: ",".join(value for each, value in headers if each == name) for name, _ in headers}
    found = AUTHORIZATION.fullmatch(known["authorization"])
    assert found, known["authorization"]
    key_id, scope, names, signature = found.groups()
    date, region, service, last = scope.split("/")
    assert last == "aws4_request"
    assert known["x-amz-date"].startswith(date)
    assert known["x-amz-content-sha256"] == sha256(body).hexdigest()
    assert {"host", *(name for name in known if name.startswith("x-amz-"))} <= set(names.split(";"))
    path, _, query = target.partition("?")
    pairs = sorted(
        (encode(unquote_plus(name)), encode(unquote_plus(value)))
        for name, _, value in (each.partition("=") for each in query.split("&") if each)
    )
    canonical = [
        method,
        quote(unquote(path), safe="/~") if service == "s3" else quote(path, safe="/~"),
        "&".join(f"{name}={value}" for name, value in pairs),
        *(f"{name}:{' '.join(known[name].split())}" for name in names.split(";")),
        "",
        names,
        known["x-amz-content-sha256"],
    ]
    digest = sha256("\n".join(canonical).encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{known['x-amz-date']}\n{scope}\n{digest}"
    assert hmac.new(key, text.encode(), "sha256").hexdigest() == signature
    return Signed(key_id, date, region, service, tuple(names.split(";")), signature)


def encode(text: str) -> str:
    return quote(text, safe="-_.~")
