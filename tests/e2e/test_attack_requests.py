"""Attacks on a request's way in: no client hangs or ends the gateway, no other identity, address or meaning is used."""

from __future__ import annotations

import base64
import contextlib
import json
import resource
import ssl
import threading
import time

import httpx
import pytest

from harness.expect import refused
from harness.gateway import ROOT, Gateway, MakeGateway, free_port, head, identity
from harness.issuer import Issuer
from harness.rules import CRM, PLAIN, rules
from harness.upstream import RecordingUpstream
from harness.wire import Incomplete, Wire, dial, start_tls

PROMPT = 2.0  # seconds within which another client is answered, whatever this one sends
JSON_TYPE = "Content-Type: application/json"
BOOKS = "xn--bcher-kva.example"
ROLE = """\
role: support
rules:
  - {id: small, allow: POST plain /refunds, when: body.amount <= 500}
  - {id: own, allow: GET plain /list, when: 'request.query.scope == "own"'}
  - {id: tenant, allow: GET plain /tenant, when: 'request.headers["x-tenant"] == "a"'}
  - {id: open, allow: 'GET|POST plain|crm|crm2|public|books /open/**'}
"""


@pytest.fixture(scope="module")
def attacked(
    make_module_gateway: MakeGateway, crm: RecordingUpstream, plain: RecordingUpstream, issuer: Issuer
) -> Gateway:
    """A gateway with targets that share one address to dial."""
    extra = f"""\
  crm2: {{url: "https://crm2.example", connect: "127.0.0.1:{crm.port}", private: true}}
  public: {{url: "http://public.example", connect: "127.0.0.1:{plain.port}"}}
  books: {{url: "http://{BOOKS}", connect: "127.0.0.1:{plain.port}", private: true}}
"""
    files = {**rules(crm.port, plain.port, issuer.jwks, extra=extra), "roles/support.yaml": ROLE}
    return make_module_gateway(files).start()


def absolute(method: str, path: str, token: str | None, *fields: str, host: str = PLAIN, body: bytes = b"") -> bytes:
    return head(method, f"http://{host}{path}", host, *identity(token), *fields, body=body)


# Nobody makes the others wait, and nobody ends the process.


def hello(records: int) -> bytes:
    """The beginning of a ClientHello of 16 MiB, a byte a record."""
    begin = b"".join(b"\x16\x03\x01\x00\x01" + bytes([byte]) for byte in b"\x01\xff\xff\xff")
    return begin + b"\x16\x03\x01\x00\x01\x00" * records


EXHAUSTING = {
    "folded-lines": b"GET http://plain.example/ HTTP/1.1\r\nX: 1\r\n" + b" a\n" * 300_000 + b"\r\n",
    "client-hello": hello(200_000),
    "client-hello-in-one-record": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(16_380),
}


@pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in EXHAUSTING.items()])
def test_a_stranger_does_not_make_others_wait(attacked: Gateway, sent: bytes) -> None:
    assert waited(attacked, sent) < PROMPT


def test_an_agent_does_not_make_others_wait(attacked: Gateway, token: str) -> None:
    assert waited(attacked, absolute("GET", "/open/json?" + "a&" * 60_000, token)) < PROMPT
    many = [f"X-Forwarded-{number}: 1" for number in range(6000)]
    assert waited(attacked, absolute("GET", "/open/json", token, *many)) < PROMPT


def waited(gateway: Gateway, sent: bytes) -> float:
    """Seconds until a second client is answered while a first one's bytes are worked on."""
    with gateway.dial() as wire:
        sender = threading.Thread(target=wire.send, args=(sent,), daemon=True)
        sender.start()
        time.sleep(0.2)
        begun = time.monotonic()
        with gateway.dial() as other:
            other.socket.settimeout(60)
            assert other.ask(absolute("GET", "/open/json", None)).status == 407
        seconds = time.monotonic() - begun
        sender.join()
    return seconds


ENDLESS = {
    "head": b"GET http://plain.example/ HTTP/1.1\r\nX: ",
    "request-line": b"GET http://plain.example/",
    "chunk-extension": (
        b"POST http://plain.example/ HTTP/1.1\r\nHost: plain.example\r\nTransfer-Encoding: chunked\r\n\r\n1;"
    ),
}


@pytest.mark.parametrize("begin", [pytest.param(begin, id=name) for name, begin in ENDLESS.items()])
def test_what_does_not_end_is_cut_off(attacked: Gateway, begin: bytes) -> None:
    with attacked.dial() as wire:
        wire.send(begin + b"a" * 8 * 1024 * 1024)
        assert wire.closed(5)


