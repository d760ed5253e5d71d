"""Checkpoints: signed words of how far the chain had come, in the chain itself and wherever they are pushed to. Pure.

Whoever may write all of a directory can write its whole chain anew, but not a checkpoint that says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lockgate.recordings.chain import START, Link
from lockgate.recordings.dump import moment
from lockgate.recordings.signing import Signer, Verifier

EVENT = "checkpoint"
KIND = "lockgate checkpoint"
EVERY = 1000  # records


@dataclass(frozen=True, slots=True)
class Marking:
    """How a chain is marked: signed by whom, every so many records and at its end. `told` gets each checkpoint once it
    is durable, in the writer's thread. `reached` is how far it is known to have come in an earlier run.
    """

    signer: Signer
    every: int = EVERY
    told: Callable[[Mapping[str, Any]], None] = lambda _: None
    reached: Link = START


def checkpoint(signer: Signer, link: Link, now: float) -> dict[str, Any]:
    """What is signed where the chain has come to `link`, at `now` (seconds since the epoch)."""
    return signer.signed({"kind": KIND, "number": link.number, "hash": link.hash, "time": moment(now)})


def link_of(document: Any) -> Link:
    """How far a checkpoint says the chain had come. Raises ValueError where it is none."""
    if not isinstance(document, Mapping) or document.get("kind") != KIND:
        raise ValueError("no checkpoint")
    if type(document.get("number")) is not int or type(document.get("hash")) is not str:
        raise ValueError("no checkpoint: it has no number and hash")
    return Link.decode(f"{document['number']}:{document['hash']}".encode())


def read_lines(lines: Iterable[bytes], verifier: Verifier | None) -> list[Link]:
    """The places that pushed checkpoints tell of, one JSON document a line.

    Raises ValueError for a line that is no checkpoint, or not signed by this gateway.
    """
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
            found.append(link_of(document))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number}: {error}") from None
        if verifier is not None and not verifier.is_signed(document):
            raise ValueError(f"line {number}: it is not signed by this gateway")
    return found
