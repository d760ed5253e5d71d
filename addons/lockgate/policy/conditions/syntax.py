"""CEL text to a frozen tree (https://github.com/google/cel-spec, langdef). Pure.

The `cel` package evaluates, but shows no tree, and its `==`, `in`, `&&` and `||` hide what law 2 makes a denial. So
conditions are parsed here and evaluated by our own evaluator. `cel` stays the authority on the syntax: what it refuses
is refused. A few things of CEL are left out, each with a message: unsigned numbers, bytes, messages, `.name` from root.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from types import ModuleType
from typing import Any, TypeGuard

# `cel` imports its own command line with it, and so a terminal's whole toolkit: a quarter of a second at every start.
sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
import cel  # noqa: E402

INT64 = range(-(2**63), 2**63)
MAX_LENGTH = 8192  # characters
MAX_DIGITS = 1000  # of a whole number: Python reads 4,300 at most
TOO_LARGE = "the number does not fit 64 bits: write it as a decimal (1.0)"
MAX_PARENTHESES = 40  # `cel` and this parser recurse
MAX_DEPTH = 120  # of the tree: the evaluator recurses


class ConditionInvalid(ValueError):
    """Raised when a condition, or a type declared for one, cannot be taken.

    `offset` counts characters from the start of the text. `path` says which text of a rule it is: `("when",)`,
    `("unless",)`, or `("types", key)` for a declared type; empty where it is not known.
    """

    def __init__(self, offset: int, message: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message
        self.path = path


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a condition; `offset` is where its operator or first character stands in the text.

    Parts that say the same in two places are equal.
    """

    offset: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: str | int | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Access(Node):
    """Something within `operand`. `path` are the names that lead to it, where all of them are written out."""

    operand: Node
    path: Path | None = field(init=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Member(Access):
    field: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", path_below(self.operand, self.field))


@dataclass(frozen=True, slots=True)
class Index(Access):
    key: Node

    def __post_init__(self) -> None:
        name = self.key.value if isinstance(self.key, Literal) else None
        object.__setattr__(self, "path", path_below(self.operand, name) if isinstance(name, str) else None)


@dataclass(frozen=True, slots=True)
class Has(Node):
    """`has(operand.field)`."""

    operand: Node
    field: str


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`function(arguments)`, and `operand.function(arguments)` with the operand as first argument."""

    function: str
    arguments: tuple[Node, ...]
    method: bool


@dataclass(frozen=True, slots=True)
class Comprehension(Node):
    """`operand.all(variable, body)` and its like."""

    macro: str
    operand: Node
    variable: str
    body: Node


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    test: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf(Node):
    entries: tuple[tuple[Node, Node], ...]


def constant_path(node: Node) -> Path | None:
    """The names that lead to `node` where all of them are written out: `body.a` and `body["a"]` alike."""
    if isinstance(node, Access):
        return node.path
    return (node.name,) if isinstance(node, Name) else None


def path_below(node: Node, name: str) -> Path | None:
    above = constant_path(node)
    return None if above is None else (*above, name)


MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})
RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "namespace"}
    | {"package", "return", "var", "void", "while"}
)
# Loosest first. Each level is left-associative.
LEVELS = (("||",), ("&&",), ("==", "!=", "<", "<=", ">", ">=", "in"), ("+", "-"), ("*", "/", "%"))
LEVEL: Mapping[str, int] = {operator: level for level, operators in enumerate(LEVELS) for operator in operators}

TOKEN = re.compile(
    r"""
      (?P<space>   [ \t\r\n\f]+ | //[^\n]* )
    | (?P<text>    [rR]? (?: \"\"\" (?:[^\\]|\\.)*? \"\"\" | ''' (?:[^\\]|\\.)*? '''
                           | " (?:[^"\\\r\n]|\\.)* " | ' (?:[^'\\\r\n]|\\.)* ' ) )
    | (?P<float>   (?: [0-9]+ \. [0-9]+ | \. [0-9]+ ) (?:[eE][+-]?[0-9]+)? | [0-9]+ [eE][+-]?[0-9]+ )
    | (?P<int>     0[xX][0-9a-fA-F]+ | [0-9]+ )
    | (?P<name>    [A-Za-z_][A-Za-z0-9_]* )
    | (?P<symbol>  \|\| | && | == | != | <= | >= | [][(){}.,:?<>+*/%!-] )
    | (?P<wrong>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"} | {c: c for c in "\\?\"'`"}
ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|)"
)


@dataclass(slots=True)  # not frozen, which takes three times as long to make
class Token:
    """A word or sign as it is written: a text has its quotes, so nothing else looks like a symbol or `in`."""

    kind: str
    text: str
    offset: int


def parse(text: str) -> Node:
    """The tree of a condition. Raises ConditionInvalid with the place and what to write instead."""
    if len(text) > MAX_LENGTH:
        raise ConditionInvalid(0, f"the condition is longer than {MAX_LENGTH} characters: split the rule")
    found = list(tokens(text))
    tree = Parser(found).whole()
    if len(found) > MAX_DEPTH and depth(tree) > MAX_DEPTH:  # each node has a token of its own
        raise ConditionInvalid(0, f"the condition is nested more than {MAX_DEPTH} deep: split the rule")
    try:
        cel.compile(text)
    except (ValueError, RuntimeError) as error:
        offset, message = cel_complaint(text, str(error))
        raise ConditionInvalid(offset, f"not CEL: {message}") from error
    return tree


