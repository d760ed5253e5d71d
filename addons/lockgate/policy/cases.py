"""Tests of rules, as their authors write them: files to cases, or to all of their errors at once. Pure.

Every scalar of a rules file is text. Where a test holds JSON (bodies and claims), one without quotes is read as JSON
reads it, where it can be: 600, true, null. All else, and whatever is quoted, stays text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self, cast

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from lockgate import model
from lockgate.bodies.json import dumps, parse
from lockgate.errors import BodyUnreadable, Problem, RulesInvalid
from lockgate.policy import documents
from lockgate.policy.checked import check
from lockgate.policy.conditions.describe import suggestion
from lockgate.policy.documents import Document, Path
from lockgate.policy.rules import Policy
from lockgate.policy.schema import Model
from lockgate.policy.schema.values import HEADER_NAME, Instant, Lines, Names, Text, text

ISSUER, SUBJECT = "lockgate-dev", "dev"  # of a token of `lockgate token` that is told nothing else
VERDICTS = ("allow", "hold", "deny", "unreadable")
NO_RULE = "none"
OWN_HOST = "lockgate.invalid"

URL = re.compile(r"(?i:(https?))://(\[[^\]/?#@]*\]|[^\[\]/?#@:]+)(?::([0-9]{1,5}))?(/[^?#]*)?(\?[^#]*)?")
LITERAL = re.compile(r"true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class Url(NamedTuple):
    """Where a request goes; `path` has the query."""

    scheme: str
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request as its author wrote it, with what else the agent sends in `headers`."""

    method: str
    url: Url
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """What the target would answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent is to get: this JSON document, this text, or nothing of the target's."""

    kind: Literal["json", "raw", "withheld", "refused"]
    value: Any = None


@dataclass(frozen=True, slots=True)
class Case:
    """One test. `file` and `line` (from 1) are where it stands; `at` is None for the time it runs at.

    `verdict` is a Verdict's value, or `unreadable`: refused before any rule is asked. `rule` and `answer` are None
    where the test says nothing of them; the rule `none` is a denial that no rule gives.
    """

    name: str
    file: str
    line: int
    principal: model.Principal
    request: Request
    verdict: str
    rule: str | None = None
    response: Response | None = None
    answer: Answer | None = None
    at: datetime | None = None


def principal(
    roles: tuple[str, ...], subject: str = SUBJECT, issuer: str = ISSUER, claims: Mapping[str, Any] | None = None
) -> model.Principal:
    """Somebody with a token that says so and never expires; its claims have `iss` and `sub` too."""
    return model.Principal(
        issuer, subject, roles, float("inf"), None, {"iss": issuer, "sub": subject, **(claims or {})}
    )


def url(value: Any) -> Url:
    """An absolute URL taken apart, its path as written. Raises ValueError with what to write."""
    given = text(value)
    example = "as in https://api.crm.example/v1/customers/7"
    found = URL.fullmatch(given)
    if found is None:
        if "#" in given:
            raise ValueError("no client sends what stands behind a #: leave it out")
        if "@" in given.partition("//")[2].partition("/")[0]:
            raise ValueError("a URL has no user or password here: leave it out")
        raise ValueError(f"a whole URL is needed here, {example}")
    if found[2].lower() == OWN_HOST:
        raise ValueError(f"{OWN_HOST} is the gateway itself: no rule is asked")
    scheme = found[1].lower()
    port = int(found[3]) if found[3] else {"https": 443, "http": 80}[scheme]
    if not 0 < port < 65536:
        raise ValueError(f"a port is a number from 1 to 65535, {example}:8443")
    return Url(scheme, found[2].strip("[]"), port, (found[4] or "/") + (found[5] or ""))


def header_name(value: Any) -> str:
    if not isinstance(value, str) or not HEADER_NAME.fullmatch(value):
        raise ValueError("not a header name")
    return value


def status_code(value: Any) -> int:
    if not re.fullmatch(r"[2-5][0-9][0-9]", text(value), re.ASCII):
        raise ValueError("a status is a number from 200 to 599")
    return int(value)


def one_verdict(value: Any) -> str:
    if value not in VERDICTS:
        raise ValueError(f"a verdict is one of {', '.join(VERDICTS)}")
    return cast("str", value)


def told(value: Any) -> str:
    if value not in ("withheld", "refused"):
        raise ValueError("write withheld (an error's body is replaced) or refused (with 502); a body goes to body")
    return cast("str", value)


