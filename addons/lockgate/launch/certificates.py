"""The certificates that an agent's process trusts: the gateway's CA, and nothing else that was not asked for."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from lockgate.errors import SetupError

MAX_FILE = 4 * 1024 * 1024  # bytes


def bundle(files: Sequence[Path]) -> str:
    """Their PEM certificates, one behind the other. Raises SetupError for a file without any, or with a private key."""
    return "\n".join(read(path) for path in files)


def read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE).decode("ascii", "ignore")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content)
    except (ssl.SSLError, ValueError):
        raise SetupError(f"{path}: has no certificate (PEM) in it") from None
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from None
    if "PRIVATE KEY-----" in content:
        raise SetupError(f"{path}: has a private key in it, which no agent may see; name the certificate's own file")
    return content
