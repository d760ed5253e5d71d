"""Attacks on a request's way in: no client ends the gateway, no other identity or address is used.

What can be said as bytes alone stands in the evasion corpus.
"""

from __future__ import annotations

import base64
import contextlib
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
from harness.wire import Incomplete, Wire, start_tls

BOOKS = "xn--bcher-kva.example"
ROLE = """\
role: support
rules:
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


# Nobody ends the process.


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


def test_a_tunnel_without_server_name_is_refused(attacked: Gateway, crm: RecordingUpstream, token: str) -> None:
    context = ssl.create_default_context(cafile=str(attacked.ca))
    context.check_hostname = False
    seen = crm.watch()
    wire, _ = attacked.connect(token)
    with Wire(context.wrap_socket(wire.socket)) as inside:
        refused(inside.ask(head("GET", "/open/json", CRM)), 400)
    assert seen.connections == 0


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
