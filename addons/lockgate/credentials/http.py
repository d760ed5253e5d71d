"""What the gateway asks for secrets and tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from lockgate import outbound
from lockgate.errors import SecretUnavailable, Unanswered
from lockgate.outbound import Reply

TIMEOUT = 10.0  # seconds, for all of it
MAX_ANSWER = 256 * 1024  # bytes


async def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    form: Mapping[str, str] | None = None,
    ca: Path | None = None,
) -> Reply:
    """The answer to one request, as `outbound.ask` has it. Raises SecretUnavailable."""
    ends_at = asyncio.get_running_loop().time() + TIMEOUT
    given = {"Accept": "application/json", **headers}
    try:
        return await outbound.ask(method, url, headers=given, form=form, ca=ca, ends_at=ends_at, largest=MAX_ANSWER)
    except Unanswered as error:
        raise SecretUnavailable(str(error)) from None
