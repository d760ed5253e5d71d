"""What can be known of a condition before any request: names, members, kinds. Pure.

Checks raise ConditionInvalid at the first thing that could never work or never be true, with what to write instead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lockgate.errors import Unevaluable
from lockgate.policy.conditions.describe import describe, suggestion
from lockgate.policy.conditions.fields import Fields, field_of
from lockgate.policy.conditions.functions import FUNCTIONS, METHODS
from lockgate.policy.conditions.kinds import (
    BOOL,
    DOUBLE,
    DURATION,
    INT,
    JSON,
    NULL,
    NUMBERS,
    STRING,
    TIMESTAMP,
    Facts,
    Kind,
    alike,
    family,
    given,
    lefts,
    list_of,
    map_of,
    of,
    rights,
    union,
)
from lockgate.policy.conditions.regexes import RegexInvalid, compile_regex
from lockgate.policy.conditions.syntax import (
    Binary,
    Call,
    Comprehension,
    Conditional,
    ConditionInvalid,
    Has,
    Index,
    ListOf,
    Literal,
    MapOf,
    Member,
    Name,
    Node,
    Path,
    Unary,
    constant_path,
)
from lockgate.policy.conditions.values import fits_double

# Facts of protocols that this rule cannot be about.
ELSEWHERE = frozenset({"graphql", "rpc", "tool", "sql", "ssh"})

NOTHING: Mapping[Any, Any] = MappingProxyType({})
MAX_NAMED = 8  # values that a message lists

ORDERED = frozenset({"bool", "int", "double", "duration", "string", "timestamp"})


Possible = Mapping[Path, Collection[str]]
"""The only values that a fact may have, by its path: `("request", "method")`."""


def check(tree: Node, facts: Facts, fields: Fields, possible: Possible = NOTHING) -> None:
    """Narrows `fields` down to what `tree` takes them for.

    Raises ConditionInvalid unless `tree` can be evaluated over `facts` and is true or false.
    """
    checker = Checker(facts, fields, possible)
    kind = checker.narrowed(tree, checker.kind(tree), BOOL.types, tree)
    if "bool" not in kind.types:
        raise ConditionInvalid(tree.offset, f"the condition is {kind}, not true or false: compare it with something")


# What identifies the agent is off the request before rules are asked.
TAKEN_OFF = frozenset({"authorization", "cookie", "proxy-authorization"})
HEADERS = Member(0, Name(0, "request"), "headers")


class Checker:
    def __init__(self, facts: Facts, fields: Fields, possible: Possible) -> None:
        self.facts = facts
        self.fields = fields
        self.possible = possible
        self.variables: dict[str, Kind] = {}

    def kind(self, node: Node) -> Kind:
        """The kind of `node`, which must be a value."""
        found = KINDS[type(node)](self, node)
        if isinstance(found, Facts):
            names = ", ".join(sorted(found.members)) or "none here"
            raise ConditionInvalid(node.offset, f"{describe(node)} is no value: name one of its members ({names})")
        return found

    def any_kind(self, node: Node) -> Kind | Facts:
        return KINDS[type(node)](self, node)

    def conditional(self, node: Conditional) -> Kind:
        self.expect(node.test, node, BOOL.types)
        return self.common([self.kind(node.then), self.kind(node.otherwise)], node, "the two outcomes")

    def list_of(self, node: ListOf) -> Kind:
        return list_of(self.common([self.kind(item) for item in node.items], node, "the elements"))

    def map_of(self, node: MapOf) -> Kind:
        for key, _ in node.entries:
            self.expect(key, node, STRING.types)
        for _, value in node.entries:
            self.kind(value)
        return map_of(None)

    def literal(self, node: Literal) -> Kind:
        value = node.value
        if value is None:
            return NULL
        if isinstance(value, bool):
            return BOOL
        if isinstance(value, str):
            return STRING
        if isinstance(value, int) and not fits_double(value):
            raise ConditionInvalid(
                node.offset,
                f"{value} has more digits than a double holds, so readers disagree about it: compare text",
            )
        return INT if isinstance(value, int) else DOUBLE

    def name(self, node: Name) -> Kind | Facts:
        if node.name in self.variables:
            return self.variables[node.name]
        if node.name in self.facts.members:
            return self.facts.members[node.name]
        if node.name in ELSEWHERE:
            raise ConditionInvalid(node.offset, f"{node.name} is not a fact of an HTTP request")
        if node.name in FUNCTIONS or node.name in METHODS:
            raise ConditionInvalid(node.offset, f"{node.name} is a function: write {node.name}(...)")
        hint = suggestion(node.name, self.facts.members)
        raise ConditionInvalid(node.offset, f"unknown name {node.name}: {hint}; quote text")

    def field(self, node: Node, found: Kind | Facts) -> Kind | Facts:
        """What is known of an open field from the rest of the rule too."""
        path = field_of(node)
        return self.fields.kind(path) if path is not None else found

    def member(self, node: Member) -> Kind | Facts:
        return self.field(node, self.member_of(self.any_kind(node.operand), node))

    def member_of(self, of_what: Kind | Facts, node: Member | Has) -> Kind | Facts:
        operand, name = node.operand, node.field
        if isinstance(of_what, Facts):
            if name in of_what.members:
                return of_what.members[name]
            what = NO_MEMBER.get(describe(operand), f"{describe(operand)} has no")
            raise ConditionInvalid(node.offset, f"{what} {name}: {suggestion(name, of_what.members)}")
        of_what = self.narrowed(operand, of_what, frozenset({"map"}), node)
        if "map" not in of_what.types:
            raise ConditionInvalid(node.offset, f"{describe(operand)} is {of_what} and has no members")
        self.header(operand, name, node)
        return of_what.element or JSON

    def header(self, operand: Node, name: str, node: Node) -> None:
        if operand != HEADERS:
            return
        if name != name.lower():
            raise ConditionInvalid(node.offset, f"header names are in lower case here: write {name.lower()}")
        if name in TAKEN_OFF or "_" in name:
            raise ConditionInvalid(node.offset, f"no rule sees the header {name}: it is taken off, or refused, before")

    def has(self, node: Has) -> Kind:
        of_what = self.any_kind(node.operand)
        self.member_of(of_what, node)
        if isinstance(of_what, Facts):
            raise ConditionInvalid(node.offset, f"{describe(node.operand)}.{node.field} is always there: drop has()")
        return BOOL

    def index(self, node: Index) -> Kind | Facts:
        return self.field(node, self.element_of(node))

    def element_of(self, node: Index) -> Kind:
        of_what = self.any_kind(node.operand)
        key = self.kind(node.key)
        if isinstance(of_what, Facts):
            raise ConditionInvalid(node.offset, f"name the member: {describe(node.operand)}.NAME")
        keyed = frozenset(KEYS[name] for name in KEYS.keys() & key.types)
        if keyed:
            of_what = self.narrowed(node.operand, of_what, keyed, node)
        held = [name for name, holder in KEYS.items() if holder in of_what.types]
        if not held:
            raise ConditionInvalid(node.offset, f"{describe(node.operand)} is {of_what} and has no elements")
        self.expect(node.key, node, frozenset(held), key)
        if isinstance(node.key, Literal) and isinstance(node.key.value, str):
            self.header(node.operand, node.key.value, node.key)
        return of_what.element or JSON

    def call(self, node: Call) -> Kind:
        known = METHODS if node.method else FUNCTIONS
        function = known.get(node.function)
        if function is None:
            elsewhere = FUNCTIONS if node.method else METHODS
            form = f"{node.function}(x)" if node.method else f"x.{node.function}(...)"
            hint = f"write {form}" if node.function in elsewhere else suggestion(node.function, known)
            raise ConditionInvalid(node.offset, f"unknown function {node.function}: {hint}")
        if len(node.arguments) != len(function.takes):
            count = len(function.takes) - node.method
            raise ConditionInvalid(node.offset, f"{node.function} takes {count or 'no'} argument{'s' * (count != 1)}")
        for argument, types in zip(node.arguments, function.takes, strict=True):
            self.expect(argument, node, frozenset(types))
        self.constants(node)
        return of(function.gives)

    def constants(self, node: Call) -> None:
        """Texts with a syntax of their own are checked now; a regular expression must be one of them."""
        last = node.arguments[-1]
        written = last.value if isinstance(last, Literal) else None
        if node.function == "matches":
            if not isinstance(written, str):
                raise ConditionInvalid(last.offset, "the pattern of matches() must be written out here, as text")
            try:
                compile_regex(written)
            except RegexInvalid as error:
                raise ConditionInvalid(last.offset, str(error)) from None
        elif node.function in ("timestamp", "duration") and isinstance(written, str):
            try:
                FUNCTIONS[node.function].run(written)
            except Unevaluable as error:
                raise ConditionInvalid(last.offset, str(error)) from None

    def comprehension(self, node: Comprehension) -> Kind:
        of_what = self.narrowed(node.operand, self.kind(node.operand), frozenset({"list", "map"}), node)
        if not of_what.types & {"list", "map"}:
            operand = describe(node.operand)
            raise ConditionInvalid(node.offset, f"{node.macro} goes through a list; {operand} is {of_what}")
        self.require_one_name(node, node.operand)
        if node.variable in self.facts.members or node.variable in self.variables:
            raise ConditionInvalid(node.offset, f"{node.variable} has a meaning already: use another name")
        if self.variables:
            raise ConditionInvalid(node.offset, "a comprehension within another is not taken: it could run for minutes")
        each = element(of_what)
        self.variables[node.variable] = each
        try:
            if node.macro == "map":
                return list_of(self.kind(node.body))
            self.expect(node.body, node, BOOL.types)
        finally:
            del self.variables[node.variable]
        return list_of(each) if node.macro == "filter" else BOOL

    def require_one_name(self, node: Node, *operands: Node) -> None:
        """Parameters and headers are asked for by name: targets read other spellings of it too."""
        for operand in operands:
            if constant_path(operand) in BY_NAME:
                name = describe(operand)
                raise ConditionInvalid(
                    node.offset,
                    f'{name} has names that targets read in several spellings: ask for each one, as "name" in {name}',
                )

    def unary(self, node: Unary) -> Kind:
        if node.operator == "!":
            self.expect(node.operand, node, BOOL.types)
            return BOOL
        kind = self.expect(node.operand, node, NUMBERS)
        return Kind(kind.types & NUMBERS)

    def binary(self, node: Binary) -> Kind:
        if node.operator in ("&&", "||"):
            self.expect(node.left, node, BOOL.types)
            self.expect(node.right, node, BOOL.types)
            return BOOL
        left, right = self.kind(node.left), self.kind(node.right)
        if node.operator in ("==", "!="):
            self.require_one_name(node, node.left, node.right)
            self.equality(node, left, right)
            if node.operator == "==":
                self.require_possible(node.left, [node.right])
                self.require_possible(node.right, [node.left])
            return BOOL
        if node.operator == "in":
            self.require_one_name(node, node.left)
            self.membership(node, left, right)
            if isinstance(node.right, ListOf):
                self.require_possible(node.left, node.right.items)
            return BOOL
        if node.operator in ("<", "<=", ">", ">="):
            left = self.narrowed(node.left, left, family(right.types) & ORDERED, node)
            right = self.narrowed(node.right, right, family(left.types) & ORDERED, node)
            self.expect(node.left, node, ORDERED, left)
            self.expect(node.right, node, ORDERED, right)
            self.require_alike(node, left, right)
            return BOOL
        return self.arithmetic(node, left, right)

    def equality(self, node: Binary, left: Kind, right: Kind) -> None:
        if NULL not in (left, right):
            self.comparable(node, left, right)
            return
        operand, other = (node.right, right) if left == NULL else (node.left, left)
        if "null" not in other.types and field_of(operand) is None:
            raise ConditionInvalid(node.offset, f"{describe(operand)} is {other} and never null")

    def require_possible(self, fact: Node, others: Sequence[Node]) -> None:
        """One of `others` is what `fact` may be, or not written out."""
        possible = self.possible.get(constant_path(fact) or ())
        values = [other.value for other in others if isinstance(other, Literal)]
        if possible and values and len(values) == len(others) and not set(values) & set(possible):
            known = " or ".join(sorted(possible)[:MAX_NAMED]) + (" or ..." if len(possible) > MAX_NAMED else "")
            message = f"{describe(fact)} is never {describe(others[0])} here, where it is {known}"
            raise ConditionInvalid(others[0].offset, message)

    def comparable(self, node: Binary, left: Kind, right: Kind) -> None:
        left = self.narrowed(node.left, left, family(right.types), node)
        right = self.narrowed(node.right, right, family(left.types), node)
        self.require_alike(node, left, right)

    def require_alike(self, node: Binary, left: Kind, right: Kind) -> None:
        if not alike(left, right):
            hint = instant_hint(node.left, left, right, right.name) or instant_hint(node.right, right, left, left.name)
            raise ConditionInvalid(node.offset, f"compares {left} with {right}, which are never alike{hint}")

    def membership(self, node: Binary, left: Kind, right: Kind) -> None:
        holders = ("list", "map") if "string" in left.types else ("list",)
        right = self.narrowed(node.right, right, frozenset(holders), node)
        if right.types == {"map"}:
            self.expect(node.left, node, STRING.types, left)
            written = node.left.value if isinstance(node.left, Literal) else None
            if isinstance(written, str):
                self.header(node.right, written, node.left)
        elif right.types == {"list"}:
            inner = right.element or JSON
            left = self.narrowed(node.left, left, family(inner.types), node)
            if not alike(left, inner):
                raise ConditionInvalid(node.offset, f"compares {left} with {inner}, which are never alike")
        elif right == STRING:
            raise ConditionInvalid(node.offset, "in looks into lists and objects: for text write text.contains(part)")
        elif not right.types & {"list", "map"}:
            raise ConditionInvalid(node.offset, f"in looks into lists and objects, not into {right}")

    def arithmetic(self, node: Binary, left: Kind, right: Kind) -> Kind:
        left = self.narrowed(node.left, left, lefts(node.operator, right.types), node)
        right = self.narrowed(node.right, right, rights(node.operator, left.types), node)
        results = given(node.operator, left.types, right.types)
        if not results:
            hint = ": write whole numbers as decimals (1.0), or double(x)" if {left, right} == {INT, DOUBLE} else ""
            hint = hint or instant_hint(node.left, left, right, "timestamp")
            hint = hint or instant_hint(node.right, right, left, "timestamp")
            raise ConditionInvalid(node.offset, f"CEL has no {left.name} {node.operator} {right.name}{hint}")
        return Kind(results)

    def narrowed(self, node: Node, kind: Kind, types: frozenset[str], use: Node) -> Kind:
        """The kind of `node`, which `use` takes for one of `types`: of an open field, that is known from now on."""
        path = field_of(node)
        if path is None or not types & JSON.types:
            return kind
        return self.fields.narrow(path, types, use)

    def expect(self, node: Node, use: Node, wanted: frozenset[str], kind: Kind | None = None) -> Kind:
        """The kind of `node`, which `use` needs to be of one of these types, as far as it is known."""
        kind = self.narrowed(node, kind or self.kind(node), wanted, use)
        if kind == DOUBLE and "int" in wanted and "double" not in wanted:
            raise ConditionInvalid(node.offset, f"{describe(node)} is a decimal; a whole number is needed here")
        if not kind.types & wanted:
            raise ConditionInvalid(node.offset, f"{describe(node)} is {kind}; {Kind(wanted)} is needed here")
        return kind

    def common(self, kinds: list[Kind], node: Node, what: str) -> Kind:
        known = [kind for kind in kinds if kind != JSON]
        for kind in known[1:]:
            if not alike(known[0], kind):
                raise ConditionInvalid(node.offset, f"{what} mix {known[0]} and {kind}")
        return union(kinds)


KINDS: Mapping[type[Node], Callable[[Checker, Any], Kind | Facts]] = {
    Literal: Checker.literal,
    Name: Checker.name,
    Member: Checker.member,
    Has: Checker.has,
    Index: Checker.index,
    Call: Checker.call,
    Comprehension: Checker.comprehension,
    Unary: Checker.unary,
    Binary: Checker.binary,
    Conditional: Checker.conditional,
    ListOf: Checker.list_of,
    MapOf: Checker.map_of,
}


def element(kind: Kind) -> Kind:
    """What a comprehension goes through: a list's elements, a map's names."""
    if "map" not in kind.types:
        return kind.element or JSON
    return STRING if "list" not in kind.types else JSON


def instant_hint(operand: Node, one: Kind, other: Kind, function: str) -> str:
    """What to write where an operand from JSON, which has text for instants and durations, meets one of those."""
    if other in (TIMESTAMP, DURATION) and "string" in one.types and one != STRING:
        return f": write {function}({describe(operand)})"
    return ""


BY_NAME = frozenset({("request", "query"), ("request", "query_all"), ("request", "headers")})
# What indexes what.
KEYS: Mapping[str, str] = {"int": "list", "string": "map"}
NO_MEMBER: Mapping[str, str] = {"path": "the resource captures no", "lists": "gateway.yaml has no list"}
