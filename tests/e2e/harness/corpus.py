"""The evasion corpus: cases as data, one file a class, read from `tests/corpus/evasion` (its README has the format)."""

from __future__ import annotations

import gzip
import re
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import brotli
import yaml
import zstandard

from harness.answers import CRM_TOKEN
from harness.issuer import Issuer
from harness.rules import CRM, PLAIN

CORPUS = Path(__file__).parents[2] / "corpus" / "evasion"

ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([rnt0\\\n])|(.?))|(\n)|\$\{(?:(\d+)\*([^}]*)|([\w-]+))\}", re.DOTALL)
REVERSE = ("reverse", "reverse-elsewhere")
TO_CRM = ("tunnel", *REVERSE)
TIMES = ("iat", "exp", "nbf")
CHARACTERS = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\", "\n": b""}


def raw_deflate(data: bytes) -> bytes:
    """RFC 1951, which some call `deflate`: without the frame of RFC 1950."""
    return zlib.compress(data, wbits=-15)


CODINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw-deflate": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "gzip-cut": lambda data: gzip.compress(data)[:-6],
    "gzip-and-more": lambda data: gzip.compress(data) + data,
    "gzip-twice": lambda data: gzip.compress(data) + gzip.compress(data),
    "gzip-wrong-sum": lambda data: gzip.compress(data)[:-8] + bytes(4) + gzip.compress(data)[-4:],
    "bomb": lambda data: gzip.compress(data + bytes(64 * 1024 * 1024)),
    "bomb-in-bomb": lambda data: gzip.compress(gzip.compress(data + bytes(64 * 1024 * 1024))),
    "utf-7": lambda data: data.decode().encode("utf-7"),
    "utf-16": lambda data: data.decode().encode("utf-16"),
    "utf-16-le": lambda data: data.decode().encode("utf-16-le"),
    "utf-16-be": lambda data: data.decode().encode("utf-16-be"),
    "utf-32": lambda data: data.decode().encode("utf-32"),
    "utf-8-bom": lambda data: data.decode().encode("utf-8-sig"),
    "cp037": lambda data: data.decode().encode("cp037"),  # EBCDIC
}


@dataclass(frozen=True)
class Answer:
    """What the target answers instead of an echo: `parts` are bytes, and seconds to wait; then it may hang up."""

    parts: tuple[bytes | float, ...]
    closes: bool = False


@dataclass(frozen=True)
class Step:
    """What is sent on one of the agent's connections, and what must come back.

    `parts` are bytes, seconds to wait, or None: the agent will send no more. Each of `expect` is a set of statuses as
    text, `closed` or `silent`; `arrives` are the requests that the target must then have got.
    """

    connection: str
    parts: tuple[bytes | float | None, ...]
    methods: tuple[str, ...]
    expect: tuple[frozenset[str], ...]
    arrives: tuple[bytes, ...]


