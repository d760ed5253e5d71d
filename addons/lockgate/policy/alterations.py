"""What answers and records leave out: `mask`, `show` and `redact_request`, checked for what could never apply. Pure."""

from __future__ import annotations

import re

from lockgate.errors import Problem
from lockgate.masking import paths
from lockgate.masking.detectors import DETECTORS
from lockgate.masking.strategies import STRENGTH
from lockgate.model import Mask, Show
from lockgate.policy.conditions.describe import suggestion
from lockgate.policy.documents import Document, Path
from lockgate.policy.rules import RECORD, Alterations
from lockgate.policy.schema.rules import Matching
from lockgate.policy.schema.targets import Target

REQUEST_FIELD = re.compile(r"(query\.\S+|headers\.[a-z0-9!#$%&'*+.^`|~-]+)")
MAX_PATHS = 100  # of one kind in one rule: each is held against each other
REPLACING = frozenset({"drop", "nullify", "redact", "replace", "hash"})  # nothing of a value is left to mask further


def alterations(
    document: Document, path: Path, entry: Matching | Target, owner: str, problems: list[Problem]
) -> Alterations:
    """What the rule or target at `path` leaves out; `owner` is its name."""
    for key in ("mask", "show", "detect", "redact_request"):
        if len(getattr(entry, key)) > MAX_PATHS:
            message = f"more than {MAX_PATHS} paths: say it shorter, as with $..name or $.list[*]"
            problems.append(document.problem((*path, key), message, key=True))
            return Alterations()
    masks = tuple(Mask(text, strategy.kind, strategy.argument, owner) for text, strategy in entry.mask.items())
    steps = {
        text: found
        for text in entry.mask
        if (found := parsed(document, (*path, "mask", text), text, problems)) is not None
    }
    for mask in masks:
        if mask.path in steps and not steps[mask.path] and mask.kind == "drop":
            message = "nothing is left of a document that is dropped whole: write nullify"
            problems.append(document.problem((*path, "mask", mask.path), message))
    shown = listed(document, (*path, "show"), entry.show, problems)
    note_useless(document, path, masks, steps, shown, problems)
    for index, text in enumerate(entry.redact_request):
        where = item(document, (*path, "redact_request"), index)
        if text.startswith("$"):
            parsed(document, where, text, problems)
        elif not REQUEST_FIELD.fullmatch(text):
            message = "a field of the request is $.path of its body, query.NAME, or headers.NAME in lower case"
            problems.append(document.problem(where, message))
    shows = (Show(tuple(entry.show), owner),) if entry.show else ()
    redactions = (*entry.redact_request, *([f"{RECORD}{entry.record}"] if entry.record else []))
    return Alterations((*masks, *detected(document, path, entry, owner, problems)), shows, redactions)


def detected(
    document: Document, path: Path, entry: Matching | Target, owner: str, problems: list[Problem]
) -> list[Mask]:
    """What is found by its form, each kind once."""
    for index, kind in enumerate(entry.detect):
        where = item(document, (*path, "detect"), index)
        if kind not in DETECTORS:
            problems.append(document.problem(where, f"nothing detects {kind}: {suggestion(kind, DETECTORS)}"))
        elif kind in entry.detect[:index]:
            problems.append(document.problem(where, f"{kind} stands here twice: leave one out"))
    return [Mask("", "detect", kind, owner) for kind in dict.fromkeys(entry.detect)]


def note_useless(
    document: Document,
    path: Path,
    masks: tuple[Mask, ...],
    steps: dict[str, paths.Steps],
    shown: dict[str, paths.Steps],
    problems: list[Problem],
) -> None:
    """A mask of what another mask of the same rule has taken away, or its show never lets through, is noted."""
    readable = [mask for mask in masks if mask.path in steps]
    replacing = [(mask, paths.names(steps[mask.path])) for mask in readable if mask.kind in REPLACING]
    for mask in readable:
        own, names = steps[mask.path], paths.names(steps[mask.path])
        above = next((each.path for each, least in replacing if least <= names and takes_away(each, mask, steps)), None)
        if above is not None:
            message = f"never applies: {above} takes it away already; leave one of the two out"
            problems.append(document.problem((*path, "mask", mask.path), message, key=True))
        elif shown and not any(paths.may_meet(outer, own) for outer in shown.values()):
            message = "never applies: show keeps nothing that it is about; leave it out"
            problems.append(document.problem((*path, "mask", mask.path), message, key=True))


def takes_away(outer: Mask, inner: Mask, steps: dict[str, paths.Steps]) -> bool:
    """Whether `outer`, which replaces values, certainly leaves nothing of what `inner` masks that it would change."""
    if outer.path == inner.path:
        return False
    above, own = steps[outer.path], steps[inner.path]
    # Of an object that is hashed, stronger masks within count first.
    if outer.kind != "hash" and paths.covers((*above, paths.ANY_CHILD), own):
        return True
    return paths.covers(above, own) and STRENGTH[inner.kind] <= STRENGTH[outer.kind]


def listed(document: Document, path: Path, texts: list[str], problems: list[Problem]) -> dict[str, paths.Steps]:
    found = {}
    for index, text in enumerate(texts):
        steps = parsed(document, item(document, path, index), text, problems)
        if steps is not None:
            found[text] = steps
    return found


def parsed(document: Document, path: Path, text: str, problems: list[Problem]) -> paths.Steps | None:
    try:
        return paths.parse(text)
    except ValueError as error:
        problems.append(document.problem(path, str(error), key=path[-1] == text))
        return None


def item(document: Document, path: Path, index: int) -> Path:
    """Where the entry `index` of a list stands that may be written as one value."""
    where = (*path, index)
    return where if where in document.spots else path