def roles_alone(value: Any) -> Any:
    """A principal that is said by its roles only."""
    return {"roles": value} if isinstance(value, (str, list)) else value


def line_alone(value: Any) -> Any:
    """A request that is said in one line."""
    if not isinstance(value, str):
        return value
    method, _, where = value.strip().partition(" ")
    if not where:
        raise ValueError("a request is METHOD URL, as in GET https://api.crm.example/v1/customers/7")
    return {"method": method, "url": where.strip()}


def verdict_alone(value: Any) -> Any:
    """An expectation that is no more than a verdict."""
    return {"verdict": value} if isinstance(value, str) else value


class Caller(Model):
    """Who asks."""

    roles: Names
    """The roles of its token. Example: [support]"""
    subject: Text = SUBJECT
    """Whom its token names; dev where it says nothing. Example: support-agent"""
    issuer: Text = ISSUER
    """Whose token it is; that of `lockgate token` where it says nothing. Example: https://login.example/realms/agents"""
    claims: dict[str, Any] = Field(default_factory=dict)
    """Further claims of its token. Example: {department: sales}"""


Address = Annotated[Url, PlainValidator(url)]
Status = Annotated[int, BeforeValidator(status_code)]
Headers = dict[Annotated[str, BeforeValidator(header_name)], Lines]


class Message(Model):
    """What a request and a response have: headers, and a body as a JSON document or as text."""

    headers: Headers = Field(default_factory=dict)
    """Header fields, each with a value or a list of them. Example: {x-pin: "1234"}"""
    body: Any = None
    """A JSON document, as YAML. Example: {amount: 600, currency: EUR}"""
    raw: str | None = None
    """The body as text, where it is no JSON document. Example: gone"""

    @model_validator(mode="after")
    def one_body(self) -> Self:
        if {"body", "raw"} <= self.model_fields_set:
            raise ValueError("body is a JSON document, raw is text: leave one of them out")
        return self


class Asked(Message):
    method: Text
    """The method. Example: POST"""
    url: Address
    """The whole URL, with its query."""


class Answered(Message):
    status: Status = 200
    """The status; 200 where it says nothing. Example: 404"""


class Expected(Model):
    """What must come of it."""

    verdict: Annotated[str, BeforeValidator(one_verdict)]
    """What is decided; unreadable is what is refused before any rule is asked. Example: allow"""
    rule: Text | None = None
    """The rule that decides, or none for a denial that no rule gives. Example: support/read-customers"""
    body: Any = None
    """The JSON document that the agent gets, masks applied. Example: {id: 7, ssn: "[redacted]"}"""
    raw: str | None = None
    """The text that the agent gets, where it is no JSON document. Example: gone"""
    answer: Annotated[str, BeforeValidator(told)] | None = None
    """The agent gets nothing of the target's: withheld, an error whose body is replaced, or refused with 502."""

    @property
    def of_answer(self) -> set[str]:
        return self.model_fields_set & {"body", "raw", "answer"}

    @model_validator(mode="after")
    def fitting_keys(self) -> Self:
        if len(self.of_answer) > 1:
            raise ValueError("the agent gets one of body, raw and answer: leave the others out")
        if self.rule == NO_RULE and self.verdict != "deny":
            raise ValueError(f"only a denial comes without a rule: leave rule: {NO_RULE} out")
        return self


class Test(Model):
    """One entry of `tests`."""

    name: Text
    """What it is about. Example: an agent reads a customer"""
    principal: Annotated[Caller, BeforeValidator(roles_alone)]
    """Who asks: a role, a list of roles, or a mapping. Example: support"""
    request: Annotated[Asked, BeforeValidator(line_alone)]
    """What is asked: METHOD URL, or a mapping."""
    at: Instant | None = None
    """When it is asked; now where it says nothing. Example: 2030-01-31T12:00:00Z"""
    response: Answered | None = None
    """What the target answers, to see what the agent gets of it. Example: {status: 200, body: {id: 7}}"""
    expect: Annotated[Expected, BeforeValidator(verdict_alone)]
    """What comes of it: a verdict, or a mapping. Example: {verdict: deny, rule: support/no-deletion}"""

    @model_validator(mode="after")
    def fitting_answer(self) -> Self:
        if self.response is not None and self.expect.verdict in ("deny", "unreadable"):
            raise ValueError("what is refused never gets to the target: leave response out")
        if self.expect.of_answer and self.response is None:
            raise ValueError(f"write response too: what the target says, of which {min(self.expect.of_answer)} is left")
        if self.expect.verdict == "unreadable" and self.expect.rule is not None:
            raise ValueError("what is unreadable is refused before any rule is asked: leave rule out")
        return self


