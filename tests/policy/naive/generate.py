"""Small rule sets and requests near them, for hypothesis; and the files that say the same as YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from naive import conditions as cel
from naive.conditions import Condition, Request

from lockgate.actions.http import canonical_path
from lockgate.errors import RequestUnreadable
from lockgate.model import HTTP_METHODS, Principal, Unreadable

ROLES = ("support", "reader", "ops")
EXTENSIONS: tuple[list[list[str]], ...] = ([[], ["reader"], ["ops"], ["ops", "reader"]], [[], ["ops"]], [[]])
TARGETS = ("crm", "wiki", "api.v2")
LISTS: dict[str, Any] = {"vip": ["ann", "bo"], "amounts": {"numbers": ["1", "2.5", "-3"]}}
LIST_VALUES: dict[str, list[Any]] = {"vip": ["ann", "bo"], "amounts": [1, 2.5, -3]}
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)

# Words of patterns and paths: letter case, characters that may be percent-encoded, and letters whose case is odd.
WORDS = ("v1", "a", "AB", "x:y", "me@b", "caf%C3%A9", "stra%C3%9Fe", "kin", "a%20b")
SPELLINGS = {"kin": "%E2%84%AAin", "stra%C3%9Fe": "STRASSE", "caf%C3%A9": "CAF%C3%89"}
PARTIAL = ("*", "a*", "*b", "v*1", "*:*", "*k*")

MASKED = ("$.ssn", "$..email", "$.items[*].card", "$.note")
KINDS: tuple[Any, ...] = (
    "drop",
    "nullify",
    "redact",
    "hash",
    {"replace": "gone"},
    {"keep_first": 2},
    {"keep_last": 3},
)
REDACTED = ("$.card", "$.owner.phone", "query.token", "headers.x-key")

CHOICES = ("allow", "allow", "allow", "hold", "deny")

Draw = Callable[..., Any]


# Conditions

ATOMS = (
    cel.number_compared("body.amount", cel.member("amount"), "<=", 10),
    cel.number_compared("body.amount", cel.member("amount"), ">", 2.5),
    cel.number_compared("body.amount", cel.member("amount"), "==", 10),
    cel.number_compared("body.amount", cel.member("amount"), "!=", 1),
    cel.number_listed("body.amount", cel.member("amount"), "amounts"),
    cel.text_compared("body.who", cel.member("who"), "==", "ann"),
    cel.text_compared("body.who", cel.member("who"), "!=", "bo"),
    cel.text_among("body.who", cel.member("who"), ["bo", "cy"]),
    cel.text_listed("body.who", cel.member("who"), "vip"),
    cel.starts_with("body.who", cel.member("who"), "a"),
    cel.has("body.who", cel.has_member("who")),
    cel.has("body.amount", cel.has_member("amount")),
    cel.contains("body.tags", cel.member("tags"), "ann"),
    cel.some_listed("body.who", cel.member("who"), "vip"),
    cel.none_listed("body.who", cel.member("who"), "vip"),
    cel.text_compared("request.method", lambda facts: facts.request.method, "!=", "GET"),
    cel.starts_with("request.path", lambda facts: cel.PathText(facts.request.path), "/v1/"),
    cel.text_compared("request.query.q", cel.parameter("q"), "==", "ann"),
    cel.has("request.query.q", cel.has_parameter("q")),
    cel.contains("request.query_all.q", lambda facts: list(cel.parameters("q")(facts)), "bo"),
    cel.text_compared('request.headers["x-a"]', cel.header("x-a"), "==", "ann"),
    Condition('"x-a" in request.headers', lambda facts: "x-a" in facts.request.headers),
    cel.contains("principal.roles", lambda facts: list(facts.request.principal.roles), "ops"),
    cel.text_compared("principal.subject", lambda facts: facts.request.principal.subject, "==", "ann"),
    cel.text_compared("principal.claims.team", cel.claim("team"), "==", "ann"),
    cel.has("principal.claims.team", lambda facts: "team" in facts.request.principal.claims),
    Condition('now < timestamp("2030-01-01T12:00:00Z")', lambda facts: facts.request.now < NOON),
)


def capture_atoms(name: str) -> tuple[Condition, ...]:
    def captured(facts: cel.Facts) -> str:
        return facts.captures[name]

    return (
        cel.text_compared(f"path.{name}", captured, "==", "a"),
        cel.text_compared(f"path.{name}", captured, "!=", "x:y"),
        cel.text_among(f"path.{name}", captured, ["AB", "me@b", "a b"]),
    )


# Each is drawn from a table where it can be: the fewer draws an example takes, the more examples there are time for.
SHAPES = st.sampled_from(("one", "one", "one", "not", "and", "or", "choice", "nested"))
ATOM: dict[tuple[str, ...], st.SearchStrategy[Condition]] = {
    names: st.sampled_from([*ATOMS, *(atom for name in names for atom in capture_atoms(name) * 3)])
    for names in ((), ("id",), ("id", "name"))
}
CAPTURES = st.sampled_from(((), (), (), ("id",), ("id",), ("id", "name")))
PART_LISTS = st.lists(st.sampled_from(WORDS[:2] * 4 + WORDS + PARTIAL), max_size=2)
VERBS = st.sampled_from(("any", "GET", "POST", "GET|POST", "GET|HEAD", "POST|DELETE"))
SOME_TARGETS = st.sampled_from(("crm", "crm", "wiki", "api.v2", "crm|wiki", "api.v2|crm", "crm|wiki|api.v2"))
EXPIRES = st.sampled_from(
    (None,) * 8 + ("2029-12-31", "2030-01-01", "2030-01-02", "2030-01-01T12:00:00Z", "2030-01-01T14:00:01+02:00")
)
COVERINGS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}] * 12
    + [{"mask": {path: kind}} for path in MASKED for kind in KINDS]
    + [{"mask": {MASKED[0]: kind, MASKED[2]: other}} for kind, other in zip(KINDS, KINDS[2:], strict=False)]
    + [{"show": paths} for paths in ([MASKED[0]], [MASKED[3], MASKED[2]], [MASKED[3]], [MASKED[1]])]
)
REDACT = st.sampled_from((*[None] * 4, *([path] for path in REDACTED), [REDACTED[0], REDACTED[2]]))
EXTENDS = {role: st.sampled_from(lists) for role, lists in zip(ROLES, EXTENSIONS, strict=True)}
ONE_IN_FOUR = st.sampled_from((False, False, False, True))
ONE_IN_EIGHT = st.sampled_from((*(False,) * 7, True))


def condition(draw: Draw, captures: tuple[str, ...]) -> Condition:
    """One to four atoms."""
    atom = ATOM[captures]
    first: Condition = draw(atom)
    shape = draw(SHAPES)
    if shape == "one":
        return first
    if shape == "not":
        return cel.negated(first)
    second = draw(atom)
    if shape == "and":
        return cel.both(first, second)
    if shape == "or":
        return cel.either(first, second)
    third = draw(atom)
    if shape == "choice":
        return cel.choice(first, second, third)
    return cel.both(cel.either(first, cel.negated(second)), cel.either(third, draw(atom)))


def resource(draw: Draw, captures: tuple[str, ...]) -> str:
    """A path pattern that captures just these names; `**` at most once, as the language asks for beside captures."""
    parts = [*(f"{{{name}}}" for name in captures), *draw(PART_LISTS)]
    if draw(st.booleans()):
        parts.append("**")
    if parts:
        turn = draw(st.integers(0, len(parts) - 1))
        parts = parts[turn:] + parts[:turn]
    return "/" + "/".join(parts) + ("/" if parts and draw(ONE_IN_EIGHT) else "")


def line(draw: Draw, captures: tuple[str, ...]) -> str:
    return f"{draw(VERBS)} {draw(SOME_TARGETS)} {resource(draw, captures)}"


def verdict(draw: Draw, choices: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A verdict with its lines, and what every one of them captures."""
    says = draw(st.sampled_from(choices))
    if says != "allow" and draw(ONE_IN_EIGHT):
        return {says: f"{draw(VERBS)} {draw(SOME_TARGETS)}"}, ()
    captures = draw(CAPTURES)
    found = sorted({line(draw, captures) for _ in range(draw(st.sampled_from((1, 1, 2, 3))))})
    return {says: found[0] if len(found) == 1 else found}, captures


