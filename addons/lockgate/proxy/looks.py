"""Looking at the rules' directory again and again: what is new there, and has been put there whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lockgate.errors import RulesInvalid
from lockgate.policy.files import read_files, stamps
from lockgate.policy.load import identify


@dataclass(frozen=True, slots=True)
class Content:
    """What one look read. `id` tells it from any other; `invalid` says why it could not be read, if it could not."""

    id: str
    files: Mapping[str, bytes]
    invalid: RulesInvalid | None = None


class Looks:
    """For one thread at a time. `known` is the id of the content that was taken last."""

    def __init__(self, directory: Path, known: str) -> None:
        self._directory = directory
        self._known: str | None = known
        self._settled: object = None  # the stamps under which two looks saw the same content
        self._before: object = None  # stamps and content of the look before

    def look(self, *, asked: bool = False) -> Content | None:
        """What is new, once two looks in a row have seen the same; None where there is nothing.

        Costs a `stat` for each file where nothing has changed. `asked`: what is there now, new or not.
        """
        seen = stamps(self._directory)
        if seen == self._settled and not asked:
            return None
        content = read(self._directory)
        # The stamps are those of before the content: a file written since has others at the next look.
        stable = (seen, content.id) == self._before
        self._before = (seen, content.id)
        self._settled = seen if stable else None
        if not asked and (not stable or content.id == self._known):
            return None
        self._known = content.id
        return content

    def forget(self) -> None:
        """Let the next looks find new what is there, whether or not it was given already."""
        self._settled = self._known = None


def read(directory: Path) -> Content:
    try:
        files = read_files(directory)
    except RulesInvalid as invalid:
        return Content(str(invalid), {}, invalid)
    return Content(identify(files), files)
