"""`lockgate explain` and `lockgate test` say of odd requests what a running gateway does with them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from harness.gateway import Gateway, MakeGateway, free_port, identity
from harness.issuer import Issuer
from harness.rules import CRM, PLAIN, rules
from harness.upstream import RecordingUpstream
from lockgate.cli.simulate import simulate
from lockgate.history.reading import read
from lockgate.policy.cases import Request, principal, url
from lockgate.policy.generation import Generation
from lockgate.policy.load import load

DAV = "dav.example"
ROLE = """\
role: support
rules:
  - {id: open, allow: 'any plain|dav /open/**'}
  - {id: list, allow: 'PROPFIND dav /open/**'}
  - {id: small, allow: 'POST plain /refunds', when: body.amount <= 500}
  - {id: big, hold: 'POST plain /refunds', when: body.amount > 500}
  - {id: own, allow: 'GET plain /own', when: 'request.query.of == "me"'}
  - {id: known, allow: 'GET plain /known', when: 'request.headers["x-a"] == "b"'}
  - {id: closed, deny: 'any plain|dav /open/closed/**', reason: Closed.}
"""
WHO = principal(("support",))
type Field = tuple[str, str]
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")

PATHS = [
    "/open/a",
    "/open/%61",
    "/open/%7ea",
    "/open/a%20b",
    "/open/a+b",
    "/open/a%2Bb",
    "/open/%41%2e%2d",
    "/open/a.json",
    "/open/a/",
    "/open",
    "/open/",
    "/OPEN/a",
    "/open/closed",
    "/open/closed/",
    "/open/closed/x",
    "/open/Closed/x",
    "/open/CLOSED/x",
    "/open/clos%65d/x",
    "/open/closed%2fx",
    "/open/closed%5cx",
    "/open/closed;x/y",
    "/open/;/closed/x",
    "/open//closed/x",
    "//open/a",
    "/open/./closed/x",
    "/open/x/../closed/x",
    "/open/x/..;/closed/x",
    "/open/x/%2e%2e/closed/x",
    "/open/x/%252e%252e/closed/x",
    "/open/x/..%2fclosed/x",
    "/open/x/..%5c..%5cx",
    "/open/../own",
    "/../open/a",
    "/open/.../a",
    "/open/..a",
    "/open/static../a",
    "/open/..%20",
    "/open/a%00",
    "/open/a%0a",
    "/open/a%0d%0a",
    "/open/a%3f",
    "/open/a%23",
    "/open/a%25",
    "/open/a%2525",
    "/open/a%25u002e",
    "/open/%u002e",
    "/open/a%",
    "/open/a%zz",
    "/open/%ff",
    "/open/%c0%ae%c0%ae/a",
    "/open/%c3%a9",
    "/open/%C2%A5",
    "/open/%ef%bc%8f",
    "/open/%ef%bc%8e%ef%bc%8e/a",
    "/open/%e2%88%95",
    "/open/%E2%80%8B",
    "/open/a\\b",
    "/open/{a}",
    "/open/[a]",
    "/open/a|b",
    '/open/a"b',
    "/open/<a>",
    "/open/a^b",
    "/open/a`b",
    "/open/a?b=%zz",
    "/open/a?b=1;c=2",
    "/open/a?_method=PUT",
    "/open/a?%5fmethod=PUT",
    "/open/a?b=%00",
    "/open/a?b=%ff",
    "/open/a?",
    "/open/a??",
    "/open/a?b?c",
    "/open/a?../b",
    "/open/a?b=%0a",
    "/open/a?&&b",
    "/open/a?b&b=1&b[]=2",
    "/own",
    "/own?of=me",
    "/own?of=%6de",
    "/own?of=me&of=you",
    "/own?OF=me",
    "/own?of=me&OF=you",
    "/own?of[]=me",
    "/own?of=",
    "/own/?of=me",
    "/known",
]
METHODS = ["get", "Get", "PROPFIND", "propfind", "PURGE", "COPY", "TRACE", "FETCH", "QUERY", "OPTIONS", "HEAD"]
HEADS: list[tuple[str, *tuple[Field, ...]]] = [
    ("/known", ("X-A", "b")),
    ("/known", ("x-a", " b\t")),
    ("/known", ("X-A", "b"), ("X-a", "c")),
    ("/known", ("X_A", "b")),
    ("/known", ("X-A", "b, b")),
    ("/open/a", ("X-HTTP-Method-Override", "DELETE")),
    ("/open/a", ("X-Original-URL", "/open/closed/x")),
    ("/open/a", ("X-Forwarded-For", "127.0.0.1")),
    ("/open/a", ("Destination", "/open/b")),
    ("/open/a", ("Range", "bytes=0-1")),
    ("/open/a", ("Upgrade", "h2c")),
    ("/open/a", ("Connection", "x-a")),
    ("/open/a", ("Transfer-Encoding", "gzip")),
    ("/open/a", ("X-A", "b" * 16384)),
    ("/open/a", ("Host", CRM)),
    ("/open/a", ("Content-Length", "x")),
    ("/open/a", ("Cookie", "a=b"), ("Authorization", "Basic x")),
]
BODIES: list[tuple[bytes, *tuple[Field, ...]]] = [
    (b'{"amount": 5}', JSON),
    (b'{"amount": 500.0}', JSON),
    (b'{"amount": 501}', JSON),
    (b'{"amount": "5"}', JSON),
    (b'{"amount": 5, "amount": 900}', JSON),
    (b'{"amount": 5, "Amount": 900}', JSON),
    (b'{"amount": 1e400}', JSON),
    (b'{"amount": NaN}', JSON),
    (b'\xef\xbb\xbf{"amount": 5}', JSON),
    (b'{"amount": 5}\n{"amount": 900}', JSON),
    (b'{"amount": 5, "_method": "DELETE"}', JSON),
    (b"[5]", JSON),
    (b"", JSON),
    (b'{"amount": 5}', ("Content-Type", "text/plain")),
    (b'{"amount": 5}', ("Content-Type", "application/json; charset=utf-16")),
    (b'{"amount": 5}', JSON, JSON),
    (b'{"amount": 5}', JSON, ("Content-Encoding", "gzip")),
    (b'{"amount": 5}', JSON, ("Content-Encoding", "identity")),
    (b"amount=5", FORM),
    (b"amount=5;amount=6", FORM),
    (b"amount=5&amount=6", FORM),
    (b'{"amount": 5}',),
]
REQUESTS = [
    *(Request("GET", url(f"http://{host}{path}")) for host in (PLAIN, DAV) for path in PATHS),
    *(Request(method, url(f"http://{host}/open/a")) for host in (PLAIN, DAV) for method in METHODS),
    *(Request("GET", url(f"http://{PLAIN}{path}"), tuple(fields)) for path, *fields in HEADS),
    *(Request("POST", url(f"http://{PLAIN}/refunds"), tuple(fields), body) for body, *fields in BODIES),
    *(
        Request("GET", url(f"http://{host}/open/a"))
        for host in ("PLAIN.example", "plain.example:80", "plain.example:8080", "other.example", "plain.example.")
    ),
]


@pytest.fixture(scope="module")
def odd(make_module_gateway: MakeGateway, crm: RecordingUpstream, plain: RecordingUpstream, issuer: Issuer) -> Gateway:
    extra = f"""\
  dav: {{url: "http://{DAV}", methods: [PROPFIND], paths: lenient, connect: "127.0.0.1:{plain.port}", private: true}}
