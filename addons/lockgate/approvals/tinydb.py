"""The store of approvals in a TinyDB, whose storage is durable and authenticated. One process only."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tinydb.table import Document

from lockgate import state
from lockgate.approvals.approval import TRANSITIONS, Approval, Grant, State, approval_of, grant_of
from lockgate.approvals.log import open_private
from lockgate.approvals.storage import ById, LogStorage
from lockgate.approvals.store import Change, Rows
from lockgate.errors import StoreUnavailable

LOCK = ".approvals.lock"


class TinyStore:
    """As `lockgate.approvals.store.Store` says. For one thread at a time."""

    def __init__(self, directory: Path, key: bytes) -> None:
        """`directory` is the gateway's state directory, `key` 32 bytes that nobody else has."""
        self._directory = directory
        self._storage = LogStorage(directory, key)
        self._lock = -1
        self._loaded = False
        # TinyDB's types know numbers as ids only.
        self._approvals: Any = ById(self._storage, "approvals")
        self._grants: Any = ById(self._storage, "grants")

    def load(self) -> Rows:
        """Raises StoreUnavailable where it cannot be read, is not what was written last, or another process has it."""
        self._loaded = False
        try:
            state.require_private(self._directory.stat(), self._directory)
            self._hold()
            self._storage.open()
            approvals = tuple(approval_of(row) for row in self._approvals.all())
            grants = tuple(grant_of(row) for row in self._grants.all())
        except OSError as error:
            raise self._unavailable(error) from error
        except (KeyError, TypeError, ValueError) as error:
            fault = (
                f"{self._directory}: a row is of another version ({type(error).__name__}): run the one that wrote it"
            )
            raise StoreUnavailable(fault) from None
        self._loaded = True
        return Rows(approvals, grants)

    def apply(self, changes: Sequence[Change]) -> list[bool]:
        """Raises StoreUnavailable: the disk is full, say. Nothing more is taken until `load` has been called again."""
        if not self._loaded:
            raise StoreUnavailable("the approvals have to be read anew first")
        self._loaded = False
        try:
            self._require_held()
            self._storage.compact()
            taken = [self._take(change) for change in changes]
            self._storage.commit()
        except OSError as error:
            raise self._unavailable(error) from error
        self._loaded = True
        return taken

    def settle(self) -> None:
        """Raises StoreUnavailable."""
        if not self._loaded:
            return
        self._loaded = False
        try:
            self._storage.settle()
        except OSError as error:
            raise self._unavailable(error) from error
        self._loaded = True

    def close(self) -> None:
        """Let go of the files; may be called again."""
        with suppress(StoreUnavailable):  # what is written counts all the same
            self.settle()
        self._loaded = False
        self._storage.close()
        self._let_go()

    def _take(self, change: Change) -> bool:
        row = change.row
        table = self._approvals if isinstance(row, Approval) else self._grants
        if not fits(change, table.get(doc_id=row.id)):
            return False
        if change.removes:
            table.remove(doc_ids=[row.id])
        else:
            table.upsert(Document(row.document(), doc_id=row.id))  # type: ignore[arg-type]
        return True

    def _unavailable(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(f"{error.filename or self._directory}: {error.strerror or error}")

    # Alone

    def _hold(self) -> None:
        """Raises StoreUnavailable while another process has the store (flock(2), which ends with the process).

        OSError.
        """
        if self._is_held():
            return
        self._let_go()
        path = self._directory / LOCK
        self._lock = open_private(path, os.O_WRONLY | os.O_CREAT)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._let_go()
            raise StoreUnavailable(f"{path} is held: another gateway uses the same state; give this its own") from None
        self._require_held()  # while it was opened somebody may have taken the file away

    def _is_held(self) -> bool:
        """Whether the file that is locked is the one that others would lock."""
        try:
            return self._lock >= 0 and os.path.samestat(os.fstat(self._lock), (self._directory / LOCK).lstat())
        except FileNotFoundError:
            return False

    def _require_held(self) -> None:
        if not self._is_held():
            raise OSError(
                errno.ESTALE, "was taken away: another gateway may use this state", str(self._directory / LOCK)
            )

    def _let_go(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def fits(change: Change, held: Mapping[str, Any] | None) -> bool:
    """Whether a change is of what the store has, and leads where the table of states says that it may."""
    row = change.row
    if change.removes:
        return held is not None and held["revision"] == row.revision
    if held is None:
        return row.revision == 1
    if held["revision"] != row.revision - 1:
        return False
    if isinstance(row, Grant):
        return True
    before = State(held["state"])
    return row.state is before or row.state in TRANSITIONS[before]
