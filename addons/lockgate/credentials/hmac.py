"""`hmac`: requests signed with a shared secret (RFC 2104), over what of them the target says, in headers it names.

There is no one standard of it: what is signed and how it is written down are templates of the operator's.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac as stdlib
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from lockgate.credentials.credential import Signature, Signer, Unsigned, field
from lockgate.credentials.places import places_of
from lockgate.errors import SecretUnavailable
from lockgate.model import CredentialSpec, HmacKey

PLACEHOLDER = re.compile(rb"\{([a-z_]+)\}")


def hmac(spec: CredentialSpec, secret: str, key_id: str = "") -> Hmac:
    """Raises SecretUnavailable for a secret that is not encoded as the entry says, and for a header that may carry no
    credential.
    """
    scheme = cast("HmacKey", spec.source)
    for name, _ in scheme.headers:
        field(spec.name, name, "x")
    return Hmac(spec, scheme, secret, key_id)


class Hmac(Signer):
    """Signs with one secret, by one scheme."""

    _scheme: HmacKey
    _key: bytes
    _key_id: str

    def __init__(self, spec: CredentialSpec, scheme: HmacKey, secret: str, key_id: str) -> None:
        super().__init__(spec.name, places_of(spec), (secret, key_id) if key_id else (secret,))
        self._set(_scheme=scheme, _key=key(scheme, secret), _key_id=key_id)

    def sign(self, request: Unsigned, now: float) -> Signature:
        path, _ = self.places.strip(request.path, request.headers)
        if "#" in path:
            raise ValueError("a request's path has no fragment")
        route, _, query = path.partition("?")
        known = {"timestamp": written(self._scheme.timestamp, now), "key_id": self._key_id}
        content = {
            "method": request.method,
            "host": request.host,
            "path": route,
            "query": query,
            "uri": path,
            "body_hash": hashlib.new(self._scheme.algorithm, request.body).hexdigest(),
            **known,
        }
        values = {name: value.encode() for name, value in content.items()} | {"body": request.body}
        digest = stdlib.digest(self._key, filled(self._scheme.content, values), self._scheme.algorithm)
        signature = digest.hex() if self._scheme.encoding == "hex" else b64encode(digest).decode("ascii")
        shown = {name: value.encode() for name, value in {**known, "signature": signature}.items()}
        headers = [(name, filled(template, shown).decode()) for name, template in self._scheme.headers]
        return Signature(self, signature, headers)


def key(scheme: HmacKey, secret: str) -> bytes:
    """The secret's bytes. Raises SecretUnavailable."""
    if scheme.secret_encoding == "text":
        return secret.encode()
    try:
        return b64decode(secret, validate=True)
    except binascii.Error:
        raise SecretUnavailable(f"{scheme.secret}: the secret is not base64") from None


def written(form: str, now: float) -> str:
    """An instant, given in seconds since the epoch, as the scheme has it."""
    if form == "rfc3339":
        return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(int(now * 1000) if form == "milliseconds" else int(now))


def filled(template: str, values: Mapping[str, bytes]) -> bytes:
    """The template with each placeholder's value: what looks like one within a value is left as it is."""
    return PLACEHOLDER.sub(lambda found: values[found[1].decode()], template.encode())
