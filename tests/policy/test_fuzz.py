"""Whatever stands in a rules directory, it is taken or refused with problems that can be acted on, and soon."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from itertools import permutations
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
  mail:
    oauth2:
      token_url: https://login.example/token
      client_id: lockgate
      client_secret: "exec:op read 'op://a b/mail'"
      scope: mail.read
    cache: 5m
    hosts: [mail.example]
  forge:
    jwt: {key: "vault:secret/forge#key", algorithm: RS256, issuer: app-7, claims: {groups: [a, b]}, ttl: 9m}
    hosts: [forge.example]
vault: {address: "https://vault.example:8200", token: "file:/run/vault/token"}
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
        problems = error.problems
    else:
        assert generation.files == files
        return
    assert problems
    for problem in problems:
        assert problem.file in files
        assert problem.line >= 1 and problem.column >= 1
        assert problem.message and problem.message.isprintable()


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
FUZZ = settings(max_examples=100, deadline=5000, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(st.sampled_from(FILES), st.binary(max_size=200))
def test_any_bytes(name: str, content: bytes) -> None:
    judged({name: content})


@FUZZ
@given(st.sampled_from(FILES), st.lists(st.text(SYMBOLS, max_size=3) | st.sampled_from(PARTS), max_size=60))
def test_any_text(name: str, words: list[str]) -> None:
    judged({name: "".join(words).encode()})


@settings(FUZZ, max_examples=200)
@given(mutated())
def test_slips_of_the_pen(changed: tuple[str, str]) -> None:
    name, text = changed
    judged({name: text.encode()})


def filled(start: str, unit: str, end: str = "") -> str:
    """A text of 1 MiB: the unit again and again, %d in it counted up."""
    if "%d" in unit:
        number = (MIB - len(start)) // (len(unit) + 4)
        return start + "".join(unit.replace("%d", str(each)) for each in range(number)) + end
    return start + unit * ((MIB - len(start) - len(end)) // len(unit)) + end


ROLE = "roles/support.yaml"
RULES = "role: support\nrules:\n"
RULE = f"{RULES}  - id: a\n    allow: GET crm /x\n"


@pytest.mark.parametrize(
    ("name", "start", "unit"),
    [
        pytest.param(ROLE, "", "[", id="nested-lists"),
        pytest.param(ROLE, "", "{a: ", id="nested-mappings"),
        pytest.param(ROLE, "", "- ", id="nested-items"),
        pytest.param(ROLE, "", "? ", id="nested-keys"),
        pytest.param(ROLE, "", "- a\n", id="items"),
        pytest.param(ROLE, "role: support\nrules: [", "a,", id="items-in-one-line"),
        pytest.param(ROLE, "role: support\nrules: [", "[],", id="lists-in-one-line"),
        pytest.param(ROLE, "role: support\nrules: [\n", "{},\n", id="mappings"),
        pytest.param(ROLE, RULES, "  - a:\n", id="rules-of-one-key"),
        pytest.param(
            ROLE, RULES, "  - {id: ?%d, alow: GET crn /x, when: , hold: [a, {b: c}], mask: {a: b}}\n", id="wrong-rules"
        ),
        pytest.param(ROLE, f"{RULE}    allow:\n", "      - []\n", id="wrong-lines"),
        pytest.param(ROLE, f"{RULE}    mask:\n", "      a%d: x\n", id="wrong-masks"),
        pytest.param(ROLE, "role: support\n", "k%d: x\n", id="unknown-keys"),
        pytest.param(ROLE, RULE, "    k%d: x\n", id="unknown-keys-of-a-rule"),
        pytest.param(ROLE, RULE, "    " + "k" * 1000 + "%d: x\n", id="long-unknown-keys"),
        pytest.param(
            "targets.yaml",
            "targets:\n",
            "  t%d: {url: x, a: b, c: d, e: f, g: h, i: j, k: l, m: n}\n",
            id="wrong-targets",
        ),
        pytest.param(
            "credentials.yaml",
            "credentials:\n",
            "  c%d: {bearer: x, hosts: [?], padding: padding padding}\n",
            id="wrong-credentials",
        ),
        pytest.param(
            "credentials.yaml",
            "credentials:\n  c:\n    bearer: env:A\n    hosts:\n",
            "    - a host that is none, which is no. %d\n",
            id="wrong-hosts",
        ),
        pytest.param(
            "gateway.yaml",
            "issuers:\n  - issuer: a\n    algorithms:\n",
            "      - an algorithm that is none, no. %d\n",
            id="wrong-algorithms",
        ),
        pytest.param(
            "gateway.yaml", "issuers:\n", "  - dev: a value that is none, which is no. %d\n", id="wrong-issuers"
        ),
        pytest.param(ROLE, "role: support\n", "k: x\n", id="one-key-again-and-again"),
        pytest.param(ROLE, "", "<<: a\n", id="merge-keys"),
        pytest.param(ROLE, "", "? [a]\n: b\n", id="lists-as-keys"),
        pytest.param(ROLE, "", "x", id="one-word"),
        pytest.param(ROLE, "", "x\n", id="text-of-many-lines"),
        pytest.param(ROLE, f"{RULES}  - id: a\n    when: |\n", "      a ||\n", id="condition"),
        pytest.param(ROLE, f"{RULES}  - id: a\n    allow: ", "GET|", id="verbs"),
        pytest.param(ROLE, f"{RULES}  - id: a\n    allow: GET crm ", "/{a}", id="path"),
        pytest.param("targets.yaml", "targets:\n  a: {url: https://", "a.", id="host"),
        pytest.param("targets.yaml", "targets:\n  a: {url: https://a.example, limits: {request: ", "1", id="number"),
        pytest.param(ROLE, "", "\t", id="tabs"),
        pytest.param(ROLE, "", " ", id="spaces"),
        pytest.param(ROLE, "", "\n", id="line-ends"),
        pytest.param(ROLE, "", "\r", id="carriage-returns"),
        pytest.param(ROLE, "", "\u2028", id="line-separators"),
        pytest.param(ROLE, "", "\ufeff", id="marks-of-byte-order"),
        pytest.param(ROLE, "", "a: b\r\n- c\r\n", id="windows-line-ends"),
        pytest.param(ROLE, "", "'", id="quotes"),
        pytest.param(ROLE, "", '"', id="double-quotes"),
        pytest.param(ROLE, "", "- ''\n", id="empty-texts"),
        pytest.param(ROLE, 'role: "', "\\x41", id="escapes"),
        pytest.param(ROLE, "", "- &a%d b\n", id="anchors"),
        pytest.param(ROLE, "- &a [b]\n", "- *a\n", id="aliases"),
        pytest.param(ROLE, "a0: &a0 [x, x]\n", "a: &a [*a, *a]\n", id="expanding-aliases"),
        pytest.param(ROLE, "", "!<%41>", id="tags"),
        pytest.param(ROLE, "", "%TAG !a%d! b\n", id="directives"),
        pytest.param(ROLE, "", "--- a\n", id="documents"),
        pytest.param(ROLE, RULES, "- a #x\n", id="comments"),
        pytest.param(ROLE, "a", " #x", id="comments-in-one-line"),
        pytest.param(ROLE, "a", " ", id="blanks-behind"),
        pytest.param(ROLE, "a: b\nc: [a\n", "#\n", id="open-bracket"),
        pytest.param(ROLE, "", "“: ", id="curly-quotes"),
        pytest.param(ROLE, "", "-" * 99 + "a: ", id="dashes"),
    ],
)
def test_a_file_of_one_mebibyte_is_judged_soon(name: str, start: str, unit: str) -> None:
    soon(name, filled(start, unit).encode())


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xff" * MIB, id="not-utf-8"),
        pytest.param(b"a\n" * (MIB // 2) + b"\xff", id="not-utf-8-at-the-end"),
        pytest.param(b"\0" * MIB, id="zero-bytes"),
        pytest.param(b"# x\n" * (MIB // 4) + b"\0", id="zero-byte-at-the-end"),
        pytest.param("role: r\n".encode("utf-16") * (MIB // 18), id="utf-16"),
        pytest.param(random.Random(1).randbytes(MIB), id="random-bytes"),
        pytest.param(bytes(random.Random(1).choices(range(32, 127), k=MIB)), id="random-letters"),
        pytest.param("".join(random.Random(1).choices(SYMBOLS[:22], k=MIB)).encode(), id="random-symbols"),
    ],
)
def test_one_mebibyte_of_anything_is_judged_soon(content: bytes) -> None:
    soon(ROLE, content)


MANY_TARGETS = "|".join(f"t{number}" for number in range(2000))


def long_conditions(term: str) -> str:
    """1 MiB of rules, each with a condition as long as it may be; %d in it counted up."""
    text, number = RULES, 0
    while len(text) < MIB:
        group = "(" + " || ".join(term.replace("%d", str(number + each)) for each in range(20)) + ")"
        whole = " || ".join([group] * (8000 // (len(group) + 4)))
        text += f"  - id: r{number}\n    allow: GET crm /x\n    when: >-\n      {whole}\n"
        number += 20
    return text


def many_rules(*keys: str) -> str:
    """1 MiB of rules with these keys; %d in them counted up over all."""
    text, number = [RULES], 0
    size = 0
    while size < MIB:
        rule = f"  - id: r{number}\n    allow: GET crm /{number}\n" + "".join(f"    {key}\n" for key in keys)
        while "%d" in rule:
            rule, number = rule.replace("%d", str(number), 1), number + 1
        text.append(rule)
        size, number = size + len(rule), number + 1
    return "".join(text)


def paths(*written: str, times: int = 1) -> str:
    """A list of JSONPaths."""
    return "[" + ", ".join(f'"{path}"' for path in written * times) + "]"


def masks(*written: str, times: int = 1) -> str:
    """A rule's masks at these JSONPaths."""
    return "mask: {" + ", ".join(f'"{path}": redact' for path in written * times) + "}"


