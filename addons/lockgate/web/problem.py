"""An answer other than the one asked for, raised anywhere below a handler."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

from tornado.web import HTTPError

from lockgate.errors import (
    BodyUnreadable,
    KeysUnavailable,
    RevocationsUnavailable,
    StoreUnavailable,
    TokenRejected,
    Unanswered,
    VoteRefused,
)


class Problem(HTTPError):
    """Raised where a request is not answered as asked; `detail` is for whoever sent it. `retry_after` is in seconds."""

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(status)
        self.detail = detail
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"


class Told(NamedTuple):
    """What is answered for an error."""

    status: int
    detail: str


def told(error: BaseException | None, status: int) -> Told:
    """What whoever asks is told; `status` is Tornado's own, where it raised."""
    match error:
        case Problem():
            return Told(error.status_code, error.detail)
        case VoteRefused():
            return Told(error.status, str(error))
        case TokenRejected():
            return Told(401, f"The token is not taken: {error.reason}.")
        case KeysUnavailable():
            return Told(503, "The keys of the token's issuer cannot be had now: try again later.")
        case RevocationsUnavailable():
            return Told(503, "It cannot be read what has been revoked.")
        case StoreUnavailable():
            return Told(503, "Approvals cannot be kept now: try again later.")
        case Unanswered():
            return Told(502, f"The sign-in service cannot be asked: {error}.")
        case BodyUnreadable():
            return Told(400, f"{error}.")
        case HTTPError():
            return Told(error.status_code, f"{phrase(error.status_code)}.")
        case _:
            return Told(status, f"{phrase(status)}.")


def phrase(status: int) -> str:
    return HTTPStatus(status).phrase
