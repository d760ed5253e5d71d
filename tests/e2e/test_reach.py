"""What may be reached, and how: anything else ends in a readable refusal, and no byte goes anywhere."""

from __future__ import annotations

import contextlib
import ssl

import pytest

from harness.expect import leaks, refused
from harness.gateway import Gateway, MakeGateway, head, identity
from harness.issuer import Issuer
from harness.rules import CRM, PLAIN, rules
from harness.upstream import RecordingUpstream, Watch
from harness.wire import Reply, Wire, start_tls


@pytest.fixture
def untouched(crm: RecordingUpstream, plain: RecordingUpstream):
    """Neither target is as much as connected to."""
    watches: list[Watch] = [crm.watch(), plain.watch()]
    yield
    assert [(seen.connections, seen.raw) for seen in watches] == [(0, b""), (0, b"")]


def answer_or_close(wire: Wire) -> Reply | None:
    """A refusal, or the end of the connection."""
    reply = wire.reply_or_end()
    assert reply is None or reply.status >= 400, reply
    return reply


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("host", "port"),
    [
        pytest.param("unknown.example", 443, id="unknown-host"),
        pytest.param(CRM, 8443, id="another-port"),
        pytest.param(PLAIN, 443, id="https-of-an-http-target"),
        pytest.param(f"www.{CRM}", 443, id="subdomain"),
        pytest.param(f"{CRM}.evil.example", 443, id="suffix"),
        pytest.param("127.0.0.1", 443, id="address"),
        pytest.param("mitm.it", 443, id="onboarding"),
    ],
)
def test_unknown_target_is_refused_readably(gateway: Gateway, token: str, host: str, port: int) -> None:
    wire, reply = gateway.connect(token, host, port)
    assert reply.status == 200  # so that what follows is readable
    with start_tls(wire, host, str(gateway.ca)) as inside:
        name = host if port == 443 else f"{host}:{port}"
        problem = refused(inside.ask(head("GET", "/v1/json", name)), 403)
        assert host in problem["detail"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://unknown.example/v1/json", id="unknown-host"),
        pytest.param(f"http://{PLAIN}:81/v1/json", id="another-port"),
        pytest.param(f"http://{CRM}/v1/json", id="http-of-an-https-target"),
        pytest.param("http://mitm.it/", id="onboarding"),
        pytest.param("http://127.0.0.1/v1/json", id="address"),
        pytest.param(f"ftp://{PLAIN}/v1/json", id="another-scheme"),
    ],
)
def test_unknown_plain_target_is_refused(gateway: Gateway, token: str, url: str) -> None:
    host = url.split("/")[2]
    with gateway.dial() as wire:
        wire.send(head("GET", url, host, *identity(token)))
        answer_or_close(wire)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n", id="ssh"),
        pytest.param(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", id="postgres"),
        pytest.param(b"\x05\x01\x00", id="socks"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", id="h2c"),
        pytest.param(b"\x16\x03\x01", id="half-a-handshake"),
        pytest.param(b"\x16\x03\x01\x00\x02hi", id="no-handshake"),
        pytest.param(bytes(range(256)), id="anything"),
        pytest.param(head("GET", "/v1/json", CRM), id="plain-http"),
        pytest.param(head("GET", f"http://{PLAIN}/v1/json", PLAIN), id="plain-http-absolute"),
        pytest.param(head("CONNECT", f"{CRM}:443", f"{CRM}:443"), id="connect-again"),
        pytest.param(b"GET /v1/json\r\n", id="http-0.9"),
    ],
)
def test_what_is_not_tls_in_a_tunnel(gateway: Gateway, token: str, sent: bytes) -> None:
    wire, reply = gateway.connect(token)
    assert reply.status == 200
    with wire:
        wire.send(sent)
        wire.socket.settimeout(2)
        answer_or_close(wire)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x05\x01\x00", id="socks"),
        pytest.param(b"\x04\x01\x01\xbb\x7f\x00\x00\x01\x00", id="socks4"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", id="h2c"),
        pytest.param(bytes(range(128, 256)), id="anything"),
        pytest.param(b"\r\n\r\n", id="empty-lines"),
        pytest.param(b"GET / HTTP/1.1\r\n", id="half-a-head"),
    ],
)
def test_what_is_not_http_at_the_port(gateway: Gateway, sent: bytes) -> None:
    answer = gateway.raw(sent, timeout=0.5)
    assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 407")


