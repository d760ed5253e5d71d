"""What a target is given to know the gateway by: a header or a query parameter, and how its secret is kept."""

from __future__ import annotations

import re
from functools import cached_property
from typing import NoReturn
from urllib.parse import quote, unquote_plus

from lockgate.bodies.echoes import Echo, base64, echoes
from lockgate.errors import SecretUnavailable
from lockgate.model import Sensitive

Fields = tuple[tuple[bytes, bytes], ...]

FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
FIELD_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
# What says where a message goes or ends, or who the agent is, is no place for a credential.
RESERVED = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class Credential(Sensitive):
    """One header or one query parameter, with its secret. Never printed, pickled, copied or changed.

    `header_name` (lower case) and `query_name` say which place it takes: one of them is None.
    """

    name: str
    header_name: str | None
    query_name: str | None
    _secret: str
    _user: str
    _header: tuple[str, str] | None

    def __init__(
        self, name: str, secret: str, *, header: tuple[str, str] | None = None, query: str = "", user: str = ""
    ) -> None:
        """`name` is that of its entry in the rules.

        `header` is a name and a full value; `query` a parameter's name, whose value is the secret; `user` stands before
        the secret in Basic. Raises SecretUnavailable for what is no such name or value.
        """
        if header is not None:
            require_header(name, *header)
        elif not query:
            raise SecretUnavailable(f"credential {name}: names neither a header nor a query parameter")
        set_once = super().__setattr__
        set_once("name", name)
        set_once("_secret", secret)
        set_once("_user", user)
        set_once("_header", header)
        set_once("header_name", header[0].lower() if header else None)
        set_once("query_name", query or None)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} does not change")

    def __repr__(self) -> str:
        return f"<Credential {self.name} redacted>"

    def strip(self, path: str, headers: Fields) -> tuple[str, Fields]:
        """`path` and `headers` without anything in the credential's own place: what the agent put there."""
        if self.query_name is not None:
            path = without_parameter(path, self.query_name)
        kept = tuple(field for field in headers if field[0].lower().decode("latin-1") != self.header_name)
        return path, kept

    def apply(self, path: str, headers: Fields) -> tuple[str, Fields]:
        """A copy of `path` (origin form, with the query) and `headers` with the credential in its place.

        Raises ValueError for a path with a fragment, behind which a parameter would be lost.
        """
        path, headers = self.strip(path, headers)
        if self._header is not None:
            name, value = self._header
            return path, (*headers, (name.encode("ascii"), value.encode("ascii")))
        if "#" in path:
            raise ValueError("a request's path has no fragment")
        parameter = f"{quote(self.query_name or '', safe='')}={quote(self._secret, safe='')}"
        if "?" not in path:
            separator = "?"
        else:
            separator = "" if path.endswith(("?", "&")) else "&"
        return f"{path}{separator}{parameter}", headers

    @cached_property
    def _echoes(self) -> tuple[Echo, ...]:
        pair = (base64(f"{self._user}:{self._secret}", 0),) if self._user else ()
        return (*pair, *echoes(self._secret))

    def scrub(self, data: bytes) -> tuple[bytes, int]:
        """`data` with every echo of the secret replaced by `[redacted]`, and how many were."""
        total = 0
        for echo in self._echoes:
            data, count = echo.redact(data)
            total += count
        return data, total


def require_header(credential: str, name: str, value: str) -> None:
    if not FIELD_NAME.fullmatch(name) or name.lower() in RESERVED:
        raise SecretUnavailable(f"credential {credential}: {name!r} is no header that may carry a credential")
    if not FIELD_VALUE.fullmatch(value):
        raise SecretUnavailable(f"credential {credential}: its header value would not be visible ASCII")


def without_parameter(path: str, name: str) -> str:
    """`path` without the query parameters that a target may read as `name`: any letter case, `&` or `;` between."""
    route, mark, query = path.partition("?")
    if not mark:
        return path
    kept = []
    for part in query.split("&"):
        pieces = [piece for piece in part.split(";") if not is_named(piece, name)]
        if pieces:
            kept.append(";".join(pieces))
    return f"{route}?{'&'.join(kept)}" if kept else route


def is_named(parameter: str, name: str) -> bool:
    return unquote_plus(parameter.partition("=")[0]).strip().lower() == name.lower()
