"""A request's line and head: what could be read in two ways is refused before a byte of it leaves, and what leaves is
what was decided on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.expect import refused
from harness.gateway import Gateway, MakeGateway, head, identity
from harness.issuer import Issuer
from harness.rules import CRM, PLAIN, rules
from harness.upstream import RecordingUpstream
from harness.wire import start_tls

DAV, SIX = "dav.example", "[2001:db8::7]"
ROLE = """\
role: support
rules:
  - {id: open, allow: 'any plain|crm|dav|six /open/**'}
  - {id: list, allow: 'PROPFIND dav /open/**'}
  - {id: closed, deny: 'any dav /open/closed/**'}
"""


@pytest.fixture(scope="module")
def strict(
    make_module_gateway: MakeGateway, crm: RecordingUpstream, plain: RecordingUpstream, issuer: Issuer
) -> Gateway:
    """A gateway with a target that takes more than others do, and one at an address."""
    here = f'connect: "127.0.0.1:{plain.port}", private: true'
    extra = f"""\
  dav: {{url: "http://{DAV}", methods: [PROPFIND, PURGE], paths: lenient, {here}}}
  six: {{url: "http://{SIX}", {here}}}
"""
    files = {**rules(crm.port, plain.port, issuer.jwks, extra=extra), "roles/support.yaml": ROLE}
    return make_module_gateway(files).start()


def line(request_line: str, *fields: str) -> str:
    """A request at the port with these fields only."""
    return "\r\n".join([request_line, *fields, "", ""])


def to_plain(*fields: str, method: str = "GET", path: str = "/open/json") -> str:
    return line(f"{method} http://{PLAIN}{path} HTTP/1.1", f"Host: {PLAIN}", *fields)


HOST = f"Host: {PLAIN}"
AT_THE_PORT = {
    "origin-form": line("GET /open/json HTTP/1.1", HOST),
    "no-host": line(f"GET http://{PLAIN}/open/json HTTP/1.1"),
    "no-host-1.0": line(f"GET http://{PLAIN}/open/json HTTP/1.0"),
    "host-twice": to_plain(HOST),
    "host-with-a-comma": line(f"GET http://{PLAIN}/open/json HTTP/1.1", f"Host: {PLAIN},{CRM}"),
    "host-with-a-blank": line(f"GET http://{PLAIN}/open/json HTTP/1.1", f"Host: {PLAIN} {CRM}"),
    "host-with-a-dot": line(f"GET http://{PLAIN}/open/json HTTP/1.1", f"Host: {PLAIN}."),
    "host-with-an-empty-port": line(f"GET http://{PLAIN}/open/json HTTP/1.1", f"Host: {PLAIN}:"),
    "host-with-a-long-port": line(f"GET http://{PLAIN}/open/json HTTP/1.1", f"Host: {PLAIN}:0080"),
    "host-with-userinfo": line(f"GET http://{PLAIN}/open/json HTTP/1.1", f"Host: a@{PLAIN}"),
    "dot": line(f"GET http://{PLAIN}./open/json HTTP/1.1", f"Host: {PLAIN}."),
    "userinfo": line(f"GET http://evil@{PLAIN}/open/json HTTP/1.1", HOST),
    "backslash": line(f"GET http://evil.example\\@{PLAIN}/open/json HTTP/1.1", HOST),
    "port-0": line(f"GET http://{PLAIN}:0/open/json HTTP/1.1", HOST),
    "port-with-a-zero": line(f"GET http://{PLAIN}:080/open/json HTTP/1.1", HOST),
    "port-too-high": line(f"GET http://{PLAIN}:65616/open/json HTTP/1.1", HOST),
    "empty-port": line(f"GET http://{PLAIN}:/open/json HTTP/1.1", HOST),
    "full-width-dot": line("GET http://plain\uff0eexample/open/json HTTP/1.1", HOST),
    "ideographic-dot": line("GET http://plain\u3002example/open/json HTTP/1.1", HOST),
    "escaped-dot": line("GET http://plain%2eexample/open/json HTTP/1.1", HOST),
    **{
        f"ipv4-{name}": line(f"GET http://{host}/open/json HTTP/1.1", f"Host: {host}")
        for name, host in {
            "hex": "0x7f.1",
            "number": "2130706433",
            "octal": "017700000001",
            "short": "127.1",
            "mapped": "[::ffff:127.0.0.1]",
            "plain": "127.0.0.1",
        }.items()
    },
    "zone": line("GET http://[2001:db8::7%25eth0]/open/json HTTP/1.1", "Host: [2001:db8::7%25eth0]"),
    "two-blanks": line(f"GET  http://{PLAIN}/open/json HTTP/1.1", HOST),
    "tab": line(f"GET\thttp://{PLAIN}/open/json HTTP/1.1", HOST),
    "small-method": to_plain(method="get"),
    "unlisted-method": to_plain(method="PROPFIND"),
    "unregistered-method": to_plain(method="FETCH"),
    "trace": to_plain(method="TRACE"),
    "copy": to_plain(f"Destination: http://{PLAIN}/open/x", method="COPY"),
    "body-of-a-get": to_plain("Content-Length: 5") + "hello",
    "body-of-a-get-in-chunks": to_plain("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n",
    "second-resource": to_plain(f"Destination: http://{PLAIN}/open/x", method="PUT"),
    "method-parameter": to_plain(method="POST", path="/open/json?_method=DELETE"),
    "semicolon-in-query": to_plain(path="/open/json?a=1;b=2"),
    "long-query": to_plain(path="/open/json?a=" + "b" * 16384),
    "long-path": to_plain(path="/open/" + "b" * 8192),
    "long-header": to_plain("X-A: " + "b" * 16384),
    "long-head": to_plain(*(f"X-{number}: " + "b" * 8000 for number in range(9))),
    "line-feed": to_plain().replace("\r\n", "\n"),
    "line-feed-in-the-head": to_plain("X-A: b\nX-B: c"),
    "carriage-return": to_plain("X-A: b\rX-B: c"),
    "vertical-tab": to_plain("Transfer-Encoding:\x0bchunked") + "0\r\n\r\n",
    "parameters": to_plain(path="/open/json;x=1"),
}


def with_identity(sent: str, token: str) -> bytes:
    """The request with a token, behind its first line end of whatever kind."""
    first, end, rest = sent.partition("\n")
    cr = "\r" if first.endswith("\r") else ""
    return (first + end + identity(token)[0] + cr + "\n" + rest).encode("latin-1" if sent.isascii() else "utf-8")


@pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in AT_THE_PORT.items()])
def test_at_the_port(strict: Gateway, plain: RecordingUpstream, token: str, sent: str) -> None:
    seen = plain.watch()
    with strict.dial() as wire:
        refused(wire.ask(with_identity(sent, token)), 400, 403)
    assert (seen.connections, seen.raw) == (0, b"")


@pytest.mark.parametrize(
    "where",
    [
        f"{CRM}:443/open",
        f"a@{CRM}:443",
        f"https://{CRM}:443",
        f"{CRM}:0443",
        f"{CRM}:",
        CRM,
        f"{CRM}:0",
        f"{CRM}:65979",
        f"{CRM},evil.example:443",
        "/open/json",
        "api\u3002crm.example:443",
        f"{CRM}:\uff14\uff14\uff13",
    ],
)
def test_connects_that_lead_nowhere(strict: Gateway, crm: RecordingUpstream, token: str, where: str) -> None:
    seen = crm.watch()
    with strict.dial() as wire:
        sent = line(f"CONNECT {where} HTTP/1.1", f"Host: {CRM}", *identity(token)).encode()
        refused(wire.ask(sent, to="CONNECT"), 400)
        assert wire.closed()
    assert seen.connections == 0


@pytest.mark.parametrize("hosts", [("evil.example",), (CRM, CRM), (f"{CRM}:8443",), (f"{CRM},evil.example",), ("",)])
def test_a_connect_says_once_where_it_leads(
    strict: Gateway, crm: RecordingUpstream, token: str, hosts: tuple[str, ...]
) -> None:
    seen = crm.watch()
    fields = [*identity(token), *(f"Host: {host}" for host in hosts)]
    with strict.dial() as wire:
        refused(wire.ask(line(f"CONNECT {CRM}:443 HTTP/1.1", *fields).encode(), to="CONNECT"), 400)
        assert wire.closed()
    assert seen.connections == 0


@pytest.mark.parametrize(
    ("where", "sni", "host"),
    [
        pytest.param(CRM, "evil.example", CRM, id="another-server-name"),
        pytest.param(CRM, f"{CRM}.", CRM, id="server-name-with-a-dot"),
        pytest.param(CRM, CRM, f"{CRM}.", id="host-with-a-dot"),
        pytest.param(CRM, CRM, PLAIN, id="another-host"),
        pytest.param(CRM, CRM, f"{CRM}:80", id="another-port"),
        pytest.param(f"{CRM}.", CRM, CRM, id="connect-with-a-dot"),
        pytest.param(f"{CRM}.", f"{CRM}.", f"{CRM}.", id="a-dot-everywhere"),
        pytest.param("evil.example", CRM, CRM, id="another-connect"),
        pytest.param("127.0.0.1", "127.0.0.1", CRM, id="address"),
    ],
)
def test_names_that_differ_in_a_tunnel(
    strict: Gateway, crm: RecordingUpstream, token: str, where: str, sni: str, host: str
) -> None:
    seen = crm.watch()
    wire, reply = strict.connect(token, where)
    assert reply.status == 200
    with start_tls(wire, sni, str(strict.ca)) as inside:
        refused(inside.ask(head("GET", "/open/json", host)), 400, 403)
    assert seen.connections == 0


@pytest.mark.parametrize(
    ("where", "host"),
    [
        pytest.param(CRM.upper(), CRM.title(), id="letter-case"),
        pytest.param(CRM, f"{CRM}:443", id="its-own-port"),
    ],
)
def test_spellings_of_a_name_that_mean_the_same(
    strict: Gateway, crm: RecordingUpstream, token: str, where: str, host: str
) -> None:
    seen = crm.watch()
    with strict.tunnel(token, where) as wire:
        assert wire.ask(head("GET", "/open/json", host)).status == 200
    assert [request.header("host") for request in seen.requests] == [CRM]


@pytest.mark.parametrize("host", [SIX, "[2001:DB8:0:0::7]", f"{SIX}:80"])
def test_spellings_of_an_address_that_mean_the_same(
    strict: Gateway, plain: RecordingUpstream, token: str, host: str
) -> None:
    seen = plain.watch()
    with strict.dial() as wire:
        assert wire.ask(head("GET", f"http://{host}/open/json", host, *identity(token))).status == 200
    assert [request.header("host") for request in seen.requests] == [SIX]


def to_dav(path: str, token: str, method: str = "GET") -> bytes:
    return head(method, f"http://{DAV}{path}", DAV, *identity(token))


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        pytest.param("/open/json", "/open/json", id="plain"),
        pytest.param("/x/..//open/./echo?mark=%2e%2e/", "/open/echo?mark=%2e%2e/", id="dots-and-slashes"),
        pytest.param("/open%2fecho;v=1", "/open/echo", id="encoded-slash-and-parameters"),
        pytest.param("/open\\a%252fecho", "/open/a/echo", id="backslash-and-twice"),
        pytest.param("/closed/%2e%2e;x/open/echo", "/open/echo", id="dots-with-parameters"),
    ],
)
def test_a_lenient_target_gets_the_canonical_path(
    strict: Gateway, plain: RecordingUpstream, token: str, path: str, sent: str
) -> None:
    seen = plain.watch()
    with strict.dial() as wire:
        assert wire.ask(to_dav(path, token)).status == 200
    assert [request.target for request in seen.requests] == [sent]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/open/x/..%2fclosed/a", 403, id="encoded-slash"),
        pytest.param("/open//closed/a", 403, id="empty-part"),
        pytest.param("/open;x/closed;y/a", 403, id="parameters"),
        pytest.param("/open\\closed\\a", 403, id="backslash"),
        pytest.param("/open/%25%36%33losed/a", 403, id="twice-in-pieces"),
        pytest.param("/open/%252e%252e/secret", 403, id="dots-twice"),
        pytest.param("/open/closed%00/a", 400, id="nul"),
        pytest.param("/open/a%3f/closed", 400, id="question-mark"),
        pytest.param("/open/%EF%BC%8E%EF%BC%8E/closed", 400, id="full-width-dots"),
    ],
)
def test_a_lenient_target_is_decided_on_the_canonical_path(
    strict: Gateway, plain: RecordingUpstream, token: str, path: str, status: int
) -> None:
    seen = plain.watch()
    with strict.dial() as wire:
        refused(wire.ask(to_dav(path, token)), status)
    assert (seen.connections, seen.raw) == (0, b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("PROPFIND", "/open/json", 200, id="listed-and-named"),
        pytest.param("PROPFIND", "/open/closed/a", 403, id="any-of-a-deny"),
        pytest.param("PURGE", "/open/json", 403, id="listed-and-not-named"),
        pytest.param("MKCOL", "/open/json", 400, id="not-listed"),
        pytest.param("propfind", "/open/json", 400, id="in-small-letters"),
        pytest.param("MOVE", "/open/json", 400, id="never"),
    ],
)
def test_methods_that_a_target_lists(
    strict: Gateway, plain: RecordingUpstream, token: str, method: str, path: str, status: int
) -> None:
    seen = plain.watch()
    with strict.dial() as wire:
        reply = wire.ask(to_dav(path, token, method))
        if status != 200:
            refused(reply, status)
    assert reply.status == status
    assert [request.method for request in seen.requests] == ([method] if status == 200 else [])


def test_what_speaks_for_the_agent_does_not_reach_the_target(strict: Gateway, token: str) -> None:
    spoken = ["Forwarded", "X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL", "CF-Connecting-IP", "Proxy", "TE"]
    fields = [f"{name}: planted" for name in spoken]
    with strict.dial() as wire:
        reply = wire.ask(head("GET", f"http://{PLAIN}/open/echo", PLAIN, *identity(token), *fields, "X-Mine: kept"))
    headers = dict(json.loads(reply.body)["headers"])
    assert headers["x-mine"] == "kept"
    assert "planted" not in headers.values()


def test_a_body_that_begins_like_a_request_is_the_last_on_its_connection(
    strict: Gateway, plain: RecordingUpstream, token: str
) -> None:
    """A target that does not read it would take it for the next request, with the next one's head as its own."""
    seen = plain.watch()
    bodies = [b'{"a": 1}', b"DELETE /open/closed HTTP/1.1\r\nX: ", b'{"a": 2}']
    with strict.dial() as wire:
        for body in bodies:
            sent = head("POST", f"http://{PLAIN}/open/json", PLAIN, *identity(token), body=body)
            assert wire.ask(sent).status == 200
    assert [request.header("connection") for request in seen.requests] == [None, "close", None]
    assert seen.connections == 2


