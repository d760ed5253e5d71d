"""How the target answers, by the last part of the path. What must never reach an agent is named here."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
import time
import urllib.parse
import zlib
from collections.abc import Callable, Sequence

import brotli
import zstandard

from harness.upstream import Connection, Seen

SSN = "078-05-1120"
EMAIL = "ann.example@mail.example"
CARD = "4111-1111-1111-1111"
UNMASKED = (SSN, EMAIL, CARD)
CRM_TOKEN = "crm-Z9x/4Kq+hunter2~end=="  # of the letters a Bearer token may have, those that escaping changes
CUSTOMER = {
    "id": 42,
    "name": "Ann Example",
    "ssn": SSN,
    "email": EMAIL,
    "payment": {"card": CARD, "limit": 500},
    "contacts": [{"name": "Bob", "email": EMAIL, "ssn": SSN}],
}
JSON = json.dumps(CUSTOMER).encode()
Fields = Sequence[tuple[str, str]]
JSON_TYPE = ("content-type", "application/json")


def message(status: str, fields: Fields, body: bytes = b"", *, to: str = "GET", length: bool = True) -> bytes:
    """A response; to HEAD without its body but with its length."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields)]
    if length:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if to == "HEAD" else body)


def answer(connection: Connection, seen: Seen) -> None:
    """Answer as the path's last part asks; a path that asks for nothing special gets the customer."""
    ROUTES.get(seen.path.rpartition("/")[2], customer)(connection, seen)


def customer(connection: Connection, seen: Seen) -> None:
    connection.send(message("200 OK", [JSON_TYPE], JSON, to=seen.method))


def encoded(name: str, encode: Callable[[bytes], bytes]) -> Callable[[Connection, Seen], None]:
    """The customer in a content encoding; `name` may be a lie."""

    def route(connection: Connection, seen: Seen) -> None:
        connection.send(message("200 OK", [JSON_TYPE, ("content-encoding", name)], encode(JSON), to=seen.method))

    return route


