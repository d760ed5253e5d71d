"""Real servers read what the gateway sends as the rules read it: the same method, path, host, query and body.

The requests are those that the evasion corpus says arrive, which `test_evasion.py` holds the gateway to byte by byte,
and whatever else the reader lets through.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from harness.corpus import load_all
from harness.issuer import Issuer
from harness.laws import CRM, check_request, form_of
from harness.requests import BODIES, FIELDS, LIKE_REQUESTS, METHODS, MULTIPART, ODD_PATHS, PATHS, QUERIES, URLENCODED
from harness.servers import SERVERS, Read, http_server, is_last, node_server, pairs, read_by, werkzeug_form
from harness.wire import dial
from lockgate.actions.http import read
from lockgate.model import HttpFacts
from lockgate.proxy.framing import begins_like_a_request

LENIENT = replace(CRM, lenient_paths=True)
NEXT = b"GET /next?a=b HTTP/1.1\r\nHost: api.crm.example\r\n\r\n"


@pytest.fixture(scope="module", params=SERVERS)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with SERVERS[request.param]() as port:
        yield port


def arriving() -> dict[str, bytes]:
    """Each request that arrives at a target, by the case that it is of; the same one only once. Not those that are as
    large as the gateway takes: some servers take less.
    """
    issuer = Issuer()
    token = issuer.token("support")
    found: dict[bytes, str] = {}
    for case in (one for one in load_all() if one.kind not in ("exhaustion", "option")):
        for step in case.steps(issuer, token):
            for request in step.arrives:
                found.setdefault(request, case.name)
    return {name: request for request, name in found.items()}


def facts_of(request: bytes) -> tuple[HttpFacts, bytes]:
    """What the rules read of a request's bytes, and its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    method, path, _ = line.split(" ")
    fields = [(name, value.strip()) for name, _, value in (one.partition(":") for one in lines)]
    _, facts, again = read(method, CRM, path, fields)
    assert again == path
    return facts, body


def agrees(server: Read, facts: HttpFacts, body: bytes) -> None:
    assert server.method == facts.method
    assert server.body == (len(body) if isinstance(server.body, int) else body)
    assert server.path == unquote(facts.path)
    assert server.host == facts.headers["host"][0]
    assert sorted(server.query) == pairs(facts.query)


@pytest.mark.parametrize("request_", [pytest.param(request, id=name) for name, request in arriving().items()])
def test_what_arrives(port: int, request_: bytes) -> None:
    following = [] if is_last(request_) else [NEXT]
    one, *others = read_by(port, request_, *following)
    agrees(one, *facts_of(request_))
    for other in others:
        agrees(other, *facts_of(NEXT))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much])
@given(METHODS, PATHS, QUERIES, FIELDS, BODIES)
def test_what_is_let_through(
    port: int, method: str, path: str, query: str, fields: list[tuple[str, str]], body: bytes
) -> None:
    sent = check_request(method, f"{path}?{query}", fields, body)
    assume(sent is not None)
    assert sent is not None
    one, behind = read_by(port, sent, NEXT)
    agrees(one, *facts_of(sent))
    agrees(behind, *facts_of(NEXT))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much])
@given(ODD_PATHS, QUERIES)
@example("/static..;x/%2e%2e%5csecret", "a=b")
@example("/v1/%252e%252e;/..%c3%a9//./x%2Fy;z=%2F..", "")
def test_what_a_lenient_target_gets(port: int, path: str, query: str) -> None:
    """However a path is written: what was decided on."""
    sent = check_request("GET", f"{path}?{query}", [], b"", LENIENT)
    assume(sent is not None)
    assert sent is not None
    (one,) = read_by(port, sent)
    facts, _ = facts_of(sent)
    assert facts.path == read("GET", LENIENT, path, [])[1].path
    agrees(one, facts, b"")


KINDS = {
    "urlencoded": ("application/x-www-form-urlencoded", URLENCODED),
    "multipart": ("multipart/form-data; boundary=b", MULTIPART),
}


@pytest.fixture(scope="module")
def node_port() -> Iterator[int]:
    with node_server() as port:
        yield port


def in_order(fields: Iterable[Sequence[Any]]) -> list[tuple[str, bool, str]]:
    """Fields by their names, text before files; those of one name stay in order."""
    found = [(name, isinstance(value, dict), json.dumps(value, sort_keys=True)) for name, value in fields]
    return sorted(found, key=lambda field: field[:2])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much])
@given(data=st.data())
def test_forms(node_port: int, kind: str, data: st.DataObject) -> None:
    """Werkzeug and Node read the fields of a form that the rules read."""
    name, strategy = KINDS[kind]
    body = data.draw(strategy)
    found = form_of(name, body)
    assume(found)
    assert found is not None
    assert in_order(werkzeug_form(name, body)) == in_order(found)
    line = b"POST / HTTP/1.1\r\nHost: api.crm.example\r\nContent-Type: "
    (by_node,) = read_by(node_port, line + f"{name}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    assert isinstance(by_node.form, str) or in_order(by_node.form) == in_order(found)  # text: it refuses more


@pytest.fixture(scope="module")
def unread_port() -> Iterator[int]:
    with http_server(reads_bodies=False) as port:
        yield port


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=LIKE_REQUESTS)
@example(body=b"GET\x0b/smuggled HTTP/1.1\r\n\r\n")
@example(body=b"\x0cGET /smuggled HTTP/1.1\r\n\r\n")
def test_a_body_that_nobody_reads(unread_port: int, body: bytes) -> None:
    """What a server takes for its next request is sent on a connection that ends with it."""
    with dial(unread_port) as wire:
        wire.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        wire.socket.shutdown(socket.SHUT_WR)
        answers = wire.rest()
    assert begins_like_a_request(body) or answers.count(b"HTTP/1.1 200") == 1