def test_connections_without_end_do_not_end_the_gateway(make_gateway: MakeGateway, token: str) -> None:
    gateway = make_gateway().start()
    assert gateway.process
    resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (96, 96))
    opened: list[Wire] = []
    with contextlib.suppress(OSError):
        opened += [gateway.dial() for _ in range(150)]
    time.sleep(2)
    assert gateway.running, gateway.output[-500:]
    for wire in opened:
        wire.close()
    time.sleep(2)
    assert gateway.ask("GET", "/open/json", token).status == 200
    assert len(gateway.output) < 1_000_000


# A rule is about what the target gets.


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(("POST", "/refunds", (JSON_TYPE,), b'{"amount":1,"Amount":9000}'), id="key-in-other-case"),
        pytest.param(("GET", "/list?scope=own&Scope=all", (), b""), id="parameter-in-other-case"),
        pytest.param(("GET", "/list?scope=own&x=1;scope=all", (), b""), id="semicolon-in-query"),
        pytest.param(("GET", "/list?scope=own&scope=all", (), b""), id="parameter-twice"),
        pytest.param(("GET", "/tenant", ("X-Tenant: a", "X_Tenant: b"), b""), id="header-with-underscore"),
        pytest.param(("GET", "/tenant", ("X-Tenant: a", "x-tenant: b"), b""), id="header-twice"),
        pytest.param(("POST", "/open/x", ("X_HTTP_Method_Override: DELETE",), b""), id="override-with-underscore"),
        pytest.param(("POST", "/refunds", (JSON_TYPE,), b'{"amount":1,"amount":9000}'), id="key-twice"),
        pytest.param(("POST", "/refunds", (JSON_TYPE,), b"[" * 900_000), id="deep"),
    ],
)
def test_what_a_target_may_read_otherwise_is_refused(
    attacked: Gateway, plain: RecordingUpstream, token: str, sent: tuple[str, str, tuple[str, ...], bytes]
) -> None:
    method, path, fields, body = sent
    seen = plain.watch()
    with attacked.dial() as wire:
        refused(wire.ask(absolute(method, path, token, *fields, body=body)), 400, 403)
    assert seen.raw == b""


# Connections to targets.


def test_a_private_address_is_not_reached_over_anothers_connection(
    attacked: Gateway, plain: RecordingUpstream, token: str
) -> None:
    """`public` may not reach loopback, though `plain` at the same address may, and has a connection open."""
    with attacked.dial() as wire:
        assert wire.ask(absolute("GET", "/open/json", token)).status == 200
        seen = plain.watch()
        refused(wire.ask(absolute("GET", "/open/json", token, host="public.example")), 403, 502, 503)
    assert seen.raw == b""


def test_two_targets_at_one_address(attacked: Gateway, crm: RecordingUpstream, token: str) -> None:
    """Each gets a connection verified for its own name; here the second name's certificate is not to be had."""
    with attacked.dial() as wire:
        assert wire.ask(head("GET", f"https://{CRM}/open/json", CRM, *identity(token))).status == 200
        seen = crm.watch()
        reply = wire.ask(head("GET", "https://crm2.example/open/json", "crm2.example", *identity(token)))
        refused(reply, 502)
    assert seen.plain == b""


def test_an_internationalised_target_is_reached(attacked: Gateway, plain: RecordingUpstream, token: str) -> None:
    seen = plain.watch()
    with attacked.dial() as wire:
        assert wire.ask(absolute("GET", "/open/json", token, host=BOOKS)).status == 200
    assert seen.requests[0].header("host") == BOOKS


# The client's connection.