def chunked(connection: Connection, seen: Seen) -> None:
    head = message("200 OK", [JSON_TYPE, ("transfer-encoding", "chunked")], length=False)
    pieces = [JSON[at : at + 7] for at in range(0, len(JSON), 7)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    connection.send(head if seen.method == "HEAD" else head + body)


def echo(connection: Connection, seen: Seen) -> None:
    """All that the target was sent, as JSON."""
    found = {
        "method": seen.method,
        "target": seen.target,
        "headers": [list(pair) for pair in seen.headers],
        "body": seen.body.decode("latin-1"),
    }
    connection.send(message("200 OK", [JSON_TYPE], json.dumps(found).encode(), to=seen.method))


def echo_secret(connection: Connection, seen: Seen) -> None:
    """The credential, taken from the request, in the form that `?form=` names."""
    value = seen.header("authorization") or ""
    secret = value.removeprefix("Bearer ")
    form = urllib.parse.parse_qs(seen.query).get("form", ["body"])[0]
    fields: list[tuple[str, str]] = [JSON_TYPE]
    body = json.dumps({"note": "fine"})
    if form == "header":
        fields.append(("x-debug", f"token={secret}"))
    elif form == "header-name":
        fields.append((urllib.parse.quote(secret, safe=""), "yes"))
    elif form == "reason":
        connection.send(message(f"200 {secret}", fields, body.encode(), to=seen.method))
        return
    elif form == "location":
        fields.append(("location", f"https://api.crm.example/?token={urllib.parse.quote(secret, safe='')}"))
    elif form == "key":
        body = json.dumps({secret: "as a key"})
    else:
        body = json.dumps({"note": f"you sent {secret_in_form(secret, form)} to us"})
    if form == "unicode-escapes":
        escaped = "".join(f"\\u{ord(character):04x}" for character in secret)
        body = f'{{"note": "you sent {escaped} to us"}}'
    status = "500 Internal Server Error" if form == "error" else "200 OK"
    data = body.encode()
    if form == "gzip":
        fields.append(("content-encoding", "gzip"))
        data = gzip.compress(data)
    connection.send(message(status, fields, data, to=seen.method))


def secret_in_form(secret: str, form: str) -> str:
    """The secret as `form` writes it; as it is where the form is about the place."""
    forms = {
        "bearer": f"Bearer {secret}",
        "base64": base64.b64encode(secret.encode()).decode(),
        "base64url": base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
        "basic": base64.b64encode(f"Bearer {secret}".encode()).decode(),
        "url": urllib.parse.quote(secret, safe=""),
        "url-lower": re.sub("%..", lambda match: match[0].lower(), urllib.parse.quote(secret, safe="")),
        "url-plus": urllib.parse.quote_plus(secret),
        "html": html.escape(secret),
        "nested-json": json.dumps({"token": secret}),
    }
    return forms.get(form, secret)


SECRET_FORMS = (
    "body", "bearer", "header", "header-name", "reason", "location", "key", "error", "gzip", "unicode-escapes",
    "base64", "base64url", "basic", "url", "url-lower", "url-plus", "html", "nested-json",
)  # fmt: skip


def set_cookie(connection: Connection, seen: Seen) -> None:
    fields = [JSON_TYPE, ("set-cookie", "session=upstream-session; HttpOnly"), ("set-cookie2", "old=upstream-session")]
    connection.send(message("200 OK", fields, JSON, to=seen.method))


def early_hints(connection: Connection, seen: Seen) -> None:
    """103 (RFC 8297), then the real answer."""
    connection.send(b"HTTP/1.1 103 Early Hints\r\nlink: </s.css>; rel=preload\r\n\r\n")
    connection.send(message("200 OK", [JSON_TYPE], JSON, to=seen.method))


def malformed_header(connection: Connection, seen: Seen) -> None:
    connection.send(f"HTTP/1.1 200 OK\r\nssn {SSN} is no header\r\ncontent-length: 0\r\n\r\n".encode())


def malformed_status(connection: Connection, seen: Seen) -> None:
    connection.send(f"HTTP/1.1 {SSN}\r\ncontent-length: 0\r\n\r\n".encode())


def reset_before(connection: Connection, seen: Seen) -> None:
    connection.reset()


def close_before(connection: Connection, seen: Seen) -> None:
    connection.close()


def reset_in_headers(connection: Connection, seen: Seen) -> None:
    connection.send(f"HTTP/1.1 200 OK\r\nx-ssn: {SSN}\r\ncontent-".encode())
    time.sleep(0.05)  # let it be read before the reset discards it
    connection.reset()


def reset_after_headers(connection: Connection, seen: Seen) -> None:
    connection.send(f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-ssn: {SSN}\r\n".encode())
    connection.send(f"content-length: {len(JSON)}\r\n\r\n".encode())
    time.sleep(0.05)
    connection.reset()


def short_body(connection: Connection, seen: Seen) -> None:
    head = message("200 OK", [JSON_TYPE, ("content-length", str(len(JSON)))], length=False)
    connection.send(head + JSON[: len(JSON) // 2])
    connection.close()


def short_chunks(connection: Connection, seen: Seen) -> None:
    head = message("200 OK", [JSON_TYPE, ("transfer-encoding", "chunked")], length=False)
    connection.send(head + b"%x\r\n%b\r\n" % (len(JSON), JSON))
    connection.close()


def until_close(connection: Connection, seen: Seen) -> None:
    """A body that only the connection's end delimits (RFC 9112, 6.3)."""
    connection.send(message("200 OK", [JSON_TYPE, ("connection", "close")], length=False) + JSON)
    connection.finish()


def two_lengths(connection: Connection, seen: Seen) -> None:
    fields = [JSON_TYPE, ("content-length", "5"), ("content-length", str(len(JSON)))]
    connection.send(message("200 OK", fields, length=False) + JSON)


def length_and_chunked(connection: Connection, seen: Seen) -> None:
    fields = [JSON_TYPE, ("content-length", "5"), ("transfer-encoding", "chunked")]
    connection.send(message("200 OK", fields, length=False) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(JSON), JSON))


def extra_bytes(connection: Connection, seen: Seen) -> None:
    """A whole answer with another, unasked for, behind it."""
    planted = message("200 OK", [JSON_TYPE], json.dumps({"planted": SSN}).encode())
    connection.send(message("200 OK", [JSON_TYPE], JSON, to=seen.method) + planted)


def big(connection: Connection, seen: Seen) -> None:
    """Some 11 MiB of JSON, more than a target's default limit."""
    body = json.dumps({"ssn": SSN, "filler": "x" * (11 * 1024 * 1024)}).encode()
    connection.send(message("200 OK", [JSON_TYPE], body, to=seen.method))


def bomb(connection: Connection, seen: Seen) -> None:
    """Small on the wire, 64 MiB when decoded."""
    body = gzip.compress(b'{"filler": "' + b"x" * (64 * 1024 * 1024) + b'"}')
    connection.send(message("200 OK", [JSON_TYPE, ("content-encoding", "gzip")], body, to=seen.method))


def slow(connection: Connection, seen: Seen) -> None:
    time.sleep(float(urllib.parse.parse_qs(seen.query).get("seconds", ["0.5"])[0]))
    customer(connection, seen)


def no_content(connection: Connection, seen: Seen) -> None:
    connection.send(message("204 No Content", [("x-note", "none")], length=False))


def not_modified(connection: Connection, seen: Seen) -> None:
    connection.send(message("304 Not Modified", [("etag", '"v1"')], length=False))


def partial(connection: Connection, seen: Seen) -> None:
    fields = [JSON_TYPE, ("content-range", f"bytes 40-90/{len(JSON)}")]
    connection.send(message("206 Partial Content", fields, JSON[40:91], to=seen.method))


def digests(connection: Connection, seen: Seen) -> None:
    """Headers computed over the unmasked body."""

    sha = base64.b64encode(hashlib.sha256(JSON).digest()).decode()
    fields = [
        JSON_TYPE,
        ("etag", f'"{hashlib.sha256(JSON).hexdigest()}"'),
        ("content-md5", base64.b64encode(hashlib.md5(JSON, usedforsecurity=False).digest()).decode()),
        ("digest", f"sha-256={sha}"),
        ("content-digest", f"sha-256=:{sha}:"),
        ("repr-digest", f"sha-256=:{sha}:"),
    ]
    connection.send(message("200 OK", fields, JSON, to=seen.method))


def html_error(connection: Connection, seen: Seen) -> None:
    body = f"<html><h1>Oops</h1> customer {SSN} {EMAIL}</html>".encode()
    connection.send(message("500 Internal Server Error", [("content-type", "text/html")], body, to=seen.method))


def json_error(connection: Connection, seen: Seen) -> None:
    connection.send(message("422 Unprocessable Content", [JSON_TYPE], JSON, to=seen.method))


def html_page(connection: Connection, seen: Seen) -> None:
    body = f"<html>customer {SSN}</html>".encode()
    connection.send(message("200 OK", [("content-type", "text/html")], body, to=seen.method))


def broken_json(connection: Connection, seen: Seen) -> None:
    connection.send(message("200 OK", [JSON_TYPE], JSON[:-2], to=seen.method))


def twice_json(connection: Connection, seen: Seen) -> None:
    body = f'{{"ssn": "hidden", "ssn": "{SSN}"}}'.encode()
    connection.send(message("200 OK", [JSON_TYPE], body, to=seen.method))


def upgrade(connection: Connection, seen: Seen) -> None:
    """Switches protocols, asked or not, and speaks raw bytes from then on."""
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n")
    connection.send(f"ssn={SSN}".encode())


def trailers(connection: Connection, seen: Seen) -> None:
    head = message("200 OK", [JSON_TYPE, ("transfer-encoding", "chunked"), ("trailer", "x-ssn")], length=False)
    connection.send(head + b"%x\r\n%b\r\n0\r\nx-ssn: %b\r\n\r\n" % (len(JSON), JSON, SSN.encode()))


def gzip_twice(data: bytes) -> bytes:
    """Two members: a decoder that stops after the first sees only half."""
    return gzip.compress(data) + gzip.compress(JSON)


ROUTES: dict[str, Callable[[Connection, Seen], None]] = {
    "json": customer,
    "gzip": encoded("gzip", gzip.compress),
    "br": encoded("br", brotli.compress),
    "zstd": encoded("zstd", zstandard.ZstdCompressor().compress),
    "deflate": encoded("deflate", zlib.compress),
    "gzip-two-members": encoded("gzip", gzip_twice),
    "gzip-truncated": encoded("gzip", lambda data: gzip.compress(data)[:-6]),
    "gzip-junk": encoded("gzip", lambda data: gzip.compress(data) + b"junk"),
    "gzip-lie": encoded("gzip", lambda data: data),
    "rot13": encoded("rot13", lambda data: data),
    "double-gzip": encoded("gzip, gzip", lambda data: gzip.compress(gzip.compress(data))),
    "chunked": chunked,
    "echo": echo,
    "echo-secret": echo_secret,
    "set-cookie": set_cookie,
    "103-then-200": early_hints,
    "malformed-header": malformed_header,
    "malformed-status": malformed_status,
    "reset-before": reset_before,
    "close-before": close_before,
    "reset-in-headers": reset_in_headers,
    "reset-after-headers": reset_after_headers,
    "short-body": short_body,
    "short-chunks": short_chunks,
    "until-close": until_close,
    "two-lengths": two_lengths,
    "length-and-chunked": length_and_chunked,
    "extra-bytes": extra_bytes,
    "big": big,
    "bomb": bomb,
    "slow": slow,
    "204": no_content,
    "304": not_modified,
    "206": partial,
    "digests": digests,
    "html-500": html_error,
    "json-422": json_error,
    "html-200": html_page,
    "broken-json": broken_json,
    "twice-json": twice_json,
    "upgrade-101": upgrade,
    "trailers": trailers,
}
