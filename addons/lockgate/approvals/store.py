"""What keeps approvals and grants: whole, durable, one writer. A Protocol, so that several gateways could share one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lockgate.approvals.approval import Approval, Grant


@dataclass(frozen=True, slots=True)
class Change:
    """A row as it is to be, or to be taken out. It is taken only where the store has the revision before it: none of a
    row with revision 1.
    """

    row: Approval | Grant
    removes: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """All that a store has."""

    approvals: tuple[Approval, ...] = ()
    grants: tuple[Grant, ...] = ()


class Store(Protocol):
    """Every method blocks on the disk, and is called from one thread at a time."""

    def load(self) -> Rows:
        """Raises StoreUnavailable where it cannot be read, or is not what was written last."""

    def apply(self, changes: Sequence[Change]) -> list[bool]:
        """Make them durable, all with one wait for the disk; of each whether it was taken (compare-and-set). `settle`
        must follow soon, when there is nothing else to write.

        Raises StoreUnavailable: nothing of it counts then, and nothing more is taken until `load` has been called
        again.
        """

    def settle(self) -> None:
        """Guard what was applied against being put back as it was before. Raises StoreUnavailable as `apply` does."""

    def close(self) -> None:
        """Settle, and let go of it."""