@dataclass(frozen=True)
class Case:
    """One case, with everything filled in but its tokens: `steps` is a function of them."""

    kind: str
    id: str
    why: str
    via: str
    data: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.id}"

    @property
    def to(self) -> str:
        """The target that may get something."""
        return str(self.data.get("to", "crm" if self.via in TO_CRM else "plain"))

    @property
    def probes(self) -> bool:
        """Whether the next request on the connection is tried."""
        return self.data.get("probe") != "no"

    @property
    def pause(self) -> float:
        """Seconds to wait before the next request on the connection."""
        return float(self.data.get("pause", 0))

    @property
    def open(self) -> str | None:
        """What is still to be done so that the case comes out as expected."""
        return self.data.get("open")

    @property
    def prompts(self) -> bool:
        """Whether others must be answered while it sends."""
        return bool(self.data.get("others"))

    @property
    def may_be_left(self) -> bool:
        """Whether it may arrive or not, whatever the answer."""
        return bool(self.data.get("maybe"))

    @property
    def never(self) -> tuple[bytes, ...]:
        """What must not come back to the agent."""
        return tuple(unescape(text, {}) for text in self.data.get("never", ()))

    @property
    def body(self) -> bytes | None:
        """The body that the agent must get."""
        return unescape(self.data["body-is"], {}) if "body-is" in self.data else None

    @property
    def answer(self) -> Answer | None:
        """What the target answers; None is an echo."""
        given = self.data.get("answer")
        if given is None:
            return None
        body = unescape(str(self.data.get("answer-body", "")), {})
        for coding in self.data.get("answer-encode", ()):
            body = CODINGS[coding](body)
        values = {"body": body, "length": str(len(body)).encode()}
        return Answer(tuple(_parts(given, values)), bool(self.data.get("hangs-up")))  # type: ignore[arg-type]

    def steps(self, issuer: Issuer, token: str) -> list[Step]:
        """What is done, in order. `token` is a good one; `token:` in the case says what is odd about the one it has."""
        odd = self.data.get("token")
        values = {
            "token": (make_token(issuer, odd) if odd else token).encode(),
            "other": issuer.token("support", sub="agent-8").encode() if "${other}" in str(self.data) else b"",
            "crm": CRM.encode(),
            "plain": PLAIN.encode(),
            "credential": CRM_TOKEN.encode(),
        }
        if self.via == "identity":  # on CONNECT and on a plain request
            fields = "".join(f"\n{line}" for line in self.data["fields"])
            ways = (
                "CONNECT ${crm}:443 HTTP/1.1\nHost: ${crm}:443",
                "GET http://${plain}/open/a HTTP/1.1\nHost: ${plain}",
            )
            given = [
                {"send": way + fields, "expect": self.data["expect"], "on": way, "methods": way.split()[0]}
                for way in ways
            ]
        else:
            given = self.data.get("steps") or [self.data]
        return [self._step(one, values) for one in given]

    def _step(self, data: Mapping[str, Any], values: Mapping[str, bytes]) -> Step:
        if "url" in data:
            parts: tuple[bytes | float | None, ...] = (self._get(data, values),)
        else:
            parts = tuple(_parts(data["send"], values)) if "send" in data else (self._ask(data, values),)
        sent = b"".join(part for part in parts if isinstance(part, bytes))
        expect = tuple(frozenset(one.split("|")) for one in str(data["expect"]).split())
        arrives = tuple(message(text, values) for text in _listed(data.get("arrives", [])))
        if self.answer and not arrives:
            method, _, path = unescape(str(data["ask"]), values).partition(b" ")
            arrives = (forwarded(self.to, method, path, masked=path.startswith(b"/v1/")),)
        methods = tuple(str(data.get("methods", "HEAD" if sent.startswith(b"HEAD ") else "GET")).split())
        return Step(str(data.get("on", "a")), parts, methods, expect, arrives)

    def _get(self, data: Mapping[str, Any], values: Mapping[str, bytes]) -> bytes:
        """A GET of `url`, whose Host header is `host`, or what stands between its slashes."""
        url = unescape(data["url"], values)
        host = unescape(data["host"], values) if "host" in data else (url + b"///").split(b"/")[2]
        return b"GET %b HTTP/1.1\r\nHost: %b\r\nProxy-Authorization: Bearer %b\r\n\r\n" % (url, host, values["token"])

    def _ask(self, data: Mapping[str, Any], values: Mapping[str, bytes]) -> bytes:
        """A plain client call: `ask: METHOD PATH`, `fields`, `body`, `encode`."""
        method, _, path = unescape(str(data["ask"]), values).partition(b" ")
        body = unescape(str(data.get("body", "")), values)
        for coding in _listed(data.get("encode", [])):
            body = CODINGS[str(coding)](body)
        own = [unescape(text, values) for text in data.get("fields", ())]
        return request(self.via, method, path, values["token"], own, body)


def request(via: str, method: bytes, path: bytes, token: bytes, fields: list[bytes], body: bytes = b"") -> bytes:
    """A request in the form that fits the way to the gateway."""
    host = (CRM if via in TO_CRM else PLAIN).encode()
    target = b"http://" + host + path if via == "port" else path
    name = {"port": b"Proxy-Authorization", **dict.fromkeys(REVERSE, b"Authorization")}.get(via)
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: " + host]
    if name and not any(line.lower().startswith(name.lower()) for line in fields):
        lines.append(name + b": Bearer " + token)
    lines += fields
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", b""]) + body


