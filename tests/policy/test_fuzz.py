"""Whatever stands in a rules directory, it is taken or refused with problems that can be acted on, and soon."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.errors import RulesInvalid
from lockgate.policy.load import assemble

MIB = 2**20
DIRECTORY = Path("/rules")

VALID = {
    "gateway.yaml": """\
issuers:
  - issuer: https://login.example/realms/agents   # the token's iss
    audience: lockgate
    algorithms: [RS256, ES256]
    roles: $.realm_access.roles[*]
    jwks_file: jwks.json
    alias: {Support Agents: support}
    leeway: 30s
    max_ttl: 1h
  - dev: true
recordings: {dir: recordings, max_body: 10MiB}
state: .lockgate
""",
    "targets.yaml": """\
targets:
  crm:
    url: https://api.crm.example
    credential: crm-token
    limits: {request: 1MiB, response: 10MiB}
    connect: 10.0.0.7:8443
    private: true
    cookies: pass
    mask: {$..ssn: redact}
  wiki: {url: "http://[2001:db8::1]:8080"}
""",
    "credentials.yaml": """\
credentials:
  crm-token: {bearer: "env:CRM_TOKEN", hosts: [api.crm.example]}
  billing: {basic: {user: gateway, password: "file:/run/secrets/billing"}, hosts: [billing.example]}
  search:
    header: {name: X-Api-Key, value: "env:SEARCH_KEY", prefix: "Key "}
    hosts: [search.example, 192.0.2.1]
""",
    "guardrails.yaml": """\
rules:
  - id: no-secrets
    deny: any crm /v1/secrets/**
    reason: 'Nobody reads secrets: not through an agent.'
  - id: never-show
    mask:
      $..password: drop
""",
    "roles/reader.yaml": """\
role: reader
rules: []
""",
    "roles/support.yaml": """\
role: support
extends: [reader]
rules:
  - id: read-customers
    allow: GET|HEAD crm /v1/customers/{id}
    when: path.id.startsWith("c") && !has(body.x)
    mask:
      $..email: {keep_last: 4}
      "$['a b'][0]": {replace: "-"}

  - id: small-refund
    allow:
      - POST crm /v1/refunds
      - PUT crm /v1/refunds/report-*.csv
    when: |
      body.amount <= 500 &&
      body.currency in ["EUR", "CHF"]
  - {id: big, hold: POST crm /v1/**/refunds, when: body.amount > 500.5, reason: "Ask."}
  - id: none
    deny: any crm|wiki
    when: request.query.q.matches("^a+$") || now > timestamp("2030-01-01T00:00:00Z")
""",
}
FILES = sorted(VALID)
PARTS = sorted({word for text in VALID.values() for word in text.split()})
SYMBOLS = "ab1: -#\n[]{}'\"|>*&!%@`\t,?$./\\=()\u00a0“\u2028é\ufeff\x07\x85"


def judged(changes: Mapping[str, bytes]) -> None:
    """Load the valid rules with these files instead: they are taken, or refused in a way that can be acted on."""
    files = {name: text.encode() for name, text in VALID.items()} | changes
    try:
        generation = assemble(files, DIRECTORY)
    except RulesInvalid as error:
        assert error.problems
        for problem in error.problems:
            assert problem.file in files
            assert problem.line >= 1 and problem.column >= 1
            assert problem.message and problem.message.isprintable()
    else:
        assert generation.files == files


def test_what_is_changed_is_valid() -> None:
    assemble({name: text.encode() for name, text in VALID.items()}, DIRECTORY)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, str]:
    """The name of a file, and its text with a few slips of the pen."""
    name = draw(st.sampled_from(FILES))
    lines = VALID[name].splitlines(keepends=True)
    for change in draw(st.lists(st.sampled_from(CHANGES), min_size=1, max_size=4)):
        at = draw(st.integers(0, len(lines) - 1))
        change(draw, lines, at)
    return name, "".join(lines)


def delete(draw: st.DrawFn, lines: list[str], at: int) -> None:
    lines[at] = ""


def duplicate(draw: st.DrawFn, lines: list[str], at: int) -> None:
    lines.insert(draw(st.integers(0, len(lines))), lines[at])


def swap(draw: st.DrawFn, lines: list[str], at: int) -> None:
    other = draw(st.integers(0, len(lines) - 1))
    lines[at], lines[other] = lines[other], lines[at]


def indent(draw: st.DrawFn, lines: list[str], at: int) -> None:
    lines[at] = draw(st.sampled_from(["", " ", "  ", "      ", "\t"])) + lines[at].lstrip(" ")


def insert(draw: st.DrawFn, lines: list[str], at: int) -> None:
    column = draw(st.integers(0, len(lines[at])))
    lines[at] = lines[at][:column] + draw(st.text(SYMBOLS, min_size=1, max_size=4)) + lines[at][column:]


def cut(draw: st.DrawFn, lines: list[str], at: int) -> None:
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(lines[at]))] * 2)))
    lines[at] = lines[at][:start] + lines[at][end:]


def replace(draw: st.DrawFn, lines: list[str], at: int) -> None:
    words = lines[at].split(" ")
    words[draw(st.integers(0, len(words) - 1))] = draw(st.sampled_from(PARTS))
    lines[at] = " ".join(words)


CHANGES = [delete, duplicate, swap, indent, insert, cut, replace]
FUZZ = settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(st.sampled_from(FILES), st.binary(max_size=200))
def test_any_bytes(name: str, content: bytes) -> None:
    judged({name: content})


@FUZZ
@given(st.sampled_from(FILES), st.lists(st.text(SYMBOLS, max_size=3) | st.sampled_from(PARTS), max_size=60))
def test_any_text(name: str, words: list[str]) -> None:
    judged({name: "".join(words).encode()})


@settings(FUZZ, max_examples=400)
@given(mutated())
def test_slips_of_the_pen(changed: tuple[str, str]) -> None:
    name, text = changed
    judged({name: text.encode()})
