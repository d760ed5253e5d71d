"""A rules file against its schema: every entry on its own, so that one wrong entry hides no other's errors. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, get_origin

from pydantic import ValidationError

from lockgate.errors import Problem
from lockgate.policy.documents import MAX_PROBLEMS, Document, Path, limited
from lockgate.policy.schema import Model
from lockgate.policy.schema.wording import explain

MAX_NAMED = 10_000  # targets or credentials


@dataclass(frozen=True, slots=True)
class Checked[F: Model, E: Model]:
    """What of a file fits the schema: the file's own keys, where they do, and every entry that does, by its path.

    `names` has the names of all entries of a mapping, the wrong ones included: they exist, so naming them is no error.
    """

    document: Document
    model: F | None
    entries: tuple[tuple[Path, E], ...]
    names: frozenset[str]


def check[F: Model, E: Model](
    document: Document, file_model: type[F], key: str, entry_model: type[E], problems: list[Problem]
) -> Checked[F, E]:
    """Hold `document` against the model of its file and the model of each entry under `key`."""
    own: list[Problem] = []
    whole = validated(document, (), document.data, file_model, own)
    container = get_origin(file_model.model_fields[key].annotation) or object
    entries = document.data.get(key) if isinstance(document.data, dict) else None
    if not isinstance(entries, container):
        entries = None  # noted already, as a whole
    names = frozenset(entries) if isinstance(entries, dict) else frozenset()
    found = []
    if len(names) > MAX_NAMED:
        own.append(document.problem((key,), f"more than {MAX_NAMED} {key}: take out what no rule needs", key=True))
        entries = None
    for path, data in listed(key, entries):
        if len(own) > MAX_PROBLEMS:
            break
        entry = validated(document, path, data, entry_model, own)
        if entry is not None:
            found.append((path, entry))
    problems += limited(own)
    return Checked(document, whole, tuple(found), names)


def listed(key: str, entries: object) -> Iterator[tuple[Path, Any]]:
    if isinstance(entries, list):
        yield from (((key, index), data) for index, data in enumerate(entries))
    elif isinstance(entries, Mapping):
        yield from (((key, str(name)), data) for name, data in entries.items())


def validated[M: Model](
    document: Document, path: Path, data: object, model: type[M], problems: list[Problem]
) -> M | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for each in islice(error.errors(include_url=False, include_context=False), MAX_PROBLEMS + 1):
            loc = tuple(part for part in each["loc"] if part != "[key]")
            at_key = each["type"] == "extra_forbidden"
            where = (*path, *loc[:-1]) if each["type"] == "missing" else (*path, *loc)
            problems.append(document.problem(where, explain(each, model), key=at_key))
        return None