def halves(allow: str, deny: str, number: int) -> str:
    """As many allows as denies; %d in them counted up."""
    return RULES + "".join(
        f"  - {{id: {verdict}{each}, {verdict}: {line.replace('%d', str(each))}}}\n"
        for verdict, line in (("deny", deny), ("allow", allow))
        for each in range(number)
    )


CHAIN = " && ".join(f"body.a{each} == body.a{each + 1}" for each in range(9, 0, -1)) + " && body.a1 == %d"
DEEP = ["$" + "".join(f"..{name}" for name in order) + "..%d" for order in permutations("abcdefgh", 8)][:100]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(ROLE, many_rules(masks(*(f"{path[:-4]}" for path in DEEP))), id="deep-masks"),
        pytest.param(ROLE, many_rules(masks("$..a%d" + "..a" * 90, "$..a" + "..b%d" * 90)), id="two-long-deep-masks"),
        pytest.param(ROLE, many_rules(masks(*("$" + "..*" * each for each in range(1, 50)))), id="masks-of-anything"),
        pytest.param(ROLE, many_rules(masks("$.a%d", times=10)), id="ten-masks-each"),
        pytest.param(ROLE, many_rules(masks("$['a b%d']")), id="quoted-names"),
        pytest.param(ROLE, many_rules(masks("$['a%d','b']")), id="two-names-in-one-step"),
        pytest.param(ROLE, many_rules("show: " + paths("$.l%d[1:]", times=90)), id="shown-slices"),
        pytest.param(ROLE, many_rules("redact_request: " + paths("$.l%d[1:]", times=90)), id="redacted-slices"),
        pytest.param(
            ROLE,
            many_rules("show: " + paths(*DEEP[:40]), masks(*DEEP[40:80])),
            id="masks-and-shows",
        ),
        pytest.param(ROLE, halves("GET crm /a*x%d*b", "GET crm /a*%d*b", 4000), id="denies-that-begin-and-end-alike"),
        pytest.param(
            ROLE, halves("GET crm " + "/a/b" * 120 + "/%d", "GET crm " + "/**/a" * 4 + "/x%d", 500), id="double-stars"
        ),
        pytest.param(ROLE, halves("any crm /%d/y", "GET|HEAD|POST|PUT|PATCH crm /*/y", 4000), id="any-of-most-methods"),
        pytest.param(ROLE, long_conditions("body.a == %d"), id="comparisons"),
        pytest.param(ROLE, long_conditions("body.a%d == body.b%d"), id="fields"),
        pytest.param(ROLE, long_conditions("size(body" + ".a" * 40 + ") > %d"), id="deep-fields"),
        pytest.param(ROLE, long_conditions("+".join("1" * 60) + " == body.a%d"), id="sums"),
        pytest.param(ROLE, long_conditions("(" * 20 + "body.a == %d" + ")" * 20), id="parentheses"),
        pytest.param(ROLE, long_conditions('principal.roles.exists(x, x == "%d")'), id="loops"),
        pytest.param(ROLE, long_conditions('request.path.matches("[a-z]{9}%d")'), id="regular-expressions"),
        pytest.param(ROLE, long_conditions("body.a == %d &&& 1"), id="wrong-conditions"),
        pytest.param(ROLE, long_conditions('request.path.matches(r"(\\pL\\pN){18}%d")'), id="large-expressions"),
        pytest.param(
            ROLE, many_rules("when: request.path.matches(r'(\\pL\\pN){18}%d')"), id="one-large-expression-each"
        ),
        pytest.param(ROLE, many_rules("when: request.path.matches(r'(\\pL){999}%d')"), id="too-large-expressions"),
        pytest.param(ROLE, many_rules("when: " + CHAIN), id="types-that-follow-from-one-another"),
        pytest.param(
            "targets.yaml",
            "targets:\n" + "".join(f"  t{each}: {{url: https://t{each}.example}}\n" for each in range(20_000)),
            id="targets",
        ),
        pytest.param(
            "credentials.yaml",
            "credentials:\n"
            + "".join(f"  c{each}: {{bearer: env:C, hosts: [h{each}.example]}}\n" for each in range(20_000)),
            id="credentials",
        ),
    ],
)
def test_more_than_anybody_writes_is_refused_soon(name: str, content: str) -> None:
    soon(name, content.encode(), seconds=4)  # one at worst, where the machine does nothing else


