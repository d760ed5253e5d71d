"""The error tree. A subclass says when it is raised; evidence is kept as attributes; text never quotes a secret.

LockgateError
├── Refused              a request must not go on: carries the refusal the agent gets
├── TokenRejected        a presented token does not identify anyone
│   └── UnknownKey           its issuer's keys, as they are known, have none for it
├── KeysUnavailable      an issuer's keys cannot be had
│   └── KeysWithdrawn        what an issuer publishes has none that may be used
├── AssertionUnverified  an assertion has to be verified first, which takes its time
├── VoteRefused          a person's decision on what is held does not count
├── TooManyHeld          no more requests can be held now
├── StoreUnavailable     it cannot be told, or not be kept, what was used before
├── NotDelivered         somebody could not be told of a held request
├── Unanswered           another service gave no answer that can be used
├── RulesInvalid         the rules directory has errors: all of them, each with its place
├── Unevaluable          a condition has no certain answer
├── RequestUnreadable    a request's head has no single meaning
├── BodyUnreadable       a body has no single meaning
│   ├── BodyTooLarge         its decoded size is above the limit
│   ├── EncodingNotAccepted  its content encoding is not one we take
│   └── ContentTypeNotAccepted  its type is not one that is taken there
├── MaskingFailed        a document cannot be masked
├── WorkFailed           a worker process gave no result
├── SecretUnavailable    a credential's secret cannot be had
├── RevocationsUnavailable  it is not known what is revoked
├── RecordingLocked      a record file is encrypted, and its key is not at hand
├── RecordingUnavailable the record cannot be made durable
├── RulesNotKept         the rules that decided a recorded request cannot be had
└── SetupError           the gateway cannot start, or must not go on
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lockgate.refusals import Refusal


class LockgateError(Exception):
    """Every error of Lockgate's own."""


class Refused(LockgateError):
    """Raised by a stage when a request must not go on."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.status} {refusal.title}")
        self.refusal = refusal


class TokenRejected(LockgateError):
    """Raised when a presented token identifies nobody. `reason` is a class such as `expired`, never token text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownKey(TokenRejected):
    """Raised when a token names a key that is not among its issuer's, or none where there is not just one."""

    def __init__(self) -> None:
        super().__init__("unknown key")


class KeysUnavailable(LockgateError):
    """Raised when an issuer's keys cannot be read, so that no token of it can be verified."""


class KeysWithdrawn(KeysUnavailable):
    """Raised when an issuer's key set has no usable key, or a secret one: earlier sets of it no longer count either."""


class AssertionUnverified(LockgateError):
    """Raised when a SAML assertion has not been verified yet, or not by what its issuer signs with now."""


class VoteRefused(LockgateError):
    """Raised when a person's decision on a held request does not count: `status` is that of an HTTP answer (403 not
    theirs to make, 404 nothing such, 409 too late or not what was shown, 422 something is missing). Its text is theirs.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class TooManyHeld(LockgateError):
    """Raised when a request would have to be held, and as many are as may be: of its caller, or in all."""


class StoreUnavailable(LockgateError):
    """Raised when the state cannot tell or keep what was used once, so that nothing may be: names the place."""


class NotDelivered(LockgateError):
    """Raised when a notice did not arrive: why, without any secret, and whether it may be tried `again`, which is not
    before so many seconds `after`.
    """

    def __init__(self, reason: str, *, again: bool = True, after: float = 0.0) -> None:
        super().__init__(reason)
        self.again = again
        self.after = after


class Unanswered(LockgateError):
    """Raised when a service that the gateway asks gives no whole answer. Says why, quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One error in the rules: where (line and column from 1), what is wrong, what to write instead."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class RulesInvalid(LockgateError):
    """Raised when a rules directory cannot be taken: `problems` has every error found, in order of place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class Unevaluable(LockgateError):
    """Raised when a condition has no certain answer (law 2). Names what it read, never a value."""


class RequestUnreadable(LockgateError):
    """Raised when a request's method, path, query or headers have no single meaning. `reason` quotes no value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BodyUnreadable(LockgateError):
    """Raised when a body cannot be decoded or parsed to exactly one meaning. Says why, quotes nothing of it."""


class BodyTooLarge(BodyUnreadable):
    """Raised when a body is larger than its limit once decoded."""


class EncodingNotAccepted(BodyUnreadable):
    """Raised when a body's content encoding is unknown, or more than one."""


class ContentTypeNotAccepted(BodyUnreadable):
    """Raised when a body's Content-Type has no single meaning, or is not one that its target takes."""


class MaskingFailed(LockgateError):
    """Raised when a document cannot be masked, so that it must not be delivered."""


class WorkFailed(LockgateError):
    """Raised when work in a process beside the gateway's own came to nothing. Says why, quotes nothing of it."""


class SecretUnavailable(LockgateError):
    """Raised when the secret behind a credential cannot be had. Names the source, never a value."""


class RevocationsUnavailable(LockgateError):
    """Raised when it cannot be read what is revoked, so that nobody may be let through."""


class RecordingLocked(LockgateError):
    """A closed record file is encrypted, and its key is not at hand."""


class RecordingUnavailable(LockgateError):
    """Raised when an intent cannot be made durable, so that the request must not be sent."""


class RulesNotKept(LockgateError):
    """Raised when the text of a generation that decided recorded requests is gone, altered, or no rules any more."""


class SetupError(LockgateError):
    """Raised when the gateway cannot start or must not go on; its text is one clear line for the operator."""
