"""Secrets in environment variables."""

from __future__ import annotations

import os

from lockgate.errors import SecretUnavailable


def read(name: str) -> str:
    """The variable's value. Raises SecretUnavailable where it is not set."""
    try:
        return os.environ[name]
    except KeyError:
        raise SecretUnavailable(f"env:{name}: not set in the gateway's environment") from None
