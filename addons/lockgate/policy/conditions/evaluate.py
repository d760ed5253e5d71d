"""The value of a condition over a request's facts, strictly (law 2). Pure.

Where CEL is lenient this is not: what is missing, ambiguous, or of another type than it is compared with raises
Unevaluable, whichever operator stands around it. `&&` and `||` go from left to right and stop at a definite answer;
an error on the way is never hidden by the other side. Numbers are exact: whole numbers and decimals compare by value,
decimals are not rounded to doubles. Facts are looked up where they lie, so nothing is copied or bound beforehand.

A tree is compiled once, when rules are loaded: each part to a function of the evaluation that it is a part of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, DecimalException
from functools import lru_cache
from operator import eq
from typing import Any

from lockgate.errors import Unevaluable
from lockgate.model import Unreadable
from lockgate.policy.conditions.describe import describe
from lockgate.policy.conditions.evaluation import Evaluation
from lockgate.policy.conditions.fields import Check, field_of
from lockgate.policy.conditions.functions import FUNCTIONS, METHODS
from lockgate.policy.conditions.kinds import NUMBERS, element_of
from lockgate.policy.conditions.operators import ORDER, arithmetic, both_null, in_range, ordered, same
from lockgate.policy.conditions.regexes import Regex, compile_regex
from lockgate.policy.conditions.spellings import Once
from lockgate.policy.conditions.syntax import (
    Binary,
    Call,
    Comprehension,
    Conditional,
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
    reads,
)
from lockgate.policy.conditions.values import EXACT, exact, mismatch, other_spelling, told_apart, type_of, wrong_type
from lockgate.policy.folding import PathText, decoded, fold, spellings

Part = Callable[[Evaluation], Any]
Operator = Callable[[Evaluation, Binary, Any, Any], Any]
Program = Callable[[Mapping[str, Any], Evaluation], bool]
NamedLists = Mapping[str, tuple[str | int | Decimal, ...]]


def compiled(tree: Node, lists: NamedLists, checks: Mapping[Path, Check]) -> Program:
    """A checked condition as a function of the facts, which raises Unevaluable where there is no certain answer.

    `lists` are what it reads as `lists.NAME`; `checks` are what open fields must be of wherever it reads them.
    """
    whole = Compiler(lists, checks).part(tree)

    def holds(facts: Mapping[str, Any], at: Evaluation) -> bool:
        at.facts = facts
        try:
            value = whole(at)
        except (RecursionError, DecimalException, OverflowError) as error:
            raise Unevaluable("it is nested too deep, or a number is out of range") from error
        if not isinstance(value, bool):
            raise Unevaluable("the condition is neither true nor false")
        return value

    return holds


class Compiler:
    """Compiles the parts of one condition. `loop` is the comprehension whose body is being compiled."""

    def __init__(self, lists: NamedLists, checks: Mapping[Path, Check]) -> None:
        self.lists = lists
        self.checks = checks
        self.loop: Comprehension | None = None

    def part(self, node: Node) -> Part:
        part = COMPILE[type(node)](self, node)
        path = field_of(node)
        check = self.checks.get(path) if path is not None else None
        return part if check is None else checked(node, part, check)

    def of_type(self, node: Node, *types: str) -> Part:
        part = self.part(node)
        certain = certain_of(types)

        def run(at: Evaluation) -> Any:
            value = part(at)
            return value if type(value) in certain else typed(value, node, types)

        return run

    def literal(self, node: Literal) -> Part:
        return constant(node.value)

    def name(self, node: Name) -> Part:
        name = node.name

        def variable(at: Evaluation) -> Any:
            at.spend(1)
            return at.element

        def fact(at: Evaluation) -> Any:
            at.spend(1)
            try:
                value = at.facts[name]
            except KeyError:
                raise Unevaluable(f"{name} is not known here") from None
            if isinstance(value, Unreadable):
                raise Unevaluable(f"the {name} cannot be read: {value.reason}")
            return value

        return variable if self.loop is not None and name == self.loop.variable else fact

    def member(self, node: Member) -> Part:
        named = self.named_list(node)
        if named is not None:
            return constant(named)
        name, operand, lookup = node.field, self.of_type(node.operand, "map"), self.lookup(node)

        def run(at: Evaluation) -> Any:
            at.spend(1)
            return lookup(at, operand(at), name)

        return run

    def named_list(self, node: Node) -> tuple[str | int | Decimal, ...] | None:
        match node:
            case Member(operand=Name(name="lists"), field=name):
                return self.lists.get(name)
            case _:
                return None

    def lookup(self, node: Member | Index) -> Callable[[Evaluation, Mapping[str, Any], str], Any]:
        require_one_spelling = self.spelling_of(node.operand, lambda: member_name(node))
        of_request = self.stems_from(node.operand, "request")

        def run(at: Evaluation, found: Mapping[str, Any], name: str) -> Any:
            require_one_spelling(at, found, name)
            if of_request and isinstance(found, Once) and (times := found.times(name)) > 1:
                raise Unevaluable(f"{describe(node)} is given {times} times")
            try:
                return found[name]
            except KeyError:
                raise Unevaluable(f"{describe(node)} is missing") from None

        return run

    def has(self, node: Has) -> Part:
        name, operand = node.field, self.of_type(node.operand, "map")
        require_one_spelling = self.spelling_of(node.operand, lambda: member_name(node))

        def run(at: Evaluation) -> bool:
            at.spend(1)
            found = operand(at)
            require_one_spelling(at, found, name)
            return name in found

        return run

    def spelling_of(
        self, node: Node, member: Callable[[], str]
    ) -> Callable[[Evaluation, Mapping[str, Any], str], None]:
        """What raises Unevaluable where a target may read another member of what `node` gives than the one named.

        `member` is the member as messages show it: as the condition has it, for the name may be of the request.
        """
        of_body, of_request = self.stems_from(node, "body"), self.stems_from(node, "request")

        def require(at: Evaluation, found: Mapping[str, Any], name: str) -> None:
            # Go's encoding/json, for one, takes a member in any letter case, and the last one of several.
            if of_body and not at.has_one_spelling(found, name):
                raise Unevaluable(f"{describe(node)} has a member whose name differs in letter case only")
            parameters = at.parameters(found) if of_request else None
            if parameters is not None and not parameters.has_one_spelling(name):
                raise Unevaluable(f"{member()} is given in another spelling")

        return require

    def stems_from(self, node: Node, root: str) -> bool:
        names, loop = reads(node), self.loop
        return root in names or (loop is not None and loop.variable in names and root in reads(loop.operand))

    def index(self, node: Index) -> Part:
        operand, lookup = self.of_type(node.operand, "map", "list"), self.lookup(node)
        key = self.part(node.key)

        def run(at: Evaluation) -> Any:
            at.spend(1)
            found = operand(at)
            if isinstance(found, Mapping):
                return lookup(at, found, typed(key(at), node.key, ("string",)))
            place = typed(key(at), node.key, ("int",))
            if not 0 <= place < len(found):
                raise Unevaluable(f"{describe(node)} is missing")
            return found[place]

        return run

    def call(self, node: Call) -> Part:
        function = (METHODS if node.method else FUNCTIONS)[node.function]
        arguments = [self.of_type(part, *types) for part, types in zip(node.arguments, function.takes, strict=True)]
        if node.function == "matches":
            arguments[1] = constant(written_regex(node))

        def run(at: Evaluation) -> Any:
            at.spend(1)
            values = [argument(at) for argument in arguments]
            at.spend(function.cost(*values))
            return function.run(*values)

        return run

    def comprehension(self, node: Comprehension) -> Part:
        operand = self.of_type(node.operand, "list", "map")
        self.loop = node
        body = self.part(node.body)
        self.loop = None
        finish, gives_truth = COMPREHENSIONS[node.macro], node.macro != "map"
        elements = self.elements(node.operand)

        def each(at: Evaluation, element: Any) -> Any:
            at.element = element
            value = body(at)
            if gives_truth and not isinstance(value, bool):
                raise Unevaluable(f"what {node.macro}() asks of {node.variable} is neither true nor false")
            return value

        def run(at: Evaluation) -> Any:
            at.spend(1)
            return finish(elements(at, operand(at)), lambda element: each(at, element))

        return run

    def elements(self, node: Node) -> Callable[[Evaluation, Any], list[Any]]:
        """What a comprehension goes through: the elements of a list, the names of a map."""
        of_body = self.stems_from(node, "body")

        def run(at: Evaluation, found: Any) -> list[Any]:
            if not isinstance(found, Mapping):
                return list(found)
            if at.parameters(found) is not None:
                raise Unevaluable(f"{describe(node)} has names of several spellings: ask for one")
            return [PathText(name) for name in found] if of_body else list(found)

        return run

    def unary(self, node: Unary) -> Part:
        negates = node.operator == "!"
        operand = self.of_type(node.operand, "bool") if negates else self.of_type(node.operand, "int", "double")

        def run(at: Evaluation) -> Any:
            at.spend(1)
            return not operand(at) if negates else in_range(-operand(at))

        return run

    def conditional(self, node: Conditional) -> Part:
        test, then, otherwise = self.of_type(node.test, "bool"), self.part(node.then), self.part(node.otherwise)

        def run(at: Evaluation) -> Any:
            at.spend(1)
            return then(at) if test(at) else otherwise(at)

        return run

    def list_of(self, node: ListOf) -> Part:
        items = [self.part(item) for item in node.items]

        def run(at: Evaluation) -> list[Any]:
            at.spend(1)
            return [item(at) for item in items]

        return run

    def map_of(self, node: MapOf) -> Part:
        entries = [(self.of_type(key, "string"), self.part(value)) for key, value in node.entries]

        def run(at: Evaluation) -> dict[str, Any]:
            at.spend(1)
            found = [(key(at), value(at)) for key, value in entries]
            if len(dict(found)) != len(found):
                raise Unevaluable("a map has the same key twice")
            return dict(found)

        return run

    def binary(self, node: Binary) -> Part:
        if node.operator in ("&&", "||"):
            return self.logical(node)
        if node.operator == "in":
            named = self.named_list(node.right)
            return self.within(node) if named is None else self.within_named(node, named)
        left, right = self.part(node.left), self.part(node.right)
        if node.operator in ("==", "!="):
            equal = both_null if is_null(node.left) or is_null(node.right) else same
            return operation(node, left, right, equal if node.operator == "==" else negated(equal))
        return operation(node, left, right, ordered if node.operator in ORDER else arithmetic)

    def logical(self, node: Binary) -> Part:
        left, right = self.of_type(node.left, "bool"), self.of_type(node.right, "bool")
        decisive = node.operator == "||"

        def run(at: Evaluation) -> Any:
            at.spend(1)
            return decisive if left(at) is decisive else right(at)

        return run

    def within(self, node: Binary) -> Part:
        require_one_spelling = self.spelling_of(node.right, lambda: f"{describe(node.right)}[{describe(node.left)}]")

        def answer(at: Evaluation, node: Binary, left: Any, right: Any) -> bool:
            found = type_of(right, node.right)
            if found == "map":
                if not isinstance(left, str):
                    raise mismatch(node, type_of(left, node.left), "string")
                require_one_spelling(at, right, left)
                at.spend(4 * len(right) if isinstance(left, PathText) else 0)
                return left in right or any(told_apart(left, name, eq) for name in right if isinstance(left, PathText))
            if found != "list":
                raise wrong_type(node.right, found, "list", "map")
            if isinstance(left, PathText) and left in right and {type(element) for element in right} == {str}:
                return True
            answers = [same(at, node, left, element) for element in right]
            return True in answers

        return operation(node, self.part(node.left), self.part(node.right), answer)

    def within_named(self, node: Binary, named: tuple[str | int | Decimal, ...]) -> Part:
        """Whether a value is in a list of the rules: all text or all numbers, so one look-up by value answers."""
        left, members, kind = self.part(node.left), members_of(named), element_of(named)

        def run(at: Evaluation) -> bool:
            at.spend(3)
            value = left(at)
            found = type_of(value, node.left)
            if kind is None:  # the list is empty
                return False
            if found not in kind.types:
                raise mismatch(node, found, kind.name)
            if (
                isinstance(value, PathText)
                and value not in members
                and lax_members_of(named).intersection(spellings(value))
            ):
                raise other_spelling()
            return (exact(value) if found in NUMBERS else value) in members

        return run


def operation(node: Binary, left: Part, right: Part, answer: Operator) -> Part:
    def run(at: Evaluation) -> Any:
        at.spend(1)
        return answer(at, node, left(at), right(at))

    return run


def negated(answer: Operator) -> Operator:
    return lambda at, node, left, right: not answer(at, node, left, right)


def constant(value: Any) -> Part:
    def run(at: Evaluation) -> Any:
        at.spend(1)
        return value

    return run


def checked(node: Node, part: Part, check: Check) -> Part:
    """A field that is of its type wherever it is read, whatever is done with it there."""
    types = check.kind.types | ({"null"} if check.nullable else frozenset())
    element = check.kind.element

    def run(at: Evaluation) -> Any:
        value = part(at)
        found = type_of(value, node)
        if found not in types:
            raise wrong_type(node, found, check.kind.name)
        if element is not None and found == "list":
            at.spend(len(value))
            for each in value:
                if type_of(each, node) not in element.types:
                    raise Unevaluable(f"{describe(node)} has an element that is not of type {element.name}")
        return value

    return run


def typed(value: Any, node: Node, types: tuple[str, ...]) -> Any:
    """A value which `node` gives, numbers exact. Raises Unevaluable where it is of none of these types."""
    found = type_of(value, node)
    if found not in types:
        raise wrong_type(node, found, *types)
    return exact(value) if found in NUMBERS else value


@lru_cache
def certain_of(types: tuple[str, ...]) -> frozenset[type]:
    """The classes whose values are surely of one of these types: not numbers, for which more is asked."""
    return frozenset(each for each, name in EXACT.items() if name in types and name not in NUMBERS)


def member_name(node: Member | Has | Index) -> str:
    return describe(node) if isinstance(node, Index) else f"{describe(node.operand)}.{node.field}"


def written_regex(node: Call) -> Regex:
    """The pattern of a call of `matches`, which is known to be written out and valid."""
    match node.arguments[1]:
        case Literal(value=str(pattern)):
            return compile_regex(pattern)
        case _:
            raise Unevaluable("the pattern of matches() is not written out")


@lru_cache(maxsize=128)
def members_of(named: tuple[str | int | Decimal, ...]) -> frozenset[str | int | Decimal]:
    """The members for looking up: one set for all conditions that read a list, which may be long."""
    return frozenset(named)


@lru_cache(maxsize=128)
def lax_members_of(named: tuple[str | int | Decimal, ...]) -> frozenset[str]:
    """The members as the laxest target takes a part of a path."""
    return frozenset(fold(decoded(member)) for member in named if isinstance(member, str))


def is_null(node: Node) -> bool:
    return isinstance(node, Literal) and node.value is None


Asked = Callable[[Any], Any]

# What a comprehension makes of its elements. Where one answer suffices, the first ends it.
COMPREHENSIONS: Mapping[str, Callable[[list[Any], Asked], Any]] = {
    "all": lambda elements, holds: all(map(holds, elements)),
    "exists": lambda elements, holds: any(map(holds, elements)),
    "exists_one": lambda elements, holds: sum([holds(element) for element in elements]) == 1,
    "filter": lambda elements, holds: [element for element in elements if holds(element)],
    "map": lambda elements, value: [value(element) for element in elements],
}
COMPILE: Mapping[type[Node], Callable[[Compiler, Any], Part]] = {
    Literal: Compiler.literal,
    Name: Compiler.name,
    Member: Compiler.member,
    Has: Compiler.has,
    Index: Compiler.index,
    Call: Compiler.call,
    Comprehension: Compiler.comprehension,
    Unary: Compiler.unary,
    Binary: Compiler.binary,
    Conditional: Compiler.conditional,
    ListOf: Compiler.list_of,
    MapOf: Compiler.map_of,
}