def rule(draw: Draw, choices: Sequence[str]) -> dict[str, Any]:
    """A rule without its id."""
    found, captures = verdict(draw, choices)
    if draw(st.booleans()):
        found["when"] = condition(draw, captures)
    if draw(ONE_IN_FOUR):
        found["unless"] = condition(draw, captures)
    types = {name: kind for key in ("when", "unless") if key in found for name, kind in found[key].types.items()}
    if types and draw(ONE_IN_FOUR):
        found["types"] = types
    if expires := draw(EXPIRES):
        found["expires"] = expires
    if "deny" not in found:
        found |= draw(COVERINGS)
    if redacted := draw(REDACT):
        found["redact_request"] = redacted
    return found


def guardrail(draw: Draw) -> dict[str, Any]:
    if draw(ONE_IN_FOUR):
        return draw(COVERINGS) or {"redact_request": [REDACTED[1]]}
    return rule(draw, ("deny", "hold"))


def named(found: Sequence[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    return [{"id": f"{prefix}{index}", **rule} for index, rule in enumerate(found)]


@st.composite
def rule_sets(draw: Draw) -> dict[str, Any]:
    """Rules as the naive evaluator takes them. Roles extend only later ones, so that none extends itself."""
    roles = {}
    for role in ROLES:
        rules = [rule(draw, CHOICES) for _ in range(draw(st.integers(1, 3)))]
        extends = draw(EXTENDS[role])
        roles[role] = {"rules": named(rules, "r"), **({"extends": extends} if extends else {})}
    return {
        "lists": LIST_VALUES,
        "targets": {target: draw(COVERINGS) for target in TARGETS},
        "guardrails": named([guardrail(draw) for _ in range(draw(st.integers(0, 2)))], "g"),
        "roles": roles,
    }


@st.composite
def more(draw: Draw, *choices: str) -> dict[str, Any]:
    """One rule more."""
    return rule(draw, choices)


def files(found: Mapping[str, Any]) -> dict[str, bytes]:
    """The rules as a directory of YAML. JSON is YAML, and every scalar is text there."""
    targets = {
        name: {"urls": [f"https://{name}.example", f"https://{name}.other.example"], **entry}
        for name, entry in found["targets"].items()
    }
    written: dict[str, Any] = {
        "gateway.yaml": {"issuers": [{"dev": "true"}], "lists": LISTS},
        "targets.yaml": {"targets": targets},
        "guardrails.yaml": {"rules": found["guardrails"]},
    }
    for role, entry in found["roles"].items():
        written[f"roles/{role}.yaml"] = {"role": role, **entry}
    return {name: json.dumps(content, default=str).encode() for name, content in written.items()}


# Requests


@st.composite
def requests(draw: Draw, found: Mapping[str, Any]) -> Request:
    """A request near the rules: on a path that fits one of their lines, or nearly."""
    owner, verbs, targets, pattern = draw(st.sampled_from(known_lines(found)))
    far = draw(ONE_IN_EIGHT)
    roles = dict.fromkeys([*draw(SOME_ROLES), *([] if far else [owner])])
    return Request(
        Principal("https://login.example", draw(SUBJECTS), tuple(roles), 0.0, claims=draw(CLAIMS)),
        draw(INSTANTS),
        draw(st.sampled_from(sorted(HTTP_METHODS) if verbs == "any" or far else verbs.split("|"))),
        draw(st.sampled_from(TARGETS if far else targets.split("|"))),
        path_near(draw, pattern),
        draw(QUERIES),
        draw(HEADERS),
        draw(BODIES),
    )


def known_lines(found: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """The role, verbs, targets and pattern of every line of a role, and of the guardrails' for any role."""
    owned = [(role, rule) for role, entry in found["roles"].items() for rule in entry["rules"]]
    owned += [(ROLES[0], rule) for rule in found["guardrails"]]
    spoken = [(role, rule[says]) for role, rule in owned for says in ("allow", "hold", "deny") if says in rule]
    written = [(role, line) for role, lines in spoken for line in (lines if isinstance(lines, list) else [lines])]
    return [(role, *line.split(), "/**")[:4] for role, line in written]


def path_near(draw: Draw, pattern: str) -> str:
    """A canonical path that fits the pattern, changed up to three times."""
    parts: list[str] = []
    for part in pattern.split("/")[1:]:
        if part == "**":
            parts += draw(FEW_WORDS)
        elif part == "*":
            parts.append(draw(WORD))
        elif part.startswith("{"):
            parts.append(draw(CAPTURED))
        else:
            parts.append(part.replace("*", draw(FILLINGS)) if "*" in part else part)
    path = "/" + "/".join(parts)
    for change in draw(SOME_CHANGES):
        path = change(path, draw(POSITIONS))
    try:
        return canonical_path(path)
    except RequestUnreadable:
        return canonical_path("/" + "/".join(part for part in parts if part))


def other_case(path: str, where: int) -> str:
    return at_part(path, where, lambda part: SPELLINGS.get(part, part.swapcase()))


def other_slash(path: str, where: int) -> str:
    return path.removesuffix("/") or "/" if path.endswith("/") else f"{path}/"


def longer(path: str, where: int) -> str:
    return f"{path.removesuffix('/')}/{WORDS[where % len(WORDS)]}"


def shorter(path: str, where: int) -> str:
    return path.rpartition("/")[0] or "/"


def encoded(path: str, where: int) -> str:
    """The characters of one part percent-encoded, whether or not they must be."""
    return at_part(path, where, lambda part: "".join(escape(c) for c in re.findall("%..|.", part)))


def escape(character: str) -> str:
    return character if len(character) == 3 else f"%{ord(character):02X}"


def at_part(path: str, where: int, change: Callable[[str], str]) -> str:
    parts = path.split("/")
    index = 1 + where % (len(parts) - 1)
    return "/".join([*parts[:index], change(parts[index]), *parts[index + 1 :]])


WORD = st.sampled_from(WORDS)
CAPTURED = st.sampled_from(("a", "AB", "x:y", "x%3Ay", "me@b", "me%40b", "a%20b", "v1"))
FEW_WORDS = st.lists(WORD, max_size=2)
FILLINGS = st.sampled_from(("", "v", ":", "%2A"))
POSITIONS = st.integers(0, len(WORDS) - 1)
SOME_CHANGES = st.lists(st.sampled_from((other_case, other_slash, longer, shorter, encoded)), max_size=3)
INSTANTS = st.sampled_from((NOON - timedelta(days=1), NOON, NOON + timedelta(seconds=1)))
SOME_ROLES = st.lists(st.sampled_from((*ROLES, *ROLES, "nobody", "guardrails")), max_size=2)
SUBJECTS = st.sampled_from(("ann", "bo"))
CLAIMS = st.sampled_from(({"team": "ann"}, {}, {"team": "bo"}, {"team": ["ann"]}, {"team": 1}))
WHO = st.sampled_from(("ann", "ann", "bo", "cy"))
FEW = st.lists(WHO, min_size=1, max_size=2).map(tuple)
QUERIES = st.dictionaries(st.sampled_from(("q", "q", "q", "Q", "q[]", "p")), FEW, max_size=2)
HEADERS = st.dictionaries(st.sampled_from(("x-a", "x-b")), FEW, max_size=2)
MEMBERS: dict[Any, st.SearchStrategy[Any]] = {
    "amount": st.sampled_from((1, 2.5, 10, 10.0, 11, -3, 2**70, "10", True, None)),
    "who": st.sampled_from(("ann", "ann", "bo", "cy", 1, None, ["ann"])),
    "tags": st.sampled_from(([], ["ann"], ["ann", "ann"], ["bo", "ann"], "ann", [1], ["ann", 1], [1, "ann"])),
}
BODIES = st.one_of(
    st.fixed_dictionaries(MEMBERS),
    st.fixed_dictionaries({}, optional={**MEMBERS, "Amount": st.just(1), "WHO": st.just("ann")}),
    st.sampled_from(({}, [], "ann", Unreadable("it is not JSON"))),
)
