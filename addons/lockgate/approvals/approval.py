"""One held request and what became of it, one grant, and what may become of either. Plain values, pure functions.

Times are seconds since the epoch. What the agent wrote is text from outside: whoever shows it makes it harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

from lockgate.model import Hold


class State(StrEnum):
    """Where a held request stands. A denied, expired, used or cancelled one is over."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    USED = "used"
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.APPROVED, State.DENIED, State.EXPIRED, State.CANCELLED}),
    State.APPROVED: frozenset({State.USED, State.DENIED, State.EXPIRED, State.CANCELLED}),
    State.DENIED: frozenset(),
    State.EXPIRED: frozenset(),
    State.USED: frozenset(),
    State.CANCELLED: frozenset(),
}
OVER = frozenset(state for state, following in TRANSITIONS.items() if not following)


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks: the caller, and whoever its token names as being behind it, as `(issuer, subject)`."""

    issuer: str
    subject: str
    roles: tuple[str, ...] = ()
    token_id: str | None = None
    behind: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A request as a person sees it: what the target would get, less secrets and what the rules leave out of records.

    `body` is its text, or base64 where `body_is` is `binary`. `masks` says what is masked in the answer, a line each.
    Of a grant that is asked for ahead there is no request: `method` and `url` are empty.
    """

    method: str = ""
    url: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    body_is: Literal["none", "json", "text", "binary"] = "none"
    body_size: int = 0
    masks: tuple[str, ...] = ()
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class Vote:
    """What one person said, when, from where (an address), by what (`api` or `page`), having been shown `digest`."""

    decision: Literal["approve", "deny"]
    issuer: str
    subject: str
    roles: tuple[str, ...]
    at: float
    via: str
    address: str
    digest: str
    reason: str = ""
    grant: float = 0.0
    token_id: str | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """A request that is held, or a grant that is asked for ahead (`ahead` seconds of it).

    `revision` counts its changes from 1. `fingerprint` is what the same request sent again has too; `binding` is the
    digest of the decision it answers: with other rules, masks or credentials there is another. `digest` is that of all
    a person is shown before deciding. `expires_at` is by when it has to be decided, or, once approved, be used.
    `joined` is how many requests waited for it beside the first. `grantable` has the digest of what a grant would be
    bound to, by rule, where the rule takes grants. `outcome` says in a line what ended it.
    """

    id: str
    revision: int
    state: State
    asked_at: float
    expires_at: float
    requester: Requester
    fingerprint: str
    binding: str
    digest: str
    generation: str
    target: str
    action: tuple[str, str]
    holds: tuple[Hold, ...]
    shown: Shown
    request_id: str = ""
    reason: str = ""
    ahead: float = 0.0
    grantable: tuple[tuple[str, str], ...] = ()
    votes: tuple[Vote, ...] = ()
    joined: int = 0
    decided_at: float | None = None
    ended_at: float | None = None
    used_by: str = ""
    outcome: str = ""

    @property
    def over(self) -> bool:
        return self.state in OVER

    def document(self) -> dict[str, Any]:
        """Plain values, as they are kept; `approval_of` reads them."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Grant:
    """What was approved ahead: until `until` the rule holds no request of this principal at this target.

    `binding` is the digest of what was granted, as an approval's is of its decision. `approval` is that which made it.
    `approvers` are the roles that may end it, as they may approve; anybody who approves, where there are none.
    """

    id: str
    revision: int
    issuer: str
    subject: str
    roles: tuple[str, ...]
    rule: str
    target: str
    binding: str
    since: float
    until: float
    approval: str
    votes: tuple[Vote, ...] = ()
    uses: int = 0
    ended_at: float | None = None
    outcome: str = ""
    approvers: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        return asdict(self)


def approval_of(document: Mapping[str, Any]) -> Approval:
    """Raises KeyError, TypeError, ValueError where it is none."""
    values = dict(document)
    requester = dict(values["requester"])
    requester |= {"roles": tuple(requester["roles"]), "behind": tuple((one, two) for one, two in requester["behind"])}
    shown = dict(values["shown"])
    shown |= {"headers": tuple((name, value) for name, value in shown["headers"]), "masks": tuple(shown["masks"])}
    verb, resource = values["action"]
    values |= {
        "state": State(values["state"]),
        "requester": Requester(**requester),
        "shown": Shown(**shown),
        "action": (verb, resource),
        "holds": tuple(Hold(**{**hold, "approvers": tuple(hold["approvers"])}) for hold in values["holds"]),
        "votes": tuple(map(vote_of, values["votes"])),
        "grantable": tuple((rule, binding) for rule, binding in values["grantable"]),
    }
    return Approval(**values)


def grant_of(document: Mapping[str, Any]) -> Grant:
    """Raises KeyError, TypeError, ValueError where it is none."""
    votes = tuple(map(vote_of, document["votes"]))
    texts = {name: tuple(document[name]) for name in ("roles", "approvers")}
    return Grant(**{**document, **texts, "votes": votes})


def vote_of(document: Mapping[str, Any]) -> Vote:
    return Vote(**{**document, "roles": tuple(document["roles"])})
