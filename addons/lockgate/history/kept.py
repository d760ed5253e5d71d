"""What a request was decided on, as far as its record kept it; what it did not keep is named, never guessed. Pure.

A condition that reads what was not kept is unevaluable, as one is that reads a body nobody can read (law 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from lockgate.actions import websocket
from lockgate.bodies import multipart
from lockgate.errors import Unevaluable
from lockgate.history.records import Message, Past, mapping
from lockgate.model import WEBSOCKET_VERBS, Form, HttpFacts, Principal, Unreadable
from lockgate.policy.cases import Request
from lockgate.policy.conditions.fields import written
from lockgate.policy.conditions.syntax import Path
from lockgate.policy.rules import Rule

REDACTED = "[redacted]"
LOST = Unreadable("it was not kept")
FRAMING = ("content-length", "transfer-encoding", "content-encoding", "expect")  # Read takes these off, or mends them
QUERIES = ("query", "query_all")
EPOCH = datetime.fromtimestamp(0, UTC)


class Kept(Mapping[str, Any]):
    """Values by name, of which some may not have been kept: `knows` says of which names it is known whether they are
    there. Looking for another raises Unevaluable; so does going through all of them, unless they are `whole`, and
    asking whether there are any, unless that is `taken` to be so or not.
    """

    def __init__(
        self,
        what: str,
        values: Mapping[str, Any],
        knows: Callable[[str], bool],
        *,
        whole: bool,
        taken: bool | None = None,
    ) -> None:
        self.what = what
        self.values_kept = values
        self.knows = knows
        self.whole = whole
        self.taken = taken

    def __getitem__(self, name: str) -> Any:
        if not self.knows(name):
            raise Unevaluable(f"whether there is a {self.what} {name} was not kept")
        return self.values_kept[name]

    def __iter__(self) -> Iterator[str]:
        if not self.whole:
            raise Unevaluable(f"which {self.what}s there are was not kept")
        return iter(self.values_kept)

    def __len__(self) -> int:
        return len(list(self))

    def __bool__(self) -> bool:
        return len(self) > 0 if self.taken is None else self.taken


def unkept(what: str, *, taken: bool | None = None) -> Kept:
    """Values of which nothing was kept."""
    return Kept(what, {}, lambda _: False, whole=False, taken=taken)


@dataclass(slots=True)
class Losses:
    """What was not kept: the `paths` of facts, the instant, claims but for those that are `claims` by name (None: all
    are known).
    """

    paths: set[Path] = field(default_factory=set)
    claims: frozenset[str] | None = None
    instant: bool = False

    def of(self, rule: Rule) -> tuple[str, ...]:
        """What the conditions of a rule read of this, by the names they have for it."""
        if rule.always or not (self.paths or self.instant):
            return () if rule.always else always_lost(rule, self.claims)
        found = {written(path) for path in facts_of(rule) if self.has(path)}
        if rule.query is not None and ("request", "query") in self.paths:
            found.add("request.query")
        if self.instant and reads_clock(rule):
            found.add("now")
        return tuple(sorted(found))

    def has(self, path: Path) -> bool:
        """Whether any of what stands at `path`, or below it, was not kept."""
        if path in NEVER_KEPT or (path[0] == "principal" and is_claim(path, self.claims)):
            return True
        return any(all(one == other for one, other in zip(path, lost, strict=False)) for lost in self.paths)


NEVER_KEPT = frozenset(("request", "headers", name) for name in FRAMING) | {("request",), ("request", "headers")}


def is_claim(path: Path, known: frozenset[str] | None) -> bool:
    """Whether it is of claims of which it is not known whether they were there."""
    if known is None:
        return False
    return path[1:2] in ((), ("claims",)) and not (path[2:3] and path[2] in known)


@lru_cache(maxsize=16384)
def facts_of(rule: Rule) -> frozenset[Path]:
    return rule.facts


@lru_cache(maxsize=16384)
def always_lost(rule: Rule, claims: frozenset[str] | None) -> tuple[str, ...]:
    """What a rule reads that was not kept of any request whose claims are known as far."""
    lost = Losses(claims=claims)
    return tuple(sorted({written(path) for path in rule.facts if lost.has(path)}))


def reads_clock(rule: Rule) -> bool:
    conditions = [condition for condition in (rule.when, rule.unless) if condition is not None]
    return rule.expires is not None or any("now" in condition.reads for condition in conditions)


@dataclass(frozen=True, slots=True)
class Case:
    """What a recorded request was decided on. `body` stands for one that was not kept.

    `redacted` is whether anything was left out of the request, so that `[redacted]` may stand for it.
    """

    past: Past
    principal: Principal
    request: Request
    at: datetime
    losses: Losses
    body: Unreadable | None
    redacted: bool


class NotKept(Exception):
    """Raised where it was not kept who asked for what, so that nothing can be decided: `names` says what."""

    def __init__(self, *names: str) -> None:
        super().__init__(", ".join(names))
        self.names = names


def case_of(past: Past, claims: frozenset[str] | None = frozenset()) -> Case | None:
    """The case of a record; None of one that nobody identified sent, and of a CONNECT.

    `claims` are the names of those that the deciding generation kept, None where all were. Raises NotKept.
    """
    said = mapping(past.said.get("principal"))
    if said is None or past.method == "CONNECT":
        return None
    losses = Losses()
    principal = principal_of(said, claims, losses)
    at = instant_of(past, losses)
    # A message's own redactions are not noted.
    redacted = bool((mapping(past.said.get("redacted")) or {}).get("request")) or past.message is not None
    keeps = past.said.get("recorded", "full")
    if keeps == "digest":
        losses.paths.update({("request", "headers"), *(("request", each) for each in QUERIES)})
    method, headers, content = method_of(past), past.headers, past.content or b""
    url = past.url._replace(path=path_of(past, losses)) if redacted else past.url
    if method in WEBSOCKET_VERBS:
        headers = tuple([each for each in headers if each[0].lower() not in websocket.NOT_SENT_ON])
    body = None
    if past.message is not None:
        content = past.message.content
        body = LOST if message_is_lost(past.message, past) else None
    elif body_is_lost(past, method, keeps):
        body = LOST
    if body is not None:
        losses.paths.add(("body",))
        content = b""
    else:  # the length may be that of what is redacted now
        headers = tuple([each for each in headers if each[0].lower() != "content-length"])
    request = Request(method, url, headers, content)
    return Case(past, principal, request, at, losses, body, redacted)


def principal_of(said: Mapping[str, Any], claims: frozenset[str] | None, losses: Losses) -> Principal:
    issuer, subject = str(said.get("issuer")), str(said.get("subject"))
    roles = tuple(map(str, said.get("roles") or ()))
    if REDACTED in issuer or REDACTED in subject or any(REDACTED in role for role in roles):
        raise NotKept("principal")
    kept = mapping(said.get("claims")) or {}
    clean = {name: found for name, found in kept.items() if not holds_redacted(found)}
    names = frozenset(kept) if claims is None else claims
    unknown = frozenset(kept) - frozenset(clean)
    if claims is None and not unknown:
        return Principal(issuer, subject, roles, math.inf, None, clean)
    losses.claims = (names | frozenset(kept)) - unknown
    known = losses.claims
    return Principal(
        issuer, subject, roles, math.inf, None, Kept("claim", clean, lambda name: name in known, whole=False)
    )


def holds_redacted(found: Any) -> bool:
    if isinstance(found, str):
        return REDACTED in found
    if isinstance(found, dict):
        return any(REDACTED in name or holds_redacted(each) for name, each in found.items())
    return isinstance(found, list) and any(map(holds_redacted, found))


def instant_of(past: Past, losses: Losses) -> datetime:
    """When it was decided; a record of version 1 does not say so."""
    for name in ("decided_at", "time"):
        try:
            at = datetime.fromisoformat(str(past.said.get(name)))
        except ValueError:
            continue
        if at.tzinfo is not None:
            losses.instant = name == "time"
            return at
    losses.instant = True
    return EPOCH


def method_of(past: Past) -> str:
    """As rules have it: `ws` opens a WebSocket, and a message in one is `send` or `receive`."""
    if past.message is not None:
        return ("send" if past.message.from_agent else "receive") + ("" if past.message.is_text else "-binary")
    said = actions_of(past)
    if said and said[0][0] == websocket.VERB and past.method == "GET":
        return websocket.VERB
    return past.method


def actions_of(past: Past) -> list[tuple[str, str, str]]:
    """Verb, target and resource of each action, as they were recorded."""
    found = past.said.get("actions")
    lists = found if isinstance(found, list) else []
    return [(str(each[0]), str(each[1]), str(each[2])) for each in lists if isinstance(each, list) and len(each) == 3]


def path_of(past: Past, losses: Losses) -> str:
    """The path with its query, where something was left out of it. Raises NotKept."""
    path, mark, query = past.url.path.partition("?")
    if REDACTED in path:
        path = next((resource for _, _, resource in actions_of(past)), path)
        if REDACTED in path:
            raise NotKept("request.path")
    names = [pair.partition("=")[0] for pair in query.split("&")]
    if any(REDACTED in name for name in names):
        losses.paths.update(("request", each) for each in QUERIES)
        return path
    return path + mark + query


def body_is_lost(past: Past, method: str, keeps: object) -> bool:
    """Whether there was a body, or may have been, of which not all is in the record."""
    for name in ("truncated", "withheld"):
        if "request" in (mapping(past.said.get(name)) or {}):
            return True
    if past.content is not None and keeps == "full":
        return bool(past.content) and past.said.get("redacted") is not None and is_opaque(past.headers, past.content)
    if method in ("GET", "HEAD", websocket.VERB):
        return False
    fields = {name.lower(): content for name, content in past.headers}
    return keeps == "digest" or fields.get("content-length", "0") != "0" or "transfer-encoding" in fields


def is_opaque(headers: tuple[tuple[str, str], ...], content: bytes) -> bool:
    """Whether it is a form of parts from which something was left out: how large each was is not known then."""
    kinds = [each.lower() for name, each in headers if name.lower() == "content-type"]
    return REDACTED.encode() in content and any(multipart.TYPE in kind or REDACTED in kind for kind in kinds)


def message_is_lost(message: Message, past: Past) -> bool:
    """A message from the agent is recorded without what rules leave out, one to it as it was masked."""
    if not message.content or "messages" in (mapping(past.said.get("truncated")) or {}):
        return True
    return past.said.get("recorded", "full") != "full" or (not message.from_agent and bool(past.said.get("masks")))


def as_kept(case: Case, facts: HttpFacts) -> HttpFacts:
    """The facts, with what was left out marked as what cannot be read. Notes it among the losses."""
    losses, redacted = case.losses, case.redacted
    headers, query, body = facts.headers, facts.query, facts.body
    if ("request", "headers") in losses.paths:
        headers = unkept("header")
    else:
        headers = marked_values(headers, ("request", "headers"), losses) if redacted else headers
        headers = Kept("header", headers, is_no_framing, whole=True)
    if ("request", "query") in losses.paths:
        query = unkept("query parameter")
    elif redacted and query:
        marked_values(query, ("request", "query_all"), losses)
        query = marked_values(query, ("request", "query"), losses)
    if redacted and case.body is None:
        body = marked_body(body, losses)
    return HttpFacts(facts.method, facts.host, facts.path, query, headers, body)


def marked_body(body: Any, losses: Losses) -> Any:
    if isinstance(body, Unreadable):
        losses.paths.add(("body",))
        return LOST
    if isinstance(body, Form):
        return Form(marked_values(body.fields, ("body",), losses))
    return marked(body, ("body",), losses)


def is_no_framing(name: str) -> bool:
    return name not in FRAMING


def marked_values(found: Mapping[str, tuple[Any, ...]], path: Path, losses: Losses) -> Mapping[str, tuple[Any, ...]]:
    """Values by name, several of each; what was left out is LOST."""
    for name, values in found.items():
        if any(isinstance(each, str) and REDACTED in each for each in values):
            losses.paths.add((*path, name))
    return {
        name: tuple([LOST if isinstance(each, str) and REDACTED in each else each for each in values])
        for name, values in found.items()
    }


def marked(document: Any, path: Path, losses: Losses) -> Any:
    """A JSON document; what was left out is LOST, and so is an object with such a name.

    What is in a list counts as all of the list.
    """
    if isinstance(document, str):
        if REDACTED not in document:
            return document
    elif isinstance(document, dict):
        if not any(REDACTED in name for name in document):
            return {name: marked(each, (*path, name), losses) for name, each in document.items()}
    elif isinstance(document, list):
        return [marked(each, path, losses) for each in document]
    else:
        return document
    losses.paths.add(path)
    return LOST