def cel_complaint(text: str, error: str) -> tuple[int, str]:
    found = re.search(r"ERROR: <input>:(\d+):(\d+): (.*)", error)
    if found is None:
        return 0, "the cel package refuses it"
    lines = text.split("\n")[: int(found[1]) - 1]
    return sum(len(line) + 1 for line in lines) + int(found[2]) - 1, found[3]


def depth(tree: Node) -> int:
    deepest, pending = 0, [(tree, 1)]
    while pending:
        node, level = pending.pop()
        deepest = max(deepest, level)
        pending += [(child, level + 1) for child in parts(node)]
    return deepest


def walk(tree: Node) -> list[Node]:
    """`tree` and every node below it, those of one level after those above."""
    found = [tree]
    for node in found:  # which grows meanwhile
        found += parts(node)
    return found


def reads(tree: Node) -> frozenset[str]:
    """The names that `tree` reads: of facts, for no variable can have the name of one, and of variables."""
    path = constant_path(tree)
    return names(walk(tree)) if path is None else frozenset(path[:1])


def names(nodes: Iterable[Node]) -> frozenset[str]:
    return frozenset([node.name for node in nodes if isinstance(node, Name)])


def parts(node: Node) -> tuple[Node, ...]:
    """The nodes directly below `node`."""
    below = PARTS.get(type(node))
    return below(node) if below is not None else ()


PARTS: Mapping[type[Node], Callable[[Any], tuple[Node, ...]]] = {
    Member: lambda node: (node.operand,),
    Has: lambda node: (node.operand,),
    Unary: lambda node: (node.operand,),
    Index: lambda node: (node.operand, node.key),
    Call: lambda node: node.arguments,
    Comprehension: lambda node: (node.operand, node.body),
    Binary: lambda node: (node.left, node.right),
    Conditional: lambda node: (node.test, node.then, node.otherwise),
    ListOf: lambda node: node.items,
    MapOf: lambda node: tuple(part for entry in node.entries for part in entry),
}


def tokens(text: str) -> Iterator[Token]:
    for found in TOKEN.finditer(text):
        kind = found.lastgroup or ""
        if kind == "wrong":
            raise ConditionInvalid(found.start(), unexpected(text[found.start() :]))
        if kind != "space":
            yield Token(kind, found[0], found.start())
    yield Token("end", "", len(text))


def unexpected(rest: str) -> str:
    if rest[0] in "\"'":
        return "a text is never closed"
    if rest[0] == "=":
        return "= compares nothing: write =="
    if rest[0] in "&|":
        return f"{rest[0]} is no operator: write {rest[0] * 2}"
    return f"{rest[0]!r} means nothing here"


