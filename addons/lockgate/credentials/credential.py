"""What a target is given to know the gateway by, and how its secret is kept: a credential, which stands in a header or
a query parameter, or a signer, which makes one for each request.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import NoReturn, Protocol
from urllib.parse import quote

from lockgate.bodies.echoes import Echo, base64, echoes, echoes_of_encoded
from lockgate.credentials.places import Fields, Places
from lockgate.errors import SecretUnavailable
from lockgate.model import Sensitive

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


class Unsigned(Protocol):
    """What a signature is made of: a request as it was decided. Of its body no byte changes any more."""

    @property
    def method(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def headers(self) -> Fields: ...
    @property
    def body(self) -> bytes: ...


class Secretive(Sensitive):
    """A name, secrets by it, and the places they take. Never printed, pickled, copied or changed."""

    name: str
    places: Places
    _secrets: tuple[str, ...]

    def __init__(self, name: str, places: Places, secrets: tuple[str, ...]) -> None:
        """`name` is that of its entry in the rules."""
        self._set(name=name, places=places, _secrets=secrets)

    def _set(self, **members: object) -> None:
        """For constructors only."""
        vars(self).update(members)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} does not change")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} redacted>"

    @cached_property
    def echoes(self) -> tuple[Echo, ...]:
        """What a target may send back of the secrets, in the order in which to remove it."""
        return tuple(echo for secret in self._secrets for echo in echoes(secret))

    def scrub(self, data: bytes) -> tuple[bytes, int]:
        """`data` with every echo of the secrets replaced by `[redacted]`, and how many were."""
        total = 0
        for echo in self.echoes:
            data, count = echo.redact(data)
            total += count
        return data, total


class Signer(Secretive, ABC):
    """Makes a credential for one request, of the request itself: a signature."""

    @abstractmethod
    def sign(self, request: Unsigned, now: float) -> Signature:
        """`now` is in seconds since the epoch. Raises ValueError for a request that cannot be signed."""


class Credential(Secretive):
    """One header or one query parameter, with its secret."""

    _user: str
    _fields: Fields
    _query: str

    def __init__(
        self,
        name: str,
        secret: str,
        *beside: str,
        header: tuple[str, str] | None = None,
        query: str = "",
        user: str = "",
    ) -> None:
        """`header` is a name and a full value; `query` a parameter's name, whose value is the secret; `user` stands
        before the secret in Basic; `beside` are secrets that it was obtained with, scrubbed too. Raises
        SecretUnavailable for what is no such name or value.
        """
        if header is None and not query:
            raise SecretUnavailable(f"credential {name}: names neither a header nor a query parameter")
        fields = (field(name, *header),) if header else ()
        places = Places(frozenset({header[0].lower()})) if header else Places(parameters=frozenset({query.lower()}))
        super().__init__(name, places, (secret, *beside))
        self._set(_user=user, _fields=fields, _query="" if header else query)

    def apply(self, path: str, headers: Fields) -> tuple[str, Fields]:
        """A copy of `path` (origin form, with the query) and `headers` with the credential in its place.

        Raises ValueError for a path with a fragment, behind which a parameter would be lost.
        """
        path, headers = self.places.strip(path, headers)
        headers = (*headers, *self._fields)
        if not self._query:
            return path, headers
        if "#" in path:
            raise ValueError("a request's path has no fragment")
        parameter = f"{quote(self._query, safe='')}={quote(self._secrets[0], safe='')}"
        if "?" not in path:
            separator = "?"
        else:
            separator = "" if path.endswith(("?", "&")) else "&"
        return f"{path}{separator}{parameter}", headers

    @cached_property
    def echoes(self) -> tuple[Echo, ...]:
        pair = (base64(f"{self._user}:{self._secrets[0]}", 0),) if self._user else ()
        return (*pair, *super().echoes)


class Signature(Credential):
    """What a signer made of one request, for it alone: header fields. The signer's own secrets are scrubbed with it."""

    _signer: Signer

    def __init__(self, signer: Signer, signature: str, headers: Iterable[tuple[str, str]]) -> None:
        """`headers` are names and full values; `signature`, hex or base64, is what of them is scrubbed. Raises
        SecretUnavailable for what is no such name or value.
        """
        fields = tuple(field(signer.name, *header) for header in headers)
        Secretive.__init__(self, signer.name, signer.places, (signature,))
        self._set(_signer=signer, _user="", _fields=fields, _query="")

    @cached_property
    def echoes(self) -> tuple[Echo, ...]:
        return (*echoes_of_encoded(self._secrets[0]), *self._signer.echoes)


def field(credential: str, name: str, value: str) -> tuple[bytes, bytes]:
    """A header field. Raises SecretUnavailable for a name or a value that carries no credential."""
    if not FIELD_NAME.fullmatch(name) or name.lower() in RESERVED:
        raise SecretUnavailable(f"credential {credential}: {name!r} is no header that may carry a credential")
    if not FIELD_VALUE.fullmatch(value):
        raise SecretUnavailable(f"credential {credential}: its header value would not be visible ASCII")
    return name.encode("ascii"), value.encode("ascii")
