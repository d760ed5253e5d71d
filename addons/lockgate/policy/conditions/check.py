"""What can be known of a condition before any request: names, members, kinds. Pure.

Checks raise ConditionInvalid at the first thing that could never work or never be true, with what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from lockgate.errors import Unevaluable
from lockgate.policy.conditions import functions
from lockgate.policy.conditions.functions import FUNCTIONS, METHODS
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
    Unary,
    parts,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a value: a CEL type, or `dyn` where it shows at run time only.

    `element` is the kind of a list's elements and a map's values. A `facts` kind has declared `members` and is no
    value by itself.
    """

    name: str
    element: Kind | None = None
    members: Mapping[str, Kind] = field(default_factory=dict)

    def __str__(self) -> str:
        return {"bool": "true or false", "string": "text", "int": "a number", "double": "a number"}.get(
            self.name, f"a {self.name}"
        )

    @property
    def family(self) -> str:
        """What it can be compared within: whole and decimal numbers compare by value."""
        return "number" if self.name in ("int", "double") else self.name


DYN = Kind("dyn")
BOOL = Kind("bool")
STRING = Kind("string")
TIMESTAMP = Kind("timestamp")
NULL = Kind("null")


def list_of(element: Kind) -> Kind:
    return Kind("list", element)


def map_of(element: Kind) -> Kind:
    return Kind("map", element)


def http_facts(captures: Iterable[str]) -> Kind:
    """What conditions may read of an HTTP request whose pattern has these captures."""
    principal = {"issuer": STRING, "subject": STRING, "roles": list_of(STRING), "claims": map_of(DYN)}
    request = {
        "method": STRING,
        "host": STRING,
        "path": STRING,
        "query": map_of(STRING),
        "query_all": map_of(list_of(STRING)),
        "headers": map_of(STRING),
    }
    return Kind(
        "facts",
        members={
            "principal": Kind("facts", members=principal),
            "request": Kind("facts", members=request),
            "path": Kind("facts", members=dict.fromkeys(captures, STRING)),
            "body": DYN,
            "now": TIMESTAMP,
        },
    )


# Facts of protocols that this rule cannot be about.
ELSEWHERE = frozenset({"graphql", "rpc", "tool", "sql", "ssh"})


def check(tree: Node, facts: Kind) -> None:
    """Raises ConditionInvalid unless `tree` can be evaluated over `facts` and is true or false."""
    kind = Checker(facts).kind(tree)
    if kind.name not in ("bool", "dyn"):
        raise ConditionInvalid(tree.offset, f"the condition is {kind}, not true or false: compare it with something")


