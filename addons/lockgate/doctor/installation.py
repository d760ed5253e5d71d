"""Versions of what the gateway runs on, and its rules."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lockgate import __version__
from lockgate.doctor.finding import Finding, note, ok, wrong
from lockgate.errors import RulesInvalid
from lockgate.policy.generation import Generation
from lockgate.policy.load import load

PYTHON = (3, 12)
MITMPROXY = (12, 2)  # the minor release whose internals the doors were read against
PATCH = 3
PACKAGES = (
    "PyJWT",
    "jsonpath-ng",
    "PyYAML",
    "pydantic",
    "httpx",
    "cryptography",
    "common-expression-language",
    "google-re2",
)


def versions() -> list[Finding]:
    found = [ok("python", ".".join(map(str, sys.version_info[:3])))]
    if sys.version_info < PYTHON:
        found = [
            wrong("python", f"{sys.version_info[0]}.{sys.version_info[1]} is too old", "Use Python 3.12 or later.")
        ]
    found.append(mitmproxy())
    missing = [name for name in PACKAGES if installed(name) is None]
    if missing:
        found.append(wrong("packages", f"not installed: {', '.join(missing)}", "pip install lockgate"))
    return [*found, ok("lockgate", __version__)]


def mitmproxy() -> Finding:
    text = installed("mitmproxy")
    numbers = tuple(map(int, re.findall(r"\d+", text or "")[:3]))
    if text is None:
        return wrong("mitmproxy", "not installed", 'pip install "mitmproxy>=12.2.3,<12.3"')
    if numbers[:2] != MITMPROXY or numbers[2:] < (PATCH,):
        detail = f"{text} is not a release the gateway was made for: it will not start"
        return wrong("mitmproxy", detail, 'pip install "mitmproxy>=12.2.3,<12.3"')
    return ok("mitmproxy", text)


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def rules(directory: Path) -> tuple[list[Finding], Generation | None]:
    """What is wrong in the rules, and the rules where nothing is."""
    try:
        generation = load(directory)
    except RulesInvalid as invalid:
        mend = "Mend it; until then the gateway does not start, or keeps the rules it has."
        return [wrong("rules", f"{directory}/{problem}", mend) for problem in invalid.problems], None
    notes = [
        note("rules", f"{directory}/{problem}", "Mend it, or leave it if it is meant.") for problem in generation.notes
    ]
    count = f"{len(generation.targets)} targets, generation {generation.id[:12]}"
    return [ok("rules", f"{directory}: {count}"), *notes], generation