class Tests(Model):
    """A file of `tests/`."""

    tests: list[Any]
    """Requests, each with what must come of it. `lockgate test` runs them."""


def read(files: Mapping[str, bytes], policy: Policy) -> tuple[Case, ...]:
    """The cases of all files, by the name that problems give them. Raises RulesInvalid with every problem found."""
    problems: list[Problem] = []
    found = []
    for file, content in sorted(files.items()):
        try:
            document = documents.read(file, content)
        except RulesInvalid as invalid:
            problems += invalid.problems
            continue
        for path, test in check(document, Tests, "tests", Test, problems).entries:
            note_unknown(document, path, test, policy, problems)
            found.append(Reader(document, path, problems).case(test))
    if problems:
        raise RulesInvalid(sorted(problems, key=lambda problem: (problem.file, problem.line, problem.column)))
    return tuple(found)


def note_unknown(document: Document, path: Path, test: Test, policy: Policy, problems: list[Problem]) -> None:
    """A role or rule that is not there is noted: a test that names it would pass or fail for no reason of the rules."""
    for index, role in enumerate(test.principal.roles):
        if not policy.knows(role):
            where = (*path, "principal", "roles", index)
            problems.append(document.problem(where, f"unknown role {role}: {suggestion(role, policy.lineages)}"))
    rule = test.expect.rule
    if rule is None or rule == NO_RULE:
        return
    owner = rule.partition("/")[0]
    known = [each.name for each in policy.rules.get(owner, ())]
    if rule not in known:
        near = suggestion(rule, known) if known else f"{owner} has no rules; {suggestion(owner, policy.rules)}"
        message = f"unknown rule {rule}: {near}; {NO_RULE} is a denial that no rule gives"
        problems.append(document.problem((*path, "expect", "rule"), message))


class Reader:
    """The entry at `path` of a file, to a case."""

    def __init__(self, document: Document, path: Path, problems: list[Problem]) -> None:
        self.document = document
        self.path = path
        self.problems = problems

    def case(self, test: Test) -> Case:
        who, asked = test.principal, test.request
        claims = self.typed(who.claims, ("principal", "claims"))
        return Case(
            name=test.name,
            file=self.document.file,
            line=self.document.problem(self.path, "").line,
            principal=principal(tuple(who.roles), who.subject, who.issuer, claims),
            request=Request(asked.method, asked.url, *self.message(asked, "request")),
            verdict=test.expect.verdict,
            rule=test.expect.rule,
            response=Response(test.response.status, *self.message(test.response, "response"))
            if test.response
            else None,
            answer=self.answer(test.expect),
            at=test.at,
        )

    def message(self, message: Message, key: str) -> tuple[tuple[tuple[str, str], ...], bytes]:
        """Header fields and body. What has a body and no content type is JSON."""
        headers = tuple((name, value) for name, values in message.headers.items() for value in values)
        given = message.model_fields_set & {"body", "raw"}
        if "raw" in given:
            body = (message.raw or "").encode()
        else:
            body = dumps(self.typed(message.body, (key, "body"))) if given else b""
        return with_type(headers, body), body

    def answer(self, expected: Expected) -> Answer | None:
        if "raw" in expected.of_answer:
            return Answer("raw", expected.raw)
        if "body" in expected.of_answer:
            return Answer("json", self.typed(expected.body, ("expect", "body")))
        return Answer("withheld" if expected.answer == "withheld" else "refused") if expected.answer else None

    def typed(self, value: Any, path: Path) -> Any:
        """Text as a file has it, as JSON."""
        if isinstance(value, dict):
            return {key: self.typed(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [self.typed(each, (*path, index)) for index, each in enumerate(value)]
        where = (*self.path, *path)
        if self.document.spots[where].style:
            return value
        if value == "":
            self.problems.append(self.document.problem(where, "the value is missing: write null, or '' for empty text"))
        if not LITERAL.fullmatch(value):
            return value
        try:
            return parse(value.encode())
        except BodyUnreadable as unreadable:
            self.problems.append(self.document.problem(where, f"{unreadable}: quote it, if it is text"))
            return value


def with_type(headers: tuple[tuple[str, str], ...], body: bytes) -> tuple[tuple[str, str], ...]:
    """`headers`, and that the body is JSON where they do not say what it is."""
    if not body or any(name.lower() == "content-type" for name, _ in headers):
        return headers
    return (*headers, ("content-type", "application/json"))
