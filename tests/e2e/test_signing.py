"""Credentials that sign requests: a real AWS client against a stand-in of AWS, and what a recording target is sent."""

from __future__ import annotations

import hashlib
import hmac
import io
import threading
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from harness import answers
from harness.expect import refused
from harness.gateway import Gateway, MakeGateway, head, identity
from harness.pki import Authority
from harness.sigv4 import Signed, verify
from harness.upstream import RecordingUpstream
from harness.wire import Reply

S3 = "s3.eu-central-1.amazonaws.com"
LAKE, HOOKS = "lake.example", "hooks.example"
KEY_ID = "AKIAGATEWAYSOWNKEY00"
KEY = "gateways/secret+access/key=that-agents-never-see"
TOKEN = "gateways-session-token/of+some==length"
HMAC_KEY, HMAC_KEY_ID = "a-shared-secret-of-the-hooks", "hooks-key-0001"

TARGETS = """\
targets:
  s3: {{url: https://{s3}, connect: "127.0.0.1:{s3_port}", private: true, credential: s3, limits: {{request: 4MiB}}}}
  lake: {{url: http://{lake}, connect: "127.0.0.1:{port}", private: true, credential: lake}}
  hooks: {{url: http://{hooks}, connect: "127.0.0.1:{port}", private: true, credential: hooks}}
  keyless: {{url: http://keyless.example, connect: "127.0.0.1:{port}", private: true, credential: keyless}}
"""
CREDENTIALS = f"""\
credentials:
  s3:
    aws: {{access_key_id: "env:KEY_ID", secret_access_key: "env:KEY", region: eu-central-1, service: s3}}
    hosts: [{S3}]
  lake:
    aws:
      access_key_id: "env:KEY_ID"
      secret_access_key: "env:KEY"
      session_token: "env:TOKEN"
      region: eu-central-1
      service: execute-api
    hosts: [{LAKE}]
  hooks:
    hmac:
      secret: "env:HMAC_KEY"
      key_id: "env:HMAC_KEY_ID"
      content: "{{timestamp}}.{{method}}.{{uri}}.{{body}}"
      headers: {{X-Signature: "v1={{signature}}", X-Timestamp: "{{timestamp}}", X-Key: "{{key_id}}"}}
    hosts: [{HOOKS}]
  keyless:
    aws: {{access_key_id: "env:KEY_ID", secret_access_key: "env:NO_SUCH_KEY", region: eu-central-1, service: s3}}
    hosts: [keyless.example]
"""
ROLE = """\
role: support
rules:
  - id: all
    allow: GET|HEAD|PUT|POST|DELETE s3|lake|hooks|keyless /{first}/**
  - id: short
    allow: GET|HEAD|PUT|POST|DELETE s3|lake|hooks|keyless /{only}
  - id: no-acl
    deny: any s3
    when: "'acl' in request.query_all"
"""


