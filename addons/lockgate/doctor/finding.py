"""One finding: what was looked at, how it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`wrong` needs mending before the gateway is relied on; a `note` is for the operator to judge."""

    level: Level
    subject: str
    detail: str
    remedy: str = ""


def ok(subject: str, detail: str) -> Finding:
    return Finding("ok", subject, detail)


def note(subject: str, detail: str, remedy: str) -> Finding:
    return Finding("note", subject, detail, remedy)


def wrong(subject: str, detail: str, remedy: str) -> Finding:
    return Finding("wrong", subject, detail, remedy)
