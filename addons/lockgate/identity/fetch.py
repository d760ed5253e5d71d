"""Documents that issuers publish, such as their keys."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from lockgate.errors import KeysUnavailable, Unanswered
from lockgate.outbound import ask

MAX_DOCUMENT = 1024 * 1024  # bytes
HEADERS = {"Accept": "application/json, application/jwk-set+json"}


async def get(url: str, ca: Path | None, ends_at: float) -> bytes:
    """The document at `url`, had before `ends_at` (by the clock of the running loop) or not at all.

    Raises KeysUnavailable, which quotes nothing of the answer.
    """
    try:
        reply = await ask("GET", url, headers=HEADERS, ca=ca, ends_at=ends_at, largest=MAX_DOCUMENT)
    except Unanswered as error:
        raise KeysUnavailable(f"{url}: {error}") from None
    if reply.status != HTTPStatus.OK:
        raise KeysUnavailable(f"{url}: it answers {reply.status}")
    return reply.body
