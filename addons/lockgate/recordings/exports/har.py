"""HTTP Archive 1.2 (http://www.softwareishard.com/blog/har-12-spec/), an entry a line; ours is in `_lockgate`. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

from lockgate.recordings.exports.entry import Entry, Frame, Message

NOTHING = -1  # the specification's "does not apply"


def head(version: str) -> bytes:
    creator = dumps({"name": "Lockgate", "version": version})
    return b'{"log":{"version":"1.2","creator":%b,"entries":[\n' % creator


def tail(manifest: Mapping[str, Any]) -> bytes:
    return b'],"_lockgate":%b}}\n' % dumps(manifest)


def manifest_in(line: bytes) -> Any:
    """Raises ValueError."""
    return json.loads(b'{"log":{"entries":[' + line)["log"]["_lockgate"]


def place_in(document: Any) -> Any:
    """Where an entry says it comes from."""
    return document["_lockgate"]["chain"]


def render(entry: Entry) -> bytes:
    timings = phases(entry)
    document: dict[str, Any] = {
        "startedDateTime": entry.time.isoformat(timespec="milliseconds"),
        "time": round(sum(each for each in timings.values() if each != NOTHING), 3),
        "request": request(entry),
        "response": response(entry),
        "cache": {},
        "timings": timings,
        "connection": entry.flow_id,
        "_lockgate": dict(entry.said),
    }
    if entry.server_address:
        document["serverIPAddress"] = entry.server_address
    if entry.error:
        document["comment"] = entry.error
    if entry.frames:
        document["_webSocketMessages"] = [frame(each) for each in entry.frames]
    return dumps(document)


def request(entry: Entry) -> dict[str, Any]:
    message = entry.request
    query = entry.path.partition("?")[2]
    document: dict[str, Any] = {
        "method": entry.method,
        "url": entry.url,
        "httpVersion": message.version,
        "cookies": [],
        "headers": fields(message),
        "queryString": [{"name": name, "value": value} for name, value in parse_qsl(query, keep_blank_values=True)],
        "headersSize": NOTHING,
        "bodySize": NOTHING if message.body is None else len(message.body),
    }
    if message.body is None or message.body:
        text, encoding = body(message)
        posted = {"mimeType": message.content_type, "text": text, **commented(message)}
        document["postData"] = {**posted, "_encoding": encoding} if encoding else posted
    return document


def response(entry: Entry) -> dict[str, Any]:
    message = entry.response or Message(entry.request.version, (), None, "no answer was recorded")
    text, encoding = body(message)
    content: dict[str, Any] = {
        "size": len(message.body or b""),
        "mimeType": message.content_type or "x-unknown",
        "text": text,
        **commented(message),
    }
    return {
        "status": entry.status or 0,
        "statusText": entry.reason,
        "httpVersion": message.version,
        "cookies": cookies(message),
        "headers": fields(message),
        "content": {**content, "encoding": encoding} if encoding else content,
        "redirectURL": next(iter(message.values("location")), ""),
        "headersSize": NOTHING,
        "bodySize": NOTHING if message.body is None else len(message.body),
    }


def fields(message: Message) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in message.headers]


def cookies(message: Message) -> list[dict[str, str]]:
    """Those of Set-Cookie, as far as they can be read; the fields have them whole."""
    found = SimpleCookie()
    for value in message.values("set-cookie"):
        try:
            found.load(value)
        except CookieError:
            continue
    return [{"name": name, "value": cookie.value} for name, cookie in found.items()]


def body(message: Message) -> tuple[str, str | None]:
    """Its text; with the encoding where it is none."""
    if not message.body:
        return "", None
    try:
        return message.body.decode(), None
    except UnicodeDecodeError:
        return base64.b64encode(message.body).decode(), "base64"


def commented(message: Message) -> dict[str, str]:
    return {"comment": message.note} if message.note else {}


def frame(found: Frame) -> dict[str, Any]:
    """As browsers export messages of a WebSocket."""
    data = found.content.decode("utf-8", "replace") if found.is_text else base64.b64encode(found.content).decode()
    side = "send" if found.from_agent else "receive"
    return {"type": side, "time": found.time, "opcode": 1 if found.is_text else 2, "data": data}


def phases(entry: Entry) -> dict[str, float]:
    """Milliseconds; what is not known is -1, but in what the specification requires."""
    moments = entry.moments
    return {
        "connect": between(moments["connect_start"], moments["connect_end"], NOTHING),
        "send": between(moments["request_start"], moments["request_end"], 0),
        "wait": between(moments["request_end"], moments["response_start"], 0),
        "receive": between(moments["response_start"], moments["response_end"], 0),
    }


def between(start: float | None, end: float | None, unknown: float) -> float:
    return unknown if start is None or end is None else round(max(0.0, end - start) * 1000, 3)


def dumps(document: Any) -> bytes:
    """In ASCII: nothing in it moves a cursor or reorders what is read."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False, default=octets).encode("ascii")


def octets(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    raise TypeError("no value of a record")
