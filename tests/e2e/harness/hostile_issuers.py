"""A server of many issuers, each at a path of its name: most publish what nobody should take for an issuer's keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from harness.answers import JSON_TYPE, message
from harness.pki import Authority
from harness.upstream import Connection, RecordingUpstream, Seen

KEYS = "/keys"
SLOW = ("slow-1", "slow-2")  # answer for their keys once they are told to
# What each is refused for, as the gateway's log says it.
PROBLEMS = {
    "huge": "larger than 1048576 bytes",
    "drip": "no whole answer in time",
    "redirecting": "answers 302",
    "another-issuer": "the configuration of another issuer",
    "keys-over-http": "no jwks_uri over https",
    "html": "not strict JSON",
    "not-utf8": "not UTF-8",
    "key-twice": "same key twice",
    "symmetric": "holds a secret key",
    "private": "holds a secret key",
    "empty": "no usable public key",
}
NAMES = ("good", *SLOW, *PROBLEMS)
SYMMETRIC = {"kty": "oct", "kid": "rsa-1", "k": "c2VjcmV0LWtleS1vZi10aGUtc2V0"}


class HostileIssuers:
    """All of them sign with the keys of one JWK set, `jwks`, so that taking it is all that would be needed."""

    def __init__(self, authority: Authority, jwks: str) -> None:
        self.tell = threading.Event()
        self.server = RecordingUpstream(self._answer, authority.server_context("localhost"))
        self.base = f"https://localhost:{self.server.port}"
        self._jwks = jwks.encode()

    def asked(self, name: str, path: str = KEYS) -> int:
        """How often a path of an issuer was asked for."""
        return sum(seen.path == f"/{name}{path}" for seen in self.server.requests)

    def close(self) -> None:
        self.tell.set()
        self.server.close()

    def _answer(self, connection: Connection, seen: Seen) -> None:
        name, _, path = seen.path[1:].partition("/")
        if f"/{path}" == KEYS:
            special: Callable[[Connection], None] = {"redirecting": self._redirect, "drip": self._drip}.get(
                name, lambda connection: self._send(connection, self._keys(name))
            )
            special(connection)
            return
        where = f"{self.base}/{name}"
        found = {
            "issuer": f"{self.base}/good" if name == "another-issuer" else where,
            "jwks_uri": f"{where}{KEYS}".replace("https:", "http:" if name == "keys-over-http" else "https:"),
        }
        self._send(connection, json.dumps(found).encode())

    def _keys(self, name: str) -> bytes:
        if name in SLOW:
            assert self.tell.wait(20)
        keys = json.loads(self._jwks)["keys"]
        changed = {
            "huge": self._jwks + b" " * 2**20,
            "html": b"<!doctype html><title>Log in</title>",
            "not-utf8": self._jwks[:-1] + b', "name": "\xff"}',
            "key-twice": self._jwks[:-1] + b', "keys": []}',
            "symmetric": _set(*keys, SYMMETRIC),
            "private": _set(*keys, jwt.algorithms.RSAAlgorithm.to_jwk(_private_key(), as_dict=True)),
            "empty": _set(),
        }
        return changed.get(name, self._jwks)

    def _send(self, connection: Connection, body: bytes) -> None:
        connection.send(message("200 OK", [JSON_TYPE], body))

    def _redirect(self, connection: Connection) -> None:
        connection.send(message("302 Found", [JSON_TYPE, ("location", f"{self.base}/elsewhere{KEYS}")], self._jwks))

    def _drip(self, connection: Connection) -> None:
        connection.send(message("200 OK", [JSON_TYPE, ("content-length", str(len(self._jwks)))], length=False))
        for byte in self._jwks:
            connection.send(bytes([byte]))
            time.sleep(0.05)


def _set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