def test_what_is_sent_ahead_has_a_limit(strict: Gateway, plain: RecordingUpstream, token: str) -> None:
    """While one request is pending, no more is kept of what comes behind it than a head may have."""
    seen = plain.watch()
    with strict.dial() as wire:
        wire.send(head("GET", f"http://{PLAIN}/open/slow?seconds=3", PLAIN, *identity(token)))
        seen.wait_for(1)
        wire.send(head("GET", f"http://{PLAIN}/open/json", PLAIN, *identity(token)) * 200)
        assert wire.closed(2)
    assert len(seen.requests) == 1


RESOLVER = """\
import socket
public, private = "93.184.215.14", "127.0.0.1"
lookup, asked = socket.getaddrinfo, []
def resolve(host, port, *more, **named):
    name = host.decode() if isinstance(host, bytes) else host
    if name == "both.example":
        return lookup(public, port, *more, **named) + lookup(private, port, *more, **named)
    if name == "rebound.example":
        asked.append(name)
        return lookup(public if len(asked) == 1 else private, port, *more, **named)
    return lookup(host, port, *more, **named)
socket.getaddrinfo = resolve
"""


def test_names_that_resolve_to_a_private_address_beside_or_behind_a_public_one(
    make_gateway: MakeGateway,
    crm: RecordingUpstream,
    plain: RecordingUpstream,
    issuer: Issuer,
    token: str,
    script_with: Callable[[str], Path],
) -> None:
    names = [f"both.example:{plain.port}", f"rebound.example:{plain.port}"]
    extra = "".join(f'  {name.partition(".")[0]}: {{url: "http://{name}"}}\n' for name in names)
    role = "role: support\nrules: [{id: open, allow: 'GET both|rebound /open/**'}]\n"
    files = {**rules(crm.port, plain.port, issuer.jwks, extra=extra), "roles/support.yaml": role}
    gateway = make_gateway(files, script=script_with(RESOLVER)).start()
    seen = plain.watch()
    for name in names:
        with gateway.dial() as wire:
            refused(wire.ask(head("GET", f"http://{name}/open/json", name, *identity(token))), 502, 503)
    assert seen.connections <= 1  # the name that was vetted, and resolved otherwise when it was dialled
    assert seen.raw == b""
