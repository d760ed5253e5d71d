"""What is refused from now on though its token still holds: tokens, subjects, roles, and whole targets.

A file in the state directory, written by `lockgate revoke` and looked at before every request is sent and every part of
a stream is passed on. To look costs a stat(2).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lockgate import state
from lockgate.bodies import json
from lockgate.errors import BodyUnreadable, RevocationsUnavailable
from lockgate.identity.jwks import stamp
from lockgate.model import Principal

FILE = "revocations.json"
FRESH = 0.001  # seconds that the file is not looked at again: a request asks several times
MOST = 10_000  # entries, each of which every request is held against
MAX_FILE = 8 * 1024 * 1024  # bytes
KEYS = frozenset({"id", "jti", "subject", "issuer", "role", "target", "at", "until", "reason"})


@dataclass(frozen=True, slots=True)
class Revocation:
    """One entry: it is about what it names, of `jti`, `subject`, `role` and `target`; of several, about both at once.

    `issuer` narrows a subject, a role or a token to those of one issuer. `at` and `until` are seconds since the epoch;
    without `until` it has no end.
    """

    id: str
    at: float
    jti: str | None = None
    subject: str | None = None
    issuer: str | None = None
    role: str | None = None
    target: str | None = None
    until: float | None = None
    reason: str = ""

    def is_about(self, principal: Principal, target: str | None) -> bool:
        """Whether it refuses this caller: everywhere, or at `target` where it names one."""
        return (
            self.jti in (None, principal.token_id)
            and self.subject in (None, principal.subject)
            and self.issuer in (None, principal.issuer)
            and (self.role is None or self.role in principal.roles)
            and self.target in (None, target)
        )

    def document(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


class Revocations:
    """Those in force, as the file has them now. For one thread."""

    def __init__(self, directory: Path, on_change: Callable[[Sequence[Revocation]], None] = lambda _: None) -> None:
        """`on_change` is told of each content of the file that differs from the one before."""
        self._path = directory / FILE
        self._on_change = on_change
        self._stamp: tuple[int, ...] | None = None
        self._entries: tuple[Revocation, ...] = ()
        self._looked = 0.0  # when the file was last looked at and could be read

    def find(self, principal: Principal, target: str | None, now: float) -> Revocation | None:
        """The first that is about this caller at `now`; None where there is none.

        Raises RevocationsUnavailable: it is not known what is revoked, so nobody may be let through.
        """
        if not 0 <= now - self._looked < FRESH:
            self._look()
            self._looked = now
        in_force = (each for each in self._entries if each.until is None or now < each.until)
        return next((each for each in in_force if each.is_about(principal, target)), None)

    def _look(self) -> None:
        try:
            seen = stamp(self._path.stat())
            if seen == self._stamp:
                return
            entries = read(self._path)
        except FileNotFoundError:
            if self._stamp is None:
                return  # nothing was ever revoked
            self._stamp = ()
            raise RevocationsUnavailable(f"{self._path} is gone; `lockgate revoke --list` makes it anew") from None
        except OSError as error:
            self._stamp = ()
            raise RevocationsUnavailable(f"{self._path}: {error.strerror}") from None
        self._stamp, self._entries = seen, entries
        self._on_change(entries)


def read(path: Path) -> tuple[Revocation, ...]:
    """The entries of a file. Raises OSError, RevocationsUnavailable."""
    with open(path, "rb", opener=state.opener) as file:
        state.require_private(os.fstat(file.fileno()), path)
        content = file.read(MAX_FILE + 1)
    try:
        entries = json.parse(content)["revocations"]
        if not isinstance(entries, list):
            raise TypeError("no list")
        return tuple(entry(each) for each in entries)
    except (BodyUnreadable, KeyError, TypeError, ValueError):
        detail = "is not as `lockgate revoke` writes it; move it away and revoke again"
        raise RevocationsUnavailable(f"{path} {detail}") from None


def entry(document: Mapping[str, Any]) -> Revocation:
    """Raises TypeError, ValueError."""
    texts = KEYS - {"at", "until"}
    if not isinstance(document, dict) or not document.keys() <= KEYS or not {"id", "at"} <= document.keys():
        raise ValueError("no revocation")
    if not all(isinstance(document[name], str) for name in texts & document.keys()):
        raise TypeError("no text")
    if not all(type(document[name]) in (int, float) for name in {"at", "until"} & document.keys()):
        raise TypeError("no time")
    if not {"jti", "subject", "role", "target"} & document.keys():
        raise ValueError("about nothing")
    return Revocation(**document)


def change(
    directory: Path, now: float, alter: Callable[[list[Revocation]], list[Revocation]]
) -> tuple[Revocation, ...]:
    """Write what `alter` makes of the entries that have not ended, whole and durable; return it.

    One process at a time. Raises OSError, RevocationsUnavailable, ValueError for too many. The directory must be the
    caller's own: a file of another user's would be one that the gateway does not take, and lets nobody through for.
    """
    path = directory / FILE
    state.require_private(directory.stat(), directory)
    with locked(directory):
        try:
            held = read(path)
        except FileNotFoundError:
            held = ()
        entries = alter([each for each in held if each.until is None or now < each.until])
        if len(entries) > MOST:
            raise ValueError(f"more than {MOST} revocations: revoke a role or a target instead")
        content = json.dumps({"version": 1, "revocations": [each.document() for each in entries]})
        if len(content) > MAX_FILE:
            raise ValueError(f"the revocations would need more than {MAX_FILE} bytes: give shorter reasons")
        state.replace(path, content)
    return tuple(entries)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock for revocations (flock(2), which ends with the process)."""
    descriptor = os.open(
        directory / ".revocations.lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