@pytest.mark.parametrize("path", ["/open/json", "/nowhere"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_connection_ends_when_the_agent_says_so(attacked: Gateway, token: str, path: str, version: str) -> None:
    closing = [] if version == "1.0" else ["Connection: close"]
    sent = absolute("GET", path, token, *closing).replace(b"HTTP/1.1", f"HTTP/{version}".encode())
    with attacked.dial() as wire:
        assert wire.ask(sent).status in (200, 403)
        assert wire.closed(3)


@pytest.mark.parametrize("fields", [("Content-Length: 40",), ("Transfer-Encoding: chunked",)])
def test_connect_with_a_body(
    attacked: Gateway, crm: RecordingUpstream, plain: RecordingUpstream, token: str, fields: tuple[str, ...]
) -> None:
    seen, seen_plain = crm.watch(), plain.watch()
    wire, reply = attacked.connect(token, CRM, 443, *fields)
    assert reply.status == 200
    with wire:
        wire.send(b"5\r\nhello\r\n0\r\n\r\n" + absolute("GET", "/open/json", None))
        assert wire.rest(1)[:12] in (b"", b"HTTP/1.1 400")
    assert seen.connections == seen_plain.connections == 0


def test_the_body_of_a_refused_connect_is_no_request(attacked: Gateway, plain: RecordingUpstream, token: str) -> None:
    smuggled = absolute("GET", "/open/smuggled", token)
    with attacked.dial() as wire:
        seen = plain.watch()
        wire.send(head("CONNECT", f"{CRM}:443", CRM, f"Content-Length: {len(smuggled)}") + smuggled)
        refused(wire.reply(to="CONNECT"), 407)
        assert wire.ask(absolute("GET", "/open/next", token)).status == 200
    assert [request.path for request in seen.requests] == ["/open/next"]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(head("CONNECT", f"{PLAIN}:80", f"{PLAIN}:80"), id="nested"),
        pytest.param(head("connect", "/", CRM), id="lower-case"),
        pytest.param(head("CoNnEcT", f"http://{PLAIN}/open/json", PLAIN), id="absolute"),
    ],
)
def test_connect_inside_a_tunnel(attacked: Gateway, plain: RecordingUpstream, token: str, sent: bytes) -> None:
    seen = plain.watch()
    with attacked.tunnel(token) as wire:
        refused(wire.ask(sent, to="CONNECT"), 400)
        assert wire.closed()
    assert seen.connections == 0


def test_connect_in_lower_case_leads_nowhere(attacked: Gateway, plain: RecordingUpstream, token: str) -> None:
    seen = plain.watch()
    with attacked.dial() as wire:
        wire.send(absolute("connect", "/open/json", token) + absolute("GET", "/open/json", token))
        assert b"078-05-1120" not in wire.rest(1)
    assert seen.connections == 0


def test_a_tunnel_without_server_name_is_refused(attacked: Gateway, crm: RecordingUpstream, token: str) -> None:
    context = ssl.create_default_context(cafile=str(attacked.ca))
    context.check_hostname = False
    seen = crm.watch()
    wire, _ = attacked.connect(token)
    with Wire(context.wrap_socket(wire.socket)) as inside:
        refused(inside.ask(head("GET", "/open/json", CRM)), 400)
    assert seen.connections == 0


def test_pipelined_requests_have_their_own_identities(
    attacked: Gateway, plain: RecordingUpstream, issuer: Issuer
) -> None:
    one, other = issuer.token("support"), issuer.token("support", sub="agent-8")
    seen = plain.watch()
    with attacked.dial() as wire:
        wire.send(
            absolute("GET", "/open/echo?mark=1", one)
            + absolute("HEAD", "/nowhere", one)
            + absolute("GET", "/open/echo?mark=2", None)
            + absolute("GET", "/open/echo?mark=3", one)
            + absolute("GET", "/open/echo?mark=4", other)
            + absolute("GET", "/open/echo?mark=5", one)
        )
        assert json.loads(wire.reply().body)["target"].endswith("mark=1")
        assert wire.reply(to="HEAD").status == 403
        refused(wire.reply(), 407)
        assert json.loads(wire.reply().body)["target"].endswith("mark=3")
        refused(wire.reply(), 403)
        assert wire.reply_or_end() is None
    assert [request.query for request in seen.requests] == ["mark=1", "mark=3"]


def test_tls_to_the_proxy(attacked: Gateway, plain: RecordingUpstream, crm: RecordingUpstream, token: str) -> None:
    def inside() -> Wire:
        return start_tls(attacked.dial(), CRM, str(attacked.ca))

    with inside() as wire:
        assert wire.ask(absolute("GET", "/open/json", token)).status == 200
    seen, seen_plain = crm.watch(), plain.watch()
    with inside() as wire:  # as if it were the target
        refused(wire.ask(head("GET", "/open/json", CRM, *identity(token))), 400)
    with inside() as wire:
        refused(wire.ask(absolute("GET", "/open/json", None)), 407)
    with inside() as wire:  # plain HTTP in a tunnel, within TLS
        assert wire.ask(head("CONNECT", f"{CRM}:443", CRM, *identity(token)), to="CONNECT").status == 200
        refused(wire.ask(head("GET", "/open/json", CRM)), 403)
    assert seen.connections == seen_plain.connections == 0


