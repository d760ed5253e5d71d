"""Targets whose messages are not looked into: what a rule would mask there, or read of them, it cannot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lockgate.errors import Problem
from lockgate.policy.documents import Document, Path
from lockgate.policy.schema.rules import Matching
from lockgate.policy.schema.targets import Target

ALTERING = ("mask", "show", "detect")


def unseen(
    document: Document, path: Path, entry: Matching | Target, reads: Iterable[str], targets: Iterable[str]
) -> Iterator[Problem]:
    """What is wrong with each key of the rule or target at `path` that is about messages of `targets`, which speak
    gRPC. `reads` are those of its conditions that read a body.
    """
    whose = ", ".join(sorted(targets))
    for key in ALTERING:
        if getattr(entry, key):
            message = (
                f"messages of {whose} are gRPC, which is not looked into: nothing is masked there, so leave it out"
            )
            yield document.problem((*path, key), message, key=True)
    if any(text.startswith("$") for text in entry.redact_request):
        message = f"messages of {whose} are gRPC, which is not looked into: name headers.NAME, or leave it out"
        yield document.problem((*path, "redact_request"), message, key=True)
    for key in reads:
        message = f"messages of {whose} are gRPC, which is not looked into: there is no body to read"
        yield document.problem((*path, key), message, key=True)