"""
    files = {**rules(crm.port, plain.port, issuer.jwks, extra=extra), "roles/support.yaml": ROLE}
    files["gateway.yaml"] += f"approvals: {{listen: '127.0.0.1:{free_port()}', wait: 1s}}\n"
    return make_module_gateway(files).start()


def as_sent(request: Request, token: str) -> bytes:
    """A request at the proxy's port; Host and Content-Length where it has none."""
    where = request.url
    authority = where.host if where.port == 80 else f"{where.host}:{where.port}"
    given = {name.lower() for name, _ in request.headers}
    beside = {"Host": authority, **({"Content-Length": str(len(request.body))} if request.body else {})}
    fields = [*(field for field in beside.items() if field[0].lower() not in given), *request.headers]
    line = f"{request.method} http://{authority}{where.path} HTTP/1.1"
    lines = [line, *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, *identity(token), "", ""]).encode() + request.body


def wanted(generation: Generation, request: Request) -> tuple[int, str, list[str]]:
    """What is said of a request: the refusal's status (0: none) and detail, and what arrives, its method and target."""
    found = simulate(generation, WHO, request, datetime.now(UTC))
    if found.refusal:
        return found.refusal.status, found.refusal.detail, []
    assert found.target
    action, facts = read(generation, found.target, WHO.roles, request)
    _, mark, query = request.url.path.partition("?")
    return 0, "", [f"{action.verb} {facts.path}{mark}{query}"]


def happens(gateway: Gateway, plain: RecordingUpstream, sent: bytes) -> tuple[int, str, list[str]]:
    """The same of what a gateway does with a request. There is no detail where its head is none of HTTP's."""
    seen, method = plain.watch(), sent.partition(b" ")[0].decode()
    with gateway.dial() as wire:
        reply = wire.ask(sent, to=method)
    arrived = [f"{one.method} {one.target}" for one in seen.requests]
    if arrived or method == "HEAD":
        return 0 if arrived else reply.status, "", arrived
    detail = json.loads(reply.body)["detail"]
    return reply.status, "" if detail == "The request is not valid HTTP." else detail, arrived


def test_what_is_said_is_what_happens(odd: Gateway, plain: RecordingUpstream, token: str) -> None:
    generation = load(odd.rules)
    other = {}
    for request in REQUESTS:
        status, detail, arrived = happens(odd, plain, as_sent(request, token))
        said = wanted(generation, request)
        if (status, detail or said[1], arrived) != said:
            other[repr(request)] = (said, (status, detail, arrived))
    assert other == {}