class Aws:
    """moto behind TLS, which looks at no signature, and before it one that looks at each."""

    def __init__(self, context: Any) -> None:
        self.signed: list[Signed] = []
        self.wrong: list[str] = []
        self.seen: list[tuple[str, bytes]] = []
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self, threaded=True, ssl_context=context, request_handler=Quiet)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        headers = [
            (name.removeprefix("HTTP_").replace("_", "-").lower(), value)
            for name, value in environ.items()
            if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        ]
        self.seen.append((f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {headers}", body))
        try:
            self.signed.append(verify(KEY, environ["REQUEST_METHOD"], environ["RAW_URI"], headers, body))
        except (AssertionError, KeyError) as error:
            self.wrong.append(f"{environ['REQUEST_METHOD']} {environ['RAW_URI']}: {error!r}")
            start_response("403 Forbidden", [("content-type", "text/plain")])
            return [b"SignatureDoesNotMatch"]
        return self._moto(environ, start_response)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class Quiet(WSGIRequestHandler):
    def log_request(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def aws(authority: Authority) -> Iterator[Aws]:
    aws = Aws(authority.server_context(S3))
    yield aws
    aws.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[RecordingUpstream]:
    upstream = RecordingUpstream(answers.echo)
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def gateway(
    make_module_gateway: MakeGateway, rule_files: dict[str, str], aws: Aws, upstream: RecordingUpstream
) -> Iterator[Gateway]:
    targets = TARGETS.format(s3=S3, lake=LAKE, hooks=HOOKS, s3_port=aws.port, port=upstream.port)
    files = {"targets.yaml": targets, "credentials.yaml": CREDENTIALS, "roles/support.yaml": ROLE}
    environment = {"KEY_ID": KEY_ID, "KEY": KEY, "TOKEN": TOKEN, "HMAC_KEY": HMAC_KEY, "HMAC_KEY_ID": HMAC_KEY_ID}
    gateway = make_module_gateway(
        {**rule_files, **files}, environment=environment, options=("--set", "termlog_verbosity=debug")
    ).start()
    yield gateway
    gateway.stop()
    assert "Traceback" not in gateway.output
    secrets = [KEY_ID, KEY, TOKEN, HMAC_KEY, HMAC_KEY_ID, *(each.signature for each in aws.signed)]
    for path, content in gateway.traces().items():
        assert [secret for secret in secrets if secret.encode() in content] == [], path


# A real client


@pytest.fixture
def client(gateway: Gateway, token: str) -> Iterator[Any]:
    """boto3 as an agent has it: keys that are none, the gateway as its proxy, everything else as it comes."""
    client = boto3.client(
        "s3",
        region_name="eu-central-1",
        aws_access_key_id="placeholder",
        aws_secret_access_key="placeholder",
        verify=str(gateway.ca),
        config=Config(
            proxies={"https": f"http://agent:{token}@127.0.0.1:{gateway.port}"},
            s3={"addressing_style": "path"},
            retries={"max_attempts": 0},
        ),
    )
    yield client
    client.close()


KEYS = ["plain.txt", "a folder/with spaces.txt", "odd +~(1)!*'@:$&=,é.txt"]


def test_a_real_client(client: Any, aws: Aws) -> None:
    client.create_bucket(Bucket="reports", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for key in KEYS:
        body = f"content of {key}\r\n".encode() * 100
        client.put_object(Bucket="reports", Key=key, Body=body, Metadata={"note": "by an agent"})
        found = client.get_object(Bucket="reports", Key=key)
        assert found["Body"].read() == body
        assert found["Metadata"] == {"note": "by an agent"}
        assert "ContentEncoding" not in found
    listed = client.list_objects_v2(Bucket="reports", Prefix="a folder/", MaxKeys=5)
    assert [each["Key"] for each in listed["Contents"]] == ["a folder/with spaces.txt"]
    assert client.head_object(Bucket="reports", Key=KEYS[1])["ContentLength"] == 3700
    client.delete_object(Bucket="reports", Key=KEYS[1])
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket="reports", Key=KEYS[1])
    assert aws.wrong == []
    assert {(each.key_id, each.region, each.service) for each in aws.signed} == {(KEY_ID, "eu-central-1", "s3")}
    assert not any("placeholder" in seen for seen, _ in aws.seen)


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_a_checksum_behind_the_body_stands_before_it(client: Any, aws: Aws, algorithm: str) -> None:
    client.create_bucket(
        Bucket=f"sums-{algorithm.lower()}", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    body = bytes(range(256)) * 8000
    client.upload_fileobj(
        io.BytesIO(body), f"sums-{algorithm.lower()}", "k", ExtraArgs={"ChecksumAlgorithm": algorithm}
    )
    seen, content = aws.seen[-1]
    assert content == body
    assert f"x-amz-checksum-{algorithm.lower()}" in seen
    assert "aws-chunked" not in seen
    assert "x-amz-trailer" not in seen
    assert aws.wrong == []


def test_what_the_rules_deny_is_not_sent(client: Any, aws: Aws) -> None:
    before = len(aws.seen)
    with pytest.raises(ClientError, match="403"):
        client.put_bucket_acl(Bucket="reports", ACL="public-read")
    with pytest.raises(ClientError, match="403"):
        client.list_buckets()
    assert len(aws.seen) == before


def test_a_copy_is_not_sent_since_no_rule_sees_what_is_copied(client: Any, aws: Aws) -> None:
    before = len(aws.seen)
    with pytest.raises(ClientError, match="400"):
        client.copy_object(Bucket="reports", Key="copy", CopySource={"Bucket": "payroll", "Key": "all"})
    assert len(aws.seen) == before


CHUNKED = "X-Amz-Content-SHA256: STREAMING-UNSIGNED-PAYLOAD-TRAILER"
FRAMED = b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n"
ANNOUNCED = "X-Amz-Trailer: x-amz-checksum-crc32"


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        pytest.param((CHUNKED, "Content-Encoding: aws-chunked", ANNOUNCED), FRAMED, id="as-clients-send-it"),
        pytest.param((CHUNKED, ANNOUNCED), FRAMED, id="not-said-twice"),
        pytest.param(("Content-Encoding: aws-chunked", ANNOUNCED), FRAMED, id="said-once"),
        pytest.param((CHUNKED, ANNOUNCED, "X-Amz-Decoded-Content-Length: 3"), FRAMED, id="length"),
    ],
)
def test_the_framing_of_a_body_comes_off(
    gateway: Gateway, upstream: RecordingUpstream, token: str, fields: tuple[str, ...], body: bytes
) -> None:
    seen = upstream.watch()
    assert plain(gateway, token, "PUT", LAKE, "/k", *fields, body=body).status == 200
    (request,) = seen.requests
    found = verify(KEY, request.method, request.target, request.headers, request.body)
    assert request.body == b"abc"
    assert request.header("x-amz-checksum-crc32") == "NSRBwg=="
    assert {"x-amz-checksum-crc32", "x-amz-security-token"} <= set(found.names)
    assert not {"content-encoding", "x-amz-trailer", "x-amz-decoded-content-length"} & dict(request.headers).keys()


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        pytest.param((CHUNKED, ANNOUNCED), b"abc", id="unframed"),
        pytest.param((CHUNKED, ANNOUNCED), FRAMED + b"x", id="junk-behind"),
        pytest.param((CHUNKED,), FRAMED, id="not-announced"),
        pytest.param((CHUNKED, ANNOUNCED, "X-Amz-Decoded-Content-Length: 4"), FRAMED, id="another-length"),
        pytest.param((CHUNKED, "X-Amz-Trailer: host"), FRAMED.replace(b"x-amz-checksum-crc32", b"host"), id="a-header"),
        pytest.param((CHUNKED, ANNOUNCED, "X-Amz-Checksum-Crc32: AAAA"), FRAMED, id="two-checksums"),
    ],
)
def test_a_framing_with_more_than_one_meaning(
    gateway: Gateway, upstream: RecordingUpstream, token: str, fields: tuple[str, ...], body: bytes
) -> None:
    seen = upstream.watch()
    refused(plain(gateway, token, "PUT", LAKE, "/k", *fields, body=body), 400)
    assert (seen.connections, seen.raw) == (0, b"")