class Parser:
    """Recursive descent over the grammar of the CEL specification."""

    def __init__(self, found: list[Token]) -> None:
        self.rest = iter(found)
        self.token = next(self.rest)
        self.open = 0

    def advance(self) -> Token:
        """The current token, passed over unless it is the end."""
        token, self.token = self.token, next(self.rest, self.token)
        return token

    def take(self, symbol: str) -> Token | None:
        """The current token, passed over, where it is this symbol."""
        return self.advance() if self.token.text == symbol else None

    def need(self, symbol: str) -> Token:
        token = self.take(symbol)
        if token is None:
            raise self.stuck(f"{symbol} is missing")
        return token

    def stuck(self, what: str, token: Token | None = None) -> ConditionInvalid:
        """What is wrong before `token`, the current one if none is given."""
        token = token or self.token
        where = f"before {token.text!r}" if token.kind != "end" else "at the end"
        return ConditionInvalid(token.offset, f"{what} {where}")

    def whole(self) -> Node:
        tree = self.expression()
        if self.token.kind != "end":
            raise self.stuck("an operator is missing")
        return tree

    def expression(self) -> Node:
        self.open += 1
        if self.open > MAX_PARENTHESES:
            raise ConditionInvalid(self.token.offset, f"more than {MAX_PARENTHESES} things are open: split the rule")
        node = self.binary(0)
        mark = self.take("?")
        if mark:
            then = self.binary(0)
            self.need(":")
            node = Conditional(mark.offset, node, then, self.expression())
        self.open -= 1
        return node

    def binary(self, loosest: int) -> Node:
        """Operands and the operators between them that bind as tight as those of level `loosest`, or tighter."""
        node = self.unary()
        while (level := LEVEL.get(self.token.text, -1)) >= loosest:
            operator = self.advance()
            node = Binary(operator.offset, operator.text, node, self.binary(level + 1))
        return node

    def unary(self) -> Node:
        signs: list[Token] = []
        while self.token.text in ("!", "-"):
            if signs and signs[-1].text != self.token.text:
                raise ConditionInvalid(self.token.offset, "! and - do not mix")
            signs.append(self.advance())
        node = self.member()
        if signs and signs[-1].text == "-" and isinstance(node, Literal) and is_number(node.value):
            node = Literal(signs.pop().offset, -node.value)
        if isinstance(node, Literal) and isinstance(node.value, int) and node.value not in INT64:
            raise ConditionInvalid(node.offset, TOO_LARGE)
        for sign in reversed(signs):
            node = Unary(sign.offset, sign.text, node)
        return node

    def member(self) -> Node:
        node = self.primary()
        while self.token.text in (".", "["):
            mark = self.advance()
            if mark.text == "[":
                node = Index(mark.offset, node, self.expression())
                self.need("]")
                continue
            if self.token.kind != "name" or self.token.text in ("true", "false", "null", "in"):
                raise self.stuck("a member's name is missing")
            field = self.advance().text
            node = self.method(node, mark, field) if self.take("(") else Member(mark.offset, node, field)
        if self.token.text == "{" and isinstance(node, (Name, Member)):
            raise self.stuck("messages (name{...}) are not taken: compare their members one by one;")
        return node

    def method(self, operand: Node, dot: Token, name: str) -> Node:
        arguments = self.arguments(")")
        if name not in MACROS:
            return Call(dot.offset, name, (operand, *arguments), method=True)
        if len(arguments) != 2 or not isinstance(arguments[0], Name):
            raise ConditionInvalid(dot.offset, f"{name} takes a name and an expression: list.{name}(x, x > 1)")
        return Comprehension(dot.offset, name, operand, arguments[0].name, arguments[1])

    def arguments(self, closing: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self.take(closing):
            if found:
                self.need(",")
                if closing == "]" and self.take(closing):
                    break
            found.append(self.expression())
        return tuple(found)

    def primary(self) -> Node:
        token = self.advance()
        match token.kind, token.text:
            case "text", _:
                return Literal(token.offset, unquoted(token))
            case "int" | "float", _:
                return self.number(token)
            case "name", "true" | "false":
                return Literal(token.offset, token.text == "true")
            case "name", "null":
                return Literal(token.offset, None)
            case "name", word if word != "in":
                return self.name(token)
            case "symbol", "(":
                node = self.expression()
                self.need(")")
                return node
            case "symbol", "[":
                return ListOf(token.offset, self.arguments("]"))
            case "symbol", "{":
                return self.mapping(token)
            case _:
                raise self.stuck("a value is missing", token)

    def number(self, token: Token) -> Literal:
        if self.token.kind == "name" and self.token.offset == token.offset + len(token.text):
            raise ConditionInvalid(token.offset, "a number ends in letters: unsigned and grouped numbers are not taken")
        if token.kind == "float":
            try:
                return Literal(token.offset, Decimal(token.text))
            except InvalidOperation:  # an exponent past what even decimals have
                raise ConditionInvalid(token.offset, "no double holds the number") from None
        if token.text[0] == "0" and token.text.isdigit() and token.text != "0":
            raise ConditionInvalid(token.offset, "a number starts with 0: leave the 0 out")
        if len(token.text) > MAX_DIGITS:
            raise ConditionInvalid(token.offset, TOO_LARGE)
        return Literal(token.offset, int(token.text, 0))

    def name(self, token: Token) -> Node:
        if token.text in RESERVED:
            raise ConditionInvalid(token.offset, f"{token.text} is a reserved word of CEL")
        if self.token.kind == "text" and self.token.offset == token.offset + len(token.text):
            raise ConditionInvalid(token.offset, f"texts with the prefix {token.text} are not taken")
        if not self.take("("):
            return Name(token.offset, token.text)
        arguments = self.arguments(")")
        if token.text != "has":
            return Call(token.offset, token.text, arguments, method=False)
        if len(arguments) != 1 or not isinstance(arguments[0], Member):
            raise ConditionInvalid(token.offset, 'has takes one member: has(body.x); for other names "x" in body')
        return Has(token.offset, arguments[0].operand, arguments[0].field)

    def mapping(self, token: Token) -> Node:
        entries: list[tuple[Node, Node]] = []
        while not self.take("}"):
            if entries:
                self.need(",")
                if self.take("}"):
                    break
            key = self.expression()
            self.need(":")
            entries.append((key, self.expression()))
        return MapOf(token.offset, tuple(entries))


def is_number(value: object) -> TypeGuard[int | Decimal]:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def unquoted(token: Token) -> str:
    """The text that a quoted literal stands for."""
    raw = token.text[0] in "rR"
    quoted = token.text[1:] if raw else token.text
    width = 3 if quoted[:3] in ('"""', "'''") else 1
    inner = quoted[width:-width]
    if raw or "\\" not in inner:
        return inner

    def character(escape: re.Match[str]) -> str:
        simple, byte, short, long, octal = escape.groups()
        if simple:
            return ESCAPES[simple]
        code = int(byte or short or long or "-1", 16) if octal is None else int(octal, 8)
        if not 0 <= code <= 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ConditionInvalid(token.offset, "a text has an unknown escape: write \\\\ for one backslash")
        return chr(code)

    return ESCAPE.sub(character, inner)
