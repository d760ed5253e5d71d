"""Where secrets come from: one kind of source a file."""

from __future__ import annotations

import re

from lockgate.credentials.sources import env, file
from lockgate.errors import SecretUnavailable
from lockgate.model import SecretSource

MIN_LENGTH = 8  # characters: a shorter one could not be told from ordinary text where a target echoes it
MAX_LENGTH = 8 * 1024

VISIBLE = re.compile(r"[!-~]+")  # ASCII without space or control characters: what fits every header and URL

READERS = {"env": env.read, "file": file.read}


def resolve(source: SecretSource) -> str:
    """The secret at `source` as it is now: visible ASCII of 8 to 8,192 characters.

    Raises SecretUnavailable, which names the source and never the value.
    """
    secret = READERS[source.kind](source.name)
    problem = None
    if not secret:
        problem = "is empty"
    elif not VISIBLE.fullmatch(secret):
        problem = "has a space, a control character or one outside ASCII"
    elif len(secret) < MIN_LENGTH:
        problem = f"is shorter than {MIN_LENGTH} characters, too short to be found and removed where a target echoes it"
    elif len(secret) > MAX_LENGTH:
        problem = f"is longer than {MAX_LENGTH} characters"
    if problem:
        raise SecretUnavailable(f"{source}: the secret {problem}")
    return secret
