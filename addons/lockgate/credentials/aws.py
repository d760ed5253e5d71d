"""`aws`: signatures of AWS (SigV4), by AWS's own code.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, cast
from urllib.parse import quote, unquote, unquote_plus

from lockgate.credentials.credential import Signature, Signer, Unsigned
from lockgate.credentials.places import AWS
from lockgate.errors import SecretUnavailable
from lockgate.model import AwsKeys, CredentialSpec

# What must be signed, and no more: the rest an intermediary of AWS's may change.
SIGNED = frozenset({b"host", b"content-type", b"content-md5"})
SIGNED_PREFIX = b"x-amz-"
# They sign the path as it is; all others sign it encoded once more.
S3 = frozenset({"s3", "s3-object-lambda", "s3-outposts"})


def aws(spec: CredentialSpec, access_key_id: str, secret_access_key: str, session_token: str | None = None) -> Aws:
    """Raises SecretUnavailable where botocore is missing."""
    source = cast("AwsKeys", spec.source)
    try:
        from botocore import auth, credentials  # type: ignore[import-untyped]
    except ImportError:
        raise SecretUnavailable("AWS signatures need botocore: pip install 'lockgate[aws]'") from None
    is_s3 = source.service in S3
    keys = credentials.ReadOnlyCredentials(access_key_id, secret_access_key, session_token)
    return Aws(spec.name, (auth.S3SigV4Auth if is_s3 else auth.SigV4Auth)(keys, source.service, source.region), is_s3)


class Aws(Signer):
    """Signs with one set of keys, for one region and service."""

    _auth: Any
    _is_s3: bool

    def __init__(self, name: str, auth: Any, is_s3: bool) -> None:
        """`auth` is botocore's signer, with its keys."""
        super().__init__(name, AWS, tuple(secret for secret in auth.credentials if secret))
        self._set(_auth=auth, _is_s3=is_s3)

    def sign(self, request: Unsigned, now: float) -> Signature:
        from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]

        path, headers = self.places.strip(request.path, request.headers)
        if "#" in path:
            raise ValueError("a request's path has no fragment")
        made = {
            "X-Amz-Date": datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ"),
            "X-Amz-Content-SHA256": sha256(request.body).hexdigest(),
        }
        if self._auth.credentials.token:
            made["X-Amz-Security-Token"] = self._auth.credentials.token
        route, _, query = path.partition("?")
        if self._is_s3:  # which signs what it reads in the path, encoded in its own one way
            route = quote(unquote(route), safe="/~")
        signed = AWSRequest(request.method, f"https://{request.host}{route}", params=pairs(query))
        for name, value in headers:
            if is_signed(name.lower()):
                signed.headers[name.decode("ascii")] = value.decode("utf-8")  # another line, where it has one already
        for named, text in made.items():
            signed.headers[named] = text
        signed.context["timestamp"] = made["X-Amz-Date"]
        return self._signature(signed, made)

    def _signature(self, signed: Any, made: Mapping[str, str]) -> Signature:
        """Not by `add_auth`, which logs what it signs, the session token too, and takes the time from the clock."""
        auth = self._auth
        signature = auth.signature(auth.string_to_sign(signed, auth.canonical_request(signed)), signed)
        names = auth.signed_headers(auth.headers_to_sign(signed))
        value = f"AWS4-HMAC-SHA256 Credential={auth.scope(signed)}, SignedHeaders={names}, Signature={signature}"
        return Signature(self, signature, [("Authorization", value), *made.items()])


def is_signed(name: bytes) -> bool:
    return name in SIGNED or name.startswith(SIGNED_PREFIX)


def pairs(query: str) -> list[tuple[str, str]]:
    """The parameters of a query, read as the rules read them: botocore encodes them in AWS's one way."""
    parameters = (parameter.partition("=") for parameter in query.split("&") if parameter)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in parameters]