UPGRADES = {
    "websocket": ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA"),
    "h2c": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "other-case": ("connection: UPGRADE", "upgrade: WebSocket"),
    "no-connection": ("Upgrade: websocket",),
    "list": ("Connection: keep-alive, Upgrade", "Upgrade: foo, h2c"),
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("fields", [pytest.param(fields, id=name) for name, fields in UPGRADES.items()])
def test_upgrades_are_refused(gateway: Gateway, token: str, fields: tuple[str, ...]) -> None:
    refused(gateway.ask("GET", "/v1/json", token, *fields), 400, 403)
    with gateway.dial() as wire:
        refused(wire.ask(head("GET", f"http://{PLAIN}/v1/json", PLAIN, *identity(token), *fields)), 400, 403)


UNREADABLE = {
    "another-host": (b"GET /v1/json HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
    "no-host": (b"GET /v1/json HTTP/1.1\r\n\r\n"),
    "two-hosts": (f"GET /v1/json HTTP/1.1\r\nHost: {CRM}\r\nHost: {CRM}\r\n\r\n".encode()),
    "two-hosts-differ": (f"GET /v1/json HTTP/1.1\r\nHost: {CRM}\r\nHost: evil.example\r\n\r\n".encode()),
    "host-with-port": (f"GET /v1/json HTTP/1.1\r\nHost: {CRM}:8443\r\n\r\n".encode()),
    "absolute-form": (head("GET", f"https://{CRM}/v1/json", CRM)),
    "absolute-form-elsewhere": (head("GET", f"http://{PLAIN}/v1/json", CRM)),
    "asterisk-form": (head("OPTIONS", "*", CRM)),
    "trace": (head("TRACE", "/v1/json", CRM)),
    "folded-header": (f"GET /v1/json HTTP/1.1\r\nHost: {CRM}\r\nX-A: 1\r\n 2\r\n\r\n".encode()),
    "space-before-colon": (f"GET /v1/json HTTP/1.1\r\nHost: {CRM}\r\nX-A : 1\r\n\r\n".encode()),
    "length-and-chunked": (
        head("POST", "/v1/json", CRM, "Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n"
    ),
    "two-lengths": (
        f"POST /v1/json HTTP/1.1\r\nHost: {CRM}\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n{{}}{{}}".encode()
    ),
    "odd-chunking": (
        f"POST /v1/json HTTP/1.1\r\nHost: {CRM}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".encode()
    ),
    "dot-segments": (head("GET", "/open/../v1/json", CRM)),
    "encoded-dot-segments": (head("GET", "/open/%2e%2e/v1/json", CRM)),
    "encoded-slash": (head("GET", "/v1%2fjson", CRM)),
    "double-slash": (head("GET", "//v1/json", CRM)),
    "backslash": (head("GET", "/v1\\json", CRM)),
    "nul": (head("GET", "/v1/json%00", CRM)),
    "double-encoding": (head("GET", "/v1/%252e%252e", CRM)),
    "fragment": (head("GET", "/v1/json#x", CRM)),
    "method-override": (head("POST", "/v1/json", CRM, "X-HTTP-Method-Override: DELETE")),
    "connection-names-a-header": (head("GET", "/v1/json", CRM, "Connection: authorization")),
    "http-2-in-the-line": (f"GET /v1/json HTTP/2.0\r\nHost: {CRM}\r\n\r\n".encode()),
    "unknown-encoding": (head("POST", "/v1/json", CRM, "Content-Encoding: rot13", body=b"{}")),
    "body-not-gzip": (head("POST", "/v1/json", CRM, "Content-Encoding: gzip", body=b"{}")),
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in UNREADABLE.items()])
def test_what_has_more_than_one_meaning_in_a_tunnel(gateway: Gateway, token: str, sent: bytes) -> None:
    with gateway.tunnel(token) as wire:
        wire.send(sent)
        reply = answer_or_close(wire)
        if reply is not None:
            refused(reply, 400, 403, 415)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(head("GET", "/v1/json", PLAIN), id="origin-form"),
        pytest.param(head("GET", f"http://{PLAIN}/v1/json", "evil.example"), id="another-host"),
        pytest.param(head("GET", f"http://evil.example@{PLAIN}/v1/json", PLAIN), id="userinfo"),
        pytest.param(head("GET", f"https://{CRM}/v1/../v1/json", CRM), id="https-dot-segments"),
    ],
)
def test_what_has_more_than_one_meaning_at_the_port(gateway: Gateway, token: str, sent: bytes) -> None:
    line, _, rest = sent.partition(b"\r\n")
    with gateway.dial() as wire:
        wire.send(line + b"\r\n" + identity(token)[0].encode() + b"\r\n" + rest)
        answer_or_close(wire)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("sni", [pytest.param(PLAIN, id="another-target"), pytest.param("evil.example", id="stranger")])
