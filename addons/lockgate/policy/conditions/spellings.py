"""Names that a target may read in another spelling: what is read by such a name has no certain value. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

from lockgate.errors import Unevaluable
from lockgate.policy.folding import fold


class Once(Mapping[str, Any]):
    """Query parameters, headers or fields of a form by name, for those given once.

    Reading one given more than once is ambiguous, and so is one that a target may read from another spelling.
    """

    def __init__(self, what: str, values: Mapping[str, tuple[Any, ...]]) -> None:
        self.what = what
        self.values_by_name = values

    @cached_property
    def spellings(self) -> Counter[str]:
        """How many names some targets read as this one."""
        return Counter(spelling for name in self.values_by_name for spelling in spellings(name))

    def has_one_spelling(self, name: str) -> bool:
        """Whether no other name is given that a target may read as this one, as what it is a member of, or as a member
        of it.
        """
        alone = self.spellings[folded(name)] <= (name in self.values_by_name)
        return alone and not ("[" in name and self.nests(folded(name)))

    def nests(self, asked: str) -> bool:
        given = map(folded, self.values_by_name)
        return any(asked.startswith(f"{name}[") or name.startswith(f"{asked}[") for name in given)

    def times(self, name: str) -> int:
        return len(self.values_by_name.get(name, ()))

    def __getitem__(self, name: str) -> Any:
        self.require_one_spelling(name)
        values = self.values_by_name[name]
        if len(values) != 1:
            raise Unevaluable(f"a {self.what} is given {len(values)} times")
        return values[0]

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self.require_one_spelling(name)
        return name in self.values_by_name

    def require_one_spelling(self, name: str) -> None:
        if not self.has_one_spelling(name):
            raise Unevaluable(f"a {self.what} is given in another spelling")

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


NUMBERED = re.compile(r"\[[0-9]*\]$")
AS_UNDERSCORE = str.maketrans(". ", "__")


def folded(name: str) -> str:
    """What the laxest target takes a parameter's name for.

    Letter case (ASP.NET), blanks around it, `.`, blanks and a `[` that nothing closes within (PHP) and a last `[]` or
    `[3]` make no difference.
    """
    if "]" not in name.partition("[")[2]:
        name = name.replace("[", "_")
    return fold(NUMBERED.sub("", name.strip()).strip()).translate(AS_UNDERSCORE)


def spellings(name: str) -> set[str]:
    """The names a parameter may be read by: its own, and that of the object it is a member of (`a` for `a[b]`)."""
    return {folded(name), folded(name.partition("[")[0])}


def by_letters(names: Collection[str]) -> Mapping[str, str | None]:
    """The names by what they are in whatever letter case; None for several that differ in nothing else."""
    form = str.lower if "".join(names).isascii() else fold
    found: dict[str, str | None] = {form(name): name for name in names}
    if len(found) < len(names):
        found |= {name: None for name, times in Counter(map(form, names)).items() if times > 1}
    return found


def cost_of_folding(names: Collection[str]) -> int:
    """The steps of `by_letters`: beyond ASCII, letter case is looked up in tables."""
    odd = [] if "".join(names).isascii() else [name for name in names if not name.isascii()]
    return len(names) // 16 + sum([1 + len(name) // 8 for name in odd])
