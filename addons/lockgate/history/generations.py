"""The generations of the rules that decided recorded requests: their text, kept beside the recordings."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from lockgate.errors import RulesInvalid, RulesNotKept
from lockgate.history.again import Judge
from lockgate.policy.files import read_files
from lockgate.policy.load import assemble, identify

NAME = re.compile(r"[0-9a-f]{64}")
FOLDER = "generations"


class Generations:
    """Those of one recordings directory, each loaded once. A path in them is relative to nothing any more."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.judge = cache(self._judge)
        """Raises RulesNotKept: it is not there, is not what its name says, or cannot be loaded."""

    def _judge(self, name: str) -> Judge:
        if not NAME.fullmatch(name):
            raise RulesNotKept("the record names no generation of the rules")
        folder = self.directory / FOLDER / name
        if not folder.is_dir():
            raise RulesNotKept(f"the rules {name[:12]} are not in {folder.parent}: pruned? put them back from a copy")
        try:
            files = read_files(folder)
            found = identify(files)
            if found != name:
                raise RulesNotKept(f"{folder} does not hold what its name says, but {found[:12]}: it has been altered")
            return Judge(assemble(files, folder))
        except RulesInvalid as invalid:
            raise RulesNotKept(f"{folder} cannot be loaded: {invalid.problems[0]}") from None