def test_reverse_mode_has_one_target_and_one_identity(
    make_gateway: MakeGateway, crm: RecordingUpstream, plain: RecordingUpstream, token: str
) -> None:
    port, stranger = free_port(), free_port()
    modes = ["regular", f"reverse:https://{CRM}@{port}", f"reverse:https://unknown.example@{stranger}"]
    make_gateway(options=[part for mode in modes for part in ("--mode", mode)]).start()
    mine = f"Authorization: Bearer {token}"
    with dial(port) as wire:
        assert wire.ask(head("GET", "/open/json", "evil.example", mine, "Host: other.example")).status == 200
    assert crm.requests[-1].header("host") == CRM
    assert token not in repr(crm.requests[-1])
    seen, seen_plain = crm.watch(), plain.watch()
    cases = [
        (port, head("GET", "/open/json", CRM, *identity(token)), 401),
        (port, head("GET", "/open/json", CRM, mine, mine), 401),
        (port, head("GET", f"https://{CRM}/open/json", CRM, mine), 400),
        (port, head("GET", f"http://{PLAIN}/open/json", PLAIN, mine), 400),
        (port, head("CONNECT", f"{PLAIN}:80", PLAIN, mine), 400),
        (port, head("GET", "/open/json", CRM, mine, "Upgrade: websocket"), 403),
        (stranger, head("GET", "/open/json", CRM, mine), 403),
    ]
    for to, sent, status in cases:
        with dial(to) as wire:
            refused(wire.ask(sent), status)
    assert seen.connections == seen_plain.connections == 0


def test_the_port_is_closed_to_strangers_from_the_first_moment(
    make_gateway: MakeGateway, plain: RecordingUpstream
) -> None:
    gateway = make_gateway(options=["--listen-host", "127.0.0.1"])
    answers: set[bytes] = set()
    done = threading.Event()

    def knock() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError, Incomplete), gateway.dial() as wire:
                wire.send(head("GET", f"http://127.0.0.1:{plain.port}/open/json", f"127.0.0.1:{plain.port}"))
                answers.add(wire.rest(1)[:12])

    seen = plain.watch()
    knocking = threading.Thread(target=knock)
    knocking.start()
    try:
        gateway.start()
        time.sleep(0.3)
    finally:
        done.set()
        knocking.join()
    assert answers <= {b"", b"HTTP/1.1 407"}
    assert seen.connections == 0


# The token stays here.


def test_the_token_is_neither_recorded_nor_shown_in_any_form(make_gateway: MakeGateway, issuer: Issuer) -> None:
    token = issuer.token("support")
    basic = base64.b64encode(f"agent:{token}".encode()).decode()
    web_port = free_port()
    web = ["--no-web-open-browser", "--web-port", str(web_port), "--set", "web_password=look"]
    gateway = make_gateway(program="mitmweb", options=web).start()
    cases = [
        absolute("GET", "/open/json", token, f"X-Debug: {basic}"),
        absolute("GET", "/open/json", token, f"X-Debug: {token}"),
        absolute("GET", f"/open/{token}", token),
        absolute("POST", "/open/json", token, body=f'{{"note": "{basic}"}}'.encode()),
    ]
    for sent in cases:
        with gateway.dial() as wire:
            refused(wire.ask(sent), 403)
    headers = {"authorization": "Bearer look"}
    with httpx.Client(base_url=f"http://127.0.0.1:{web_port}", headers=headers, trust_env=False) as client:
        shown = client.get("/flows").content + client.get("/flows/dump").content
    gateway.stop()
    forms = {"plain": token.rpartition(".")[2].encode(), "base64": basic[40:-40].encode()}
    places = {**gateway.traces(), gateway.home / "mitmweb": shown}
    assert [(path.name, name) for path, data in places.items() for name, form in forms.items() if form in data] == []


# Faults.


@pytest.fixture
def faulty(make_gateway: MakeGateway) -> Gateway:
    script = ROOT / "tests" / "e2e" / "faulty_main.py"
    return make_gateway(script=script, environment={"PYTHONPATH": str(ROOT / "addons")}).start()


def test_without_inject_nothing_is_sent_to_a_target_with_a_credential(
    faulty: Gateway, crm: RecordingUpstream, token: str
) -> None:
    seen = crm.watch()
    refused(faulty.ask("GET", "/open/json", token, "x-fault: Inject.skip"), 503)
    assert seen.plain == b""


def test_a_connect_after_one_that_broke_has_its_own_identity(faulty: Gateway, issuer: Issuer) -> None:
    one, other = issuer.token("support"), issuer.token("support", sub="agent-8")
    wire, reply = faulty.connect(one, CRM, 443, "x-fault: Identify.http_connect.Exception.after")
    with wire:
        refused(reply, 503)
        wire.send(head("CONNECT", f"{CRM}:443", CRM, *identity(other)))
        again = wire.reply_or_end(to="CONNECT")
    assert again is None or again.status in (403, 407)
