"""Where rules say that a secret is kept: `env:NAME`, `file:PATH` and so on. Pure.

No message here repeats what was given: it may be the secret itself.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from lockgate.model import SecretSource

NEEDED = (
    "a secret never stands in the rules: write where it is kept, in quotes: "
    "env:NAME, file:PATH, exec:COMMAND, vault:MOUNT/PATH#FIELD or keyring:SERVICE/USER"
)
SHELL = frozenset({"|", "||", "&", "&&", ";", "<", ">", ">>", "2>&1"})


def source(value: Any) -> SecretSource:
    """Raises ValueError, which says what is wrong with a source of a known kind."""
    kind, colon, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not colon or kind not in PROBLEMS:
        raise ValueError(NEEDED)
    problem = PROBLEMS[kind](rest)
    if problem:
        raise ValueError(problem)
    return SecretSource(cast("Any", kind), rest)


def text_source(value: Any) -> SecretSource:
    """Of a secret that may have spaces (RFC 6749, appendix A)."""
    return replace(source(value), form="text")


def pem_source(value: Any) -> SecretSource:
    """Of a private key."""
    return replace(source(value), form="pem")


def env(rest: str) -> str | None:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rest):
        return None
    return "after env: the name of an environment variable is needed, as in env:CRM_TOKEN"


def file(rest: str) -> str | None:
    return None if rest and is_one_line(rest) else "after file: a path is needed, as in file:/run/secrets/crm"


def exec_(rest: str) -> str | None:
    try:
        words = shlex.split(rest) if is_one_line(rest) else []
    except ValueError:
        return "after exec: a quote is opened that is not closed"
    if not words or not words[0]:
        return "after exec: a command is needed, as in exec:op read op://vault/crm/token"
    if "/" in words[0] and not words[0].startswith("/"):
        return "after exec: the command is one on the PATH, or a whole path from / on"
    if SHELL & set(words):
        return "after exec: no shell reads the command, so it has no pipes or redirections: put them into a script"
    return None


def vault(rest: str) -> str | None:
    path, mark, field = rest.partition("#")
    mount, slash, _ = path.partition("/")
    parts = path.split("/")
    whole = bool(mark and field and slash and mount) and is_one_line(rest) and "#" not in field
    if whole and not {"", ".", ".."} & set(parts):
        return None
    return "after vault: MOUNT/PATH#FIELD is needed, without data/ after the mount, as in vault:secret/crm#token"


def keyring(rest: str) -> str | None:
    service, _, user = rest.rpartition("/")
    if service and user and is_one_line(rest):
        return None
    return "after keyring: SERVICE/USER is needed, as in keyring:crm/gateway"


def is_one_line(text: str) -> bool:
    return not re.search(r"[\x00-\x1f\x7f]", text)


# What is wrong with the rest of a source, by its kind.
PROBLEMS: Mapping[str, Callable[[str], str | None]] = {
    "env": env,
    "file": file,
    "exec": exec_,
    "vault": vault,
    "keyring": keyring,
}