def reads(tree: Node, root: str) -> bool:
    """Whether `tree` reads the fact `root`. No variable can have its name."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, Name) and node.name == root:
            return True
        pending += parts(node)
    return False


def suggestion(wrong: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = get_close_matches(wrong, names, 1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known here: {', '.join(names)}" if names else "there are none here"


class Checker:
    def __init__(self, facts: Kind) -> None:
        self.facts = facts
        self.variables: dict[str, Kind] = {}

    def kind(self, node: Node) -> Kind:
        """The kind of `node`, which must be a value."""
        found = self.any_kind(node)
        if found.name == "facts":
            names = ", ".join(sorted(found.members)) or "none here"
            raise ConditionInvalid(node.offset, f"{describe(node)} is no value: name one of its members ({names})")
        return found

    def any_kind(self, node: Node) -> Kind:
        match node:
            case Literal():
                return self.literal(node)
            case Name():
                return self.name(node)
            case Member():
                return self.member(node, node.operand, node.field)
            case Has():
                return self.has(node)
            case Index():
                return self.index(node)
            case Call():
                return self.call(node)
            case Comprehension():
                return self.comprehension(node)
            case Unary():
                return self.unary(node)
            case Binary():
                return self.binary(node)
            case _:
                return self.composed(node)

    def composed(self, node: Node) -> Kind:
        match node:
            case Conditional():
                self.expect(node.test, "bool")
                return self.common([self.kind(node.then), self.kind(node.otherwise)], node, "the two outcomes")
            case ListOf():
                return list_of(self.common([self.kind(item) for item in node.items], node, "the elements"))
            case MapOf():
                for key, _ in node.entries:
                    self.expect(key, "string")
                for _, value in node.entries:
                    self.kind(value)
                return map_of(DYN)
            case _:
                raise ConditionInvalid(node.offset, "this cannot stand in a condition")

    def literal(self, node: Literal) -> Kind:
        value = node.value
        if value is None:
            return NULL
        if isinstance(value, bool):
            return BOOL
        if isinstance(value, str):
            return STRING
        if isinstance(value, int):
            return Kind("int")
        return Kind("double")

    def name(self, node: Name) -> Kind:
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

    def member(self, node: Node, operand: Node, name: str) -> Kind:
        of = self.any_kind(operand)
        if of.name == "facts":
            if name in of.members:
                return of.members[name]
            what = "the resource captures no" if describe(operand) == "path" else f"{describe(operand)} has no"
            raise ConditionInvalid(node.offset, f"{what} {name}: {suggestion(name, of.members)}")
        if of.name == "map":
            self.header(operand, name, node)
            return of.element or DYN
        if of.name == "dyn":
            return DYN
        raise ConditionInvalid(node.offset, f"{describe(operand)} is {of} and has no members")

    def header(self, operand: Node, name: str, node: Node) -> None:
        if describe(operand) == "request.headers" and name != name.lower():
            raise ConditionInvalid(node.offset, f"header names are in lower case here: write {name.lower()}")

    def has(self, node: Has) -> Kind:
        if self.any_kind(node.operand).name == "facts":
            self.member(node, node.operand, node.field)
            raise ConditionInvalid(node.offset, f"{describe(node.operand)}.{node.field} is always there: drop has()")
        self.member(node, node.operand, node.field)
        return BOOL

    def index(self, node: Index) -> Kind:
        of = self.any_kind(node.operand)
        key = self.kind(node.key)
        if of.name == "facts":
            raise ConditionInvalid(node.offset, f"name the member: {describe(node.operand)}.NAME")
        if of.name == "list":
            self.expect(node.key, "int", key)
        elif of.name == "map":
            self.expect(node.key, "string", key)
            if isinstance(node.key, Literal) and isinstance(node.key.value, str):
                self.header(node.operand, node.key.value, node.key)
        elif of.name == "dyn":
            self.expect(node.key, "int|string", key)
        else:
            raise ConditionInvalid(node.offset, f"{describe(node.operand)} is {of} and has no elements")
        return of.element or DYN

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
        for argument, kinds in zip(node.arguments, function.takes, strict=True):
            self.expect(argument, "|".join(kinds))
        self.constants(node)
        return Kind(function.gives)

    def constants(self, node: Call) -> None:
        """Texts with a syntax of their own are checked now; a regular expression must be one of them."""
        last = node.arguments[-1]
        written = last.value if isinstance(last, Literal) else None
        if node.function == "matches":
            if not isinstance(written, str):
                raise ConditionInvalid(last.offset, "the pattern of matches() must be written out here, as text")
            try:
                functions.matches("", written)
            except Unevaluable:
                raise ConditionInvalid(
                    last.offset, "not a regular expression of RE2 syntax, which has no lookaround and no backreferences"
                ) from None
        elif node.function in ("timestamp", "duration") and isinstance(written, str):
            try:
                FUNCTIONS[node.function].run(written)
            except Unevaluable as error:
                raise ConditionInvalid(last.offset, str(error)) from None

    def comprehension(self, node: Comprehension) -> Kind:
        of = self.kind(node.operand)
        if of.name not in ("list", "map", "dyn"):
            raise ConditionInvalid(node.offset, f"{node.macro} goes through a list; {describe(node.operand)} is {of}")
        if node.variable in self.facts.members or node.variable in self.variables:
            raise ConditionInvalid(node.offset, f"{node.variable} has a meaning already: use another name")
        if self.variables:
            raise ConditionInvalid(node.offset, "a comprehension within another is not taken: it could run for minutes")
        self.variables[node.variable] = STRING if of.name == "map" else (of.element or DYN)
        try:
            if node.macro == "map":
                return list_of(self.kind(node.body))
            self.expect(node.body, "bool")
        finally:
            del self.variables[node.variable]
        if node.macro == "filter":
            return list_of(STRING if of.name == "map" else (of.element or DYN))
        return BOOL

    def unary(self, node: Unary) -> Kind:
        return self.expect(node.operand, "bool" if node.operator == "!" else "int|double")

    def binary(self, node: Binary) -> Kind:
        if node.operator in ("&&", "||"):
            self.expect(node.left, "bool")
            self.expect(node.right, "bool")
            return BOOL
        left, right = self.kind(node.left), self.kind(node.right)
        if node.operator in ("==", "!="):
            self.equality(node, left, right)
            return BOOL
        if node.operator == "in":
            self.membership(node, left, right)
            return BOOL
        if node.operator in ("<", "<=", ">", ">="):
            for operand, kind in ((node.left, left), (node.right, right)):
                self.expect(operand, "bool|double|duration|int|string|timestamp", kind)
            self.comparable(node, left, right)
            return BOOL
        return self.arithmetic(node, left, right)

    def equality(self, node: Binary, left: Kind, right: Kind) -> None:
        if NULL in (left, right):
            other = right if left == NULL else left
            if other.name not in ("dyn", "null"):
                operand = node.right if left == NULL else node.left
                raise ConditionInvalid(node.offset, f"{describe(operand)} is {other} and never null")
            return
        self.comparable(node, left, right)

    def comparable(self, node: Node, left: Kind, right: Kind) -> None:
        if not alike(left, right):
            raise ConditionInvalid(node.offset, f"compares {left} with {right}, which are never alike")

    def membership(self, node: Binary, left: Kind, right: Kind) -> None:
        if right.name == "map":
            self.expect(node.left, "string", left)
            written = node.left.value if isinstance(node.left, Literal) else None
            if isinstance(written, str):
                self.header(node.right, written, node.left)
        elif right.name == "list":
            self.comparable(node, left, right.element or DYN)
        elif right.name == "string":
            raise ConditionInvalid(node.offset, "in looks into lists and objects: for text write text.contains(part)")
        elif right.name != "dyn":
            raise ConditionInvalid(node.offset, f"in looks into lists and objects, not into {right}")

    def arithmetic(self, node: Binary, left: Kind, right: Kind) -> Kind:
        if "dyn" in (left.name, right.name):
            return DYN
        result = ARITHMETIC.get((node.operator, left.name, right.name))
        if result is None:
            mixed = {left.name, right.name} == {"int", "double"}
            hint = ": write whole numbers as decimals (1.0), or double(x)" if mixed else ""
            raise ConditionInvalid(node.offset, f"CEL has no {left.name} {node.operator} {right.name}{hint}")
        return left if result == "list" else Kind(result)

    def expect(self, node: Node, names: str, kind: Kind | None = None) -> Kind:
        """The kind of `node`, which must be one of `names` as far as it is known."""
        kind = kind or self.kind(node)
        if kind.name == "dyn" or kind.name in names.split("|"):
            return kind
        wanted = " or ".join(dict.fromkeys(str(Kind(name)) for name in names.split("|")))
        raise ConditionInvalid(node.offset, f"{describe(node)} is {kind}; {wanted} is needed here")

    def common(self, kinds: list[Kind], node: Node, what: str) -> Kind:
        known = [kind for kind in kinds if kind.name != "dyn"]
        for kind in known[1:]:
            if not alike(known[0], kind):
                raise ConditionInvalid(node.offset, f"{what} mix {known[0]} and {kind}")
        return known[0] if known and all(kind == known[0] for kind in kinds) else DYN


def alike(left: Kind, right: Kind) -> bool:
    """Whether values of these kinds can be compared at all, as far as is known."""
    if "dyn" in (left.name, right.name):
        return True
    if left.family != right.family:
        return False
    return left.element is None or right.element is None or alike(left.element, right.element)


ARITHMETIC: Mapping[tuple[str, str, str], str] = {
    **{(operator, "int", "int"): "int" for operator in "+-*/%"},
    **{(operator, "double", "double"): "double" for operator in "+-*/"},
    ("+", "string", "string"): "string",
    ("+", "list", "list"): "list",
    ("+", "timestamp", "duration"): "timestamp",
    ("+", "duration", "timestamp"): "timestamp",
    ("+", "duration", "duration"): "duration",
    ("-", "timestamp", "duration"): "timestamp",
    ("-", "timestamp", "timestamp"): "duration",
    ("-", "duration", "duration"): "duration",
}


def describe(node: Node) -> str:
    """A part of a condition as its author wrote it, shortened."""
    match node:
        case Name():
            return node.name
        case Member():
            return f"{describe(node.operand)}.{node.field}"
        case Index():
            key = describe(node.key)
            return f"{describe(node.operand)}[{key}]"
        case Literal() if isinstance(node.value, str):
            return f'"{node.value}"'
        case Literal():
            return "null" if node.value is None else str(node.value).lower()
        case Call() if node.method:
            return f"{describe(node.arguments[0])}.{node.function}(...)"
        case Call():
            return f"{node.function}(...)"
        case _:
            return "this part"
