"""Signatures are held against AWS's own examples, and against what a target works out for itself."""

from __future__ import annotations

import logging
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from harness.sigv4 import Signed, verify
from lockgate.credentials.aws import aws
from lockgate.errors import SecretUnavailable
from lockgate.model import AwsKeys, CredentialSpec, SecretSource

# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "session-token/with+every==kind"
NOW = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
EMPTY = sha256(b"").hexdigest()


@dataclass
class Request:
    path: str
    method: str = "GET"
    host: str = "examplebucket.s3.amazonaws.com"
    headers: tuple[tuple[bytes, bytes], ...] = ((b"Host", b"examplebucket.s3.amazonaws.com"),)
    body: bytes = b""


def entry(service: str = "s3", region: str = "us-east-1") -> CredentialSpec:
    source = SecretSource("env", "KEY")
    return CredentialSpec("lake", "aws", ("s3.example",), AwsKeys(source, source, region, service))


def signed(request: Request, service: str = "s3", *, token: str | None = None) -> tuple[str, dict[str, str]]:
    """The path and the header fields that are sent, by lower-case name."""
    path, fields = aws(entry(service), KEY_ID, KEY, token).sign(request, NOW).apply(request.path, request.headers)
    headers = {name.lower().decode(): value.decode() for name, value in fields}
    assert len(headers) == len(fields)
    return path, headers


@pytest.mark.parametrize(
    ("path", "signature"),
    [
        pytest.param("/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", id="lifecycle"),
        pytest.param(
            "/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", id="list"
        ),
    ],
)
def test_the_examples_of_aws(path, signature):
    sent, headers = signed(Request(path))
    assert sent == path
    assert headers["x-amz-date"] == "20130524T000000Z"
    assert headers["x-amz-content-sha256"] == EMPTY
    assert headers["authorization"] == (
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20130524/us-east-1/s3/aws4_request,"
        f" SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
    )


def as_a_target(request: Request, path: str, headers: dict[str, str]) -> Signed:
    return verify(KEY, request.method, path, list(headers.items()), request.body)


HOST = (b"Host", b"examplebucket.s3.amazonaws.com")


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("service", ["s3", "dynamodb"])
@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(Request("/"), id="root"),
        pytest.param(Request("/a%20b/c%C3%A9~d.txt"), id="escaped"),
        pytest.param(Request("/a+b(c)!*'@:$&=,"), id="reserved"),
        pytest.param(Request("/?b=2&a=1&b=1&c&d=&e=a%2Fb&f=a/b&g=%2B+"), id="query"),
        pytest.param(Request("/k", "PUT", body=b"\0\xff" * 1000), id="body"),
        pytest.param(
            Request(
                "/k",
                "POST",
                headers=(
                    HOST,
                    (b"Content-Type", b"application/x-amz-json-1.0"),
                    (b"X-Amz-Target", b"DynamoDB_20120810.PutItem"),
                    (b"x-amz-meta-note", b"  two   spaces  "),
                    (b"User-Agent", b"Boto3/1.40"),
                    (b"amz-sdk-invocation-id", b"1"),
                ),
                body=b"{}",
            ),
            id="headers",
        ),
    ],
)
def test_a_target_comes_to_the_same(request_, service, token):
    path, headers = signed(request_, service, token=token)
    found = as_a_target(request_, path, headers)
    assert (found.key_id, found.date, found.region, found.service) == (KEY_ID, "20130524", "us-east-1", service)
    assert headers.get("x-amz-security-token") == token
    assert not {"user-agent", "amz-sdk-invocation-id"} & set(found.names)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"method": "PUT"}, id="method"),
        pytest.param({"path": "/b"}, id="path"),
        pytest.param({"path": "/a?x=1"}, id="query"),
        pytest.param({"body": b"x"}, id="body"),
        pytest.param({"headers": ((b"Host", b"another.s3.amazonaws.com"),)}, id="host"),
        pytest.param({"headers": (HOST, (b"X-Amz-Acl", b"public-read"))}, id="header"),
    ],
)
def test_all_that_counts_is_signed(change):
    _, plain = signed(Request("/a"))
    _, changed = signed(Request(**({"path": "/a"} | change)))
    assert plain["authorization"][-64:] != changed["authorization"][-64:]


def test_what_the_agents_own_client_signed_with_goes():
    headers = (
        HOST,
        (b"Authorization", b"AWS4-HMAC-SHA256 Credential=mine"),
        (b"X-Amz-Date", b"20300101T000000Z"),
        (b"x-amz-security-token", b"mine"),
        (b"X-Amz-Content-SHA256", b"UNSIGNED-PAYLOAD"),
    )
    presigned = "/k?X-Amz-Algorithm=mine&X-Amz-Credential=mine&X-Amz-Signature=mine&versionId=1&X-Amz-Expires=mine"
    path, sent = signed(Request(presigned, headers=headers))
    assert path == "/k?versionId=1"
    assert "mine" not in str(sent)
    assert sent["x-amz-date"] == "20130524T000000Z"
    assert sent["x-amz-content-sha256"] == EMPTY
    as_a_target(Request("/k"), path, sent)


@pytest.mark.parametrize("request_", [Request("/a#b"), Request("/", headers=((b"x-amz-meta-a", b"\xff"),))])
def test_what_cannot_be_signed(request_):
    with pytest.raises(ValueError):
        aws(entry(), KEY_ID, KEY).sign(request_, NOW)


def test_echoes_are_scrubbed():
    signature = aws(entry(), KEY_ID, KEY, TOKEN).sign(Request("/"), NOW)
    _, fields = signature.apply("/", ())
    value = dict(fields)[b"Authorization"]
    scrubbed, count = signature.scrub(value + b" " + KEY.encode() + b" " + TOKEN.encode())
    assert count == 4
    assert not any(secret.encode() in scrubbed for secret in (KEY_ID, KEY, TOKEN, value[-64:].decode()))


def test_nothing_is_logged(caplog):
    """botocore's own way to sign logs what it signs."""
    caplog.set_level(logging.DEBUG)
    credential = aws(entry(), KEY_ID, KEY, TOKEN)
    credential.sign(Request("/"), NOW)
    assert caplog.text == ""
    assert repr(credential) == "<Aws lake redacted>"


def test_botocore_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(SecretUnavailable, match=re.escape("pip install 'lockgate[aws]'")):
        aws(entry(), KEY_ID, KEY)