def forwarded(to: str, method: bytes, path: bytes, *, masked: bool = False) -> bytes:
    """A request without fields of its own, as the gateway sends it on to the target `to`."""
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: " + (CRM if to == "crm" else PLAIN).encode()]
    if masked or to == "crm":  # so that the gateway can look into the answer
        lines.append(b"accept-encoding: identity")
    if to == "crm":
        lines.append(b"Authorization: Bearer " + CRM_TOKEN.encode())
    return b"\r\n".join([*lines, b"", b""])


def load(path: Path) -> list[Case]:
    """The cases of one file. Raises AssertionError for one that is not whole."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    cases = [{**document.get("default", {}), **one} for one in document["cases"]]
    found = [Case(path.stem, str(one["id"]), str(one["why"]), str(one.get("via", "port")), one) for one in cases]
    assert len({one.id for one in found}) == len(found), f"{path.name} has an id twice"
    return found


def load_all(*kinds: str) -> list[Case]:
    """The cases of these classes; of all, where none is named."""
    paths = [CORPUS / f"{kind}.yaml" for kind in kinds] if kinds else sorted(CORPUS.glob("*.yaml"))
    return [case for path in paths for case in load(path)]


def unescape(text: str, values: Mapping[str, bytes]) -> bytes:
    r"""What a text of the corpus stands for: `\r \n \t \0 \\ \xNN`, `\` at the end of a line joins it to the next, any
    other end of a line is CRLF; `${name}` is a value, `${9*ab}` nine times `ab`; all else is itself, as UTF-8.
    """

    def one(match: re.Match[str]) -> bytes:
        byte, character, unknown, end, count, repeated, name = match.groups()
        if byte:
            return bytes([int(byte, 16)])
        if character:
            return CHARACTERS[character]
        if end:
            return b"\r\n"
        if count:
            return unescape(repeated, values) * int(count)
        if name in values:
            return values[name]
        raise ValueError(f"the corpus has no such escape: {match[0]!r} {unknown or ''}")

    pieces, at = [], 0
    for match in ESCAPE.finditer(text):
        pieces += [text[at : match.start()].encode(), one(match)]
        at = match.end()
    return b"".join([*pieces, text[at:].encode()])


def message(text: str, values: Mapping[str, bytes]) -> bytes:
    """A whole message: the end of the text ends its body, or its head, unless a `\\` says that it ends right there."""
    text = text.removesuffix("\n")
    if not text.endswith("\\") and "\n\n" not in text:
        text += "\n\n"
    return unescape(text.removesuffix("\\"), values)


def make_token(issuer: Issuer, odd: Mapping[str, Any]) -> str:
    """A token with what is odd about it: `claims` (whole numbers as times are seconds from now), how it is signed
    (`key`, `kid`, `algorithm`, `header`), its `roles`, and what is changed (`replace`, `cut`, `parts`, `append`).
    """
    claims = {
        name: value + time.time() if name in TIMES and type(value) is int else value
        for name, value in odd.get("claims", {}).items()
    }
    if "repeat" in odd:
        claims["filler"] = str(claims["filler"]) * int(odd["repeat"])
    roles = odd.get("roles", ["support"])
    key = odd.get("key", "own")
    if key == "stranger":
        token = issuer.strangers_token(*roles, header=odd.get("header"), **claims)
    elif key == "none":
        token = issuer.unsigned_token(*roles, **claims)
    elif key == "public":
        token = issuer.confused_token(*roles, **claims)
    else:
        token = issuer.token(*roles, algorithm=odd.get("algorithm", "RS256"), kid=odd.get("kid"), **claims)
    for old, new in odd.get("replace", {}).items():
        assert old in token
        token = token.replace(old, new, 1)
    if "cut" in odd:
        token = token[: -int(odd["cut"])]
    return ".".join(token.split(".")[: odd.get("parts")]) + str(odd.get("append", ""))


def _parts(given: Any, values: Mapping[str, bytes]) -> list[bytes | float | None]:
    if isinstance(given, str):
        return [message(given, values)]
    return [unescape(one, values) if isinstance(one, str) else one for one in given]


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]
