"""Laws of reading, for whatever input: hypothesis tries them in tests, atheris in `scripts/check --deep`.

What is read once reads the same again, raises nothing but what says that it cannot be read, and others read the same.
"""

from __future__ import annotations

import json
import posixpath
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import h11
from mitmproxy.net.http import http1

from lockgate.actions import head
from lockgate.actions.http import canonical_path, parse_query, read
from lockgate.bodies import content_type, encodings, forms, multipart
from lockgate.bodies.json import dumps, parse
from lockgate.errors import (
    BodyTooLarge,
    BodyUnreadable,
    ContentTypeNotAccepted,
    EncodingNotAccepted,
    RequestUnreadable,
)
from lockgate.exchange import Exchange, Outgoing, Session
from lockgate.model import HttpFacts, Target
from lockgate.proxy.doors import _with_credential

CRM = Target("crm", "https", "api.crm.example", 443)
LIMIT = 64 * 1024
Fields = Sequence[tuple[str, str]]


def check_path(raw: str) -> None:
    """A canonical path is its own canonical form, and has nothing in it that a file system or a URL would resolve."""
    try:
        path = canonical_path(raw)
    except RequestUnreadable:
        return
    assert canonical_path(path) == path
    decoded = unquote_to_bytes(path).decode("utf-8")
    assert decoded.encode() == unquote_to_bytes(raw)
    assert posixpath.normpath(decoded) == (decoded.rstrip("/") or "/")
    assert not set(decoded) & set("\\;?#\0\r\n")


def check_query(raw: str) -> None:
    """A query has the parameters that the standard library reads, and no others."""
    try:
        found = parse_query(raw)
    except RequestUnreadable:
        return
    others: dict[str, list[str]] = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        others.setdefault(name, []).append(value)
    assert {name: tuple(values) for name, values in others.items()} == found


def check_json(data: bytes) -> None:
    """A document that is read is the one that the standard library reads, and is written as what reads the same."""
    try:
        document = parse(data)
    except BodyUnreadable:
        return
    assert same(document, json.loads(data))
    written = dumps(document)
    assert same(parse(written), document)
    assert dumps(parse(written)) == written


def same(one: Any, other: Any) -> bool:
    """Whether two documents are equal, their types as well: `1`, `1.0` and `true` are three values."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    kinds = (bool, int, float, str, type(None))
    return one == other and next(k for k in kinds if isinstance(one, k)) is next(
        k for k in kinds if isinstance(other, k)
    )


def check_form(data: bytes) -> None:
    """A form has the fields that the standard library reads, and no others."""
    try:
        found = forms.parse(data)
    except BodyUnreadable:
        return
    others: dict[str, list[str]] = {}
    for name, value in parse_qsl(data.decode("ascii"), keep_blank_values=True):
        others.setdefault(name, []).append(value)
    assert {name: tuple(values) for name, values in others.items()} == found.fields


def form_of(kind: str, data: bytes) -> list[tuple[str, Any]] | None:
    """The fields of a form of this Content-Type; of a file its name and its size. None: it cannot be read."""
    try:
        parsed = content_type.parse(kind)
        read_as = forms.parse(data) if parsed.essence == forms.TYPE else multipart.parse(data, parsed)
    except (BodyUnreadable, ContentTypeNotAccepted):
        return None
    return [
        (name, {"filename": value["filename"], "size": value["size"]} if isinstance(value, dict) else value)
        for name, values in read_as.fields.items()
        for value in values
    ]


def check_encoding(coding: str, data: bytes) -> None:
    """A body that is decoded is within its limit, and what the coding's own library makes of all of it."""
    try:
        body = encodings.decode(data, coding, LIMIT)
    except (BodyTooLarge, BodyUnreadable, EncodingNotAccepted):
        return
    assert len(body) <= LIMIT
    assert encodings.decode(body, None, LIMIT) == body
    if coding == "gzip":
        whole = zlib.decompressobj(wbits=31)
        assert whole.decompress(data) == body
        assert whole.eof and not whole.unused_data


def serialised(facts: HttpFacts, path: str, fields: Fields, body: bytes) -> bytes:
    """The bytes that go to a target for what was read: those of the door, without a credential."""
    headers = [("host", CRM.authority), *fields, *([("content-length", str(len(body)))] if body else [])]
    outgoing = Outgoing(
        method=facts.method,
        scheme=CRM.scheme,
        host=CRM.host,
        port=CRM.port,
        path=path,
        headers=tuple((name.encode(), value.encode()) for name, value in headers),
        body=body,
    )
    request = _with_credential(outgoing, Exchange("", Session(), ()), 0.0)
    return bytes(http1.assemble_request_head(request)) + body  # type: ignore[no-untyped-call]


def check_request(method: str, target: str, fields: Fields, body: bytes, to: Target = CRM) -> bytes | None:
    """What is read of a request, a server reads of the bytes that go out; they are returned. None: it is refused."""
    try:
        head.require_expected(method, body)
        _, facts, path = read(method, to, target, fields)
    except RequestUnreadable:
        return None
    actions, again, path_again = read(method, CRM, path, fields)
    assert (again, path_again) == (facts, path)
    assert (actions[0].verb, actions[0].resource) == (facts.method, facts.path)
    sent = serialised(facts, path, fields, body)
    server = h11.Connection(h11.SERVER)
    server.receive_data(sent)
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (method.encode(), path.encode())
    assert [value for name, value in request.headers if name == b"host"] == [CRM.authority.encode()]
    received = b""
    while isinstance(event := server.next_event(), h11.Data):
        received += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert received == body
    assert server.trailing_data == (b"", False)
    return sent


def check_bytes(data: bytes) -> None:
    """Any bytes, taken as each of these."""
    text = data.decode("latin-1")
    check_path(text)
    check_path("/" + text)
    check_query(text)
    check_json(data)
    check_form(data)
    form_of("multipart/form-data; boundary=b", data)
    for coding in ("gzip", "deflate", "br", "zstd"):
        check_encoding(coding, data)
    with suppress(ValueError):
        method, target, rest = text.split(" ", 2)
        check_request(method, target, [], rest.encode("latin-1"))