def test_tls_name_must_be_that_of_the_connect(gateway: Gateway, token: str, sni: str) -> None:
    wire, reply = gateway.connect(token)
    assert reply.status == 200
    with contextlib.suppress(ssl.SSLError), start_tls(wire, sni, str(gateway.ca)) as inside:
        inside.send(head("GET", "/v1/json", CRM))
        answer_or_close(inside)


@pytest.mark.usefixtures("untouched")
def test_http2_is_not_negotiated(gateway: Gateway, token: str) -> None:
    wire, _ = gateway.connect(token)
    with start_tls(wire, CRM, str(gateway.ca), ("h2", "http/1.1")) as inside:
        assert isinstance(inside.socket, ssl.SSLSocket)
        assert inside.socket.selected_alpn_protocol() == "http/1.1"


@pytest.mark.usefixtures("untouched")
def test_connect_alone_opens_nothing(gateway: Gateway, token: str) -> None:
    with gateway.tunnel(token):
        pass
    wire, reply = gateway.connect(token)
    with wire:
        assert reply.status == 200


def test_private_addresses_need_to_be_permitted(
    make_gateway: MakeGateway, crm: RecordingUpstream, plain: RecordingUpstream, issuer: Issuer, token: str
) -> None:
    gateway = make_gateway(rules(crm.port, plain.port, issuer.jwks, private=False)).start()
    seen, seen_plain = crm.watch(), plain.watch()
    refused(gateway.ask("GET", "/v1/json", token), 403, 502)
    with gateway.dial() as wire:
        refused(wire.ask(head("GET", f"http://{PLAIN}/v1/json", PLAIN, *identity(token))), 403, 502)
    assert (seen.connections, seen_plain.connections) == (0, 0)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
def test_own_port_is_never_reached(
    make_gateway: MakeGateway,
    crm: RecordingUpstream,
    plain: RecordingUpstream,
    issuer: Issuer,
    token: str,
    address: str,
) -> None:
    gateway = make_gateway()
    gateway.write_rules(rules(crm.port, gateway.port, issuer.jwks))
    targets = gateway.rules / "targets.yaml"
    targets.write_text(targets.read_text().replace(f"127.0.0.1:{gateway.port}", f"{address}:{gateway.port}"))
    gateway.start()
    with gateway.dial() as wire:
        refused(wire.ask(head("GET", f"http://{PLAIN}/v1/json", PLAIN, *identity(token))), 403, 502)


def test_reserved_name_answers_by_itself(gateway: Gateway, token: str) -> None:
    reply = gateway.ask("GET", "/whoami", token, host="lockgate.invalid")
    assert reply.status == 200
    assert b"agent-7" in reply.body
    assert leaks(reply.body) == []


def test_the_gateways_ca_can_be_fetched(gateway: Gateway, token: str) -> None:
    assert gateway.ask("GET", "/ca.pem", token, host="lockgate.invalid").body == gateway.ca.read_bytes()


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/whoami", 405), ("GET", "/", 404), ("GET", "/x", 404)]
)
def test_what_the_gateway_does_not_have(gateway: Gateway, token: str, method: str, path: str, status: int) -> None:
    refused(gateway.ask(method, path, token, host="lockgate.invalid"), status)