# What a recording target is sent


def plain(gateway: Gateway, token: str, method: str, host: str, path: str, *fields: str, body: bytes = b"") -> Reply:
    """One request to the proxy's port."""
    with gateway.dial() as wire:
        return wire.ask(head(method, f"http://{host}{path}", host, *identity(token), *fields, body=body), to=method)


def test_the_agents_own_signature_is_replaced(gateway: Gateway, upstream: RecordingUpstream, token: str) -> None:
    seen = upstream.watch()
    path = "/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=mine&b=2&x-amz-signature=mine&a=1&X-Amz-Date=mine"
    fields = (
        "Authorization: AWS4-HMAC-SHA256 Credential=mine",
        "X-Amz-Date: 20200101T000000Z",
        "X-Amz-Security-Token: mine",
        "X-Amz-Content-SHA256: UNSIGNED-PAYLOAD",
        "X-Amz-Meta-Note: kept",
    )
    assert plain(gateway, token, "POST", LAKE, path, *fields, body=b"{}").status == 200
    (request,) = seen.requests
    assert request.target == "/k?b=2&a=1"
    assert b"mine" not in seen.plain
    assert b"2020" not in seen.plain
    assert request.header("x-amz-security-token") == TOKEN
    found = verify(KEY, "POST", request.target, request.headers, b"{}")
    assert (found.key_id, found.service) == (KEY_ID, "execute-api")
    assert "x-amz-meta-note" in found.names


def test_what_a_target_echoes_of_a_signature_is_removed(
    gateway: Gateway, upstream: RecordingUpstream, token: str
) -> None:
    seen = upstream.watch()
    replies = [plain(gateway, token, "GET", host, "/echo") for host in (LAKE, HOOKS)]
    lake, hooks = seen.requests
    signature = verify(KEY, "GET", lake.target, lake.headers, b"").signature
    secrets = [KEY_ID, KEY, TOKEN, HMAC_KEY, HMAC_KEY_ID, signature, (hooks.header("x-signature") or "")[3:]]
    for reply in replies:
        assert reply.status == 200
        assert [secret for secret in secrets if len(secret) < 8 or secret.encode() in reply.body] == []
        assert b"[redacted]" in reply.body


def test_hmac(gateway: Gateway, upstream: RecordingUpstream, token: str) -> None:
    seen = upstream.watch()
    body = b'{"amount": 7}'
    fields = ("X-Signature: v1=mine", "x-timestamp: mine", "X-KEY: mine", "Content-Type: application/json")
    before = int(time.time())
    assert plain(gateway, token, "POST", HOOKS, "/v1/refunds?b=2&a=1", *fields, body=body).status == 200
    (request,) = seen.requests
    timestamp = request.header("x-timestamp") or ""
    assert before <= int(timestamp) <= time.time()
    content = f"{timestamp}.POST./v1/refunds?b=2&a=1.".encode() + body
    assert request.header("x-signature") == f"v1={hmac.new(HMAC_KEY.encode(), content, hashlib.sha256).hexdigest()}"
    assert request.header("x-key") == HMAC_KEY_ID
    assert b"mine" not in seen.plain


def test_nothing_is_sent_without_the_key(gateway: Gateway, upstream: RecordingUpstream, token: str) -> None:
    seen = upstream.watch()
    refused(plain(gateway, token, "GET", "keyless.example", "/k"), 503)
    assert (seen.connections, seen.raw) == (0, b"")
    assert "env:NO_SUCH_KEY: not set" in gateway.output