@pytest.mark.parametrize(
    "parent",
    [
        pytest.param(lambda number: number + 1, id="chain"),
        pytest.param(lambda number: (number + 1) % 5000, id="circle"),
        pytest.param(lambda number: number + 10_000, id="unknown"),
    ],
)
def test_thousands_of_roles_are_judged_soon(parent: Callable[[int], int]) -> None:
    roles = {
        f"roles/r{number}.yaml": f"role: r{number}\nextends: [r{parent(number)}]\nrules: []\n".encode()
        for number in range(5000)
    }
    soon(ROLE, VALID[ROLE].encode(), roles, seconds=4)


def test_many_verbs_at_many_targets_are_refused_soon() -> None:
    targets = "targets:\n" + "".join(f"  t{each}: {{url: https://t{each}.example}}\n" for each in range(2000))
    line = f"GET|HEAD|POST|PUT|PATCH|DELETE {MANY_TARGETS}"
    rules = RULES + "".join(f"  - id: r{each}\n    allow: {line} /{each}\n" for each in range(90))
    soon(ROLE, rules.encode(), {"targets.yaml": targets.encode()})


def soon(name: str, content: bytes, beside: Mapping[str, bytes] | None = None, seconds: float = 2) -> None:
    before = time.process_time()
    judged({name: content, **(beside or {})})
    assert time.process_time() - before < seconds
