"""The parser: what tree a text is, and what every wrong text is told."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    parse,
    reads,
)


def sketch(node: Node) -> str:
    """A tree on one line, fully bracketed."""
    match node:
        case Literal() | Name():
            return node.name if isinstance(node, Name) else repr(node.value)
        case Member():
            return f"{sketch(node.operand)}.{node.field}"
        case Has():
            return f"has({sketch(node.operand)}.{node.field})"
        case Index():
            return f"{sketch(node.operand)}[{sketch(node.key)}]"
        case Call():
            return f"{'.' if node.method else ''}{node.function}({', '.join(map(sketch, node.arguments))})"
        case Comprehension():
            return f"{sketch(node.operand)}.{node.macro}({node.variable}: {sketch(node.body)})"
        case Unary():
            return f"({node.operator}{sketch(node.operand)})"
        case Binary():
            return f"({sketch(node.left)} {node.operator} {sketch(node.right)})"
        case Conditional():
            return f"({sketch(node.test)} ? {sketch(node.then)} : {sketch(node.otherwise)})"
        case ListOf():
            return f"[{', '.join(map(sketch, node.items))}]"
        case MapOf():
            return "{" + ", ".join(f"{sketch(key)}: {sketch(value)}" for key, value in node.entries) + "}"
    raise AssertionError(node)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        pytest.param("a || b && c == d + e * -f", "(a || (b && (c == (d + (e * (-f))))))", id="precedence"),
        pytest.param("a - b - c", "((a - b) - c)", id="left-associative"),
        pytest.param("a ? b : c ? d : e", "(a ? b : (c ? d : e))", id="conditional"),
        pytest.param("(a || b) && c", "((a || b) && c)", id="brackets"),
        pytest.param("!a.b[0].c", "(!a.b[0].c)", id="members-bind-closest"),
        pytest.param("!!a", "(!(!a))", id="two-nots"),
        pytest.param("a in [1, 2,]", "(a in [1, 2])", id="trailing-comma"),
        pytest.param('{"a": 1, "b": [x]}', "{'a': 1, 'b': [x]}", id="map"),
        pytest.param("has(a.b.c)", "has(a.b.c)", id="has"),
        pytest.param("a.b.exists(x, x > 1)", "a.b.exists(x: (x > 1))", id="macro"),
        pytest.param("size(a) == a.size()", "(size(a) == .size(a))", id="function-and-method"),
        pytest.param("a // all of it\n&& b", "(a && b)", id="comment"),
        pytest.param("-9223372036854775808", "-9223372036854775808", id="smallest-integer"),
        pytest.param("0x1F", "31", id="hexadecimal"),
        pytest.param(
            "[1.5, .5, 1e3, 2.5e-1]",
            f"[{Decimal('1.5')!r}, {Decimal('.5')!r}, {Decimal('1e3')!r}, {Decimal('2.5e-1')!r}]",
            id="decimals",
        ),
        pytest.param(r"""'a\'b' + "c\n\x41\u00e9\U0001F600\101\\" """, r"""("a'b" + 'c\nAé😀A\\')""", id="escapes"),
        pytest.param(r"r'a\d' + R\"b\"".replace('\\"', '"'), r"('a\\d' + 'b')", id="raw"),
        pytest.param('"""a"b\nc"""', "'a\"b\\nc'", id="three-quotes"),
        pytest.param("[true, false, null]", "[True, False, None]", id="words"),
        pytest.param("a.b.contains(c) in d", "(.contains(a.b, c) in d)", id="method-before-in"),
    ],
)
def test_tree(text: str, tree: str) -> None:
    assert sketch(parse(text)) == tree


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        pytest.param("", 0, "a value is missing at the end", id="empty"),
        pytest.param("a b", 2, "an operator is missing before 'b'", id="two-values"),
        pytest.param("a == ", 5, "a value is missing at the end", id="half-a-comparison"),
        pytest.param("(a", 2, ") is missing at the end", id="open-bracket"),
        pytest.param("a = b", 2, "= compares nothing: write ==", id="single-equals"),
        pytest.param("a & b", 2, "& is no operator: write &&", id="single-ampersand"),
        pytest.param("a == 'b", 5, "a text is never closed", id="open-text"),
        pytest.param("a == ~b", 5, "'~' means nothing here", id="unknown-character"),
        pytest.param(
            "a == 5u", 5, "a number ends in letters: unsigned and grouped numbers are not taken", id="unsigned"
        ),
        pytest.param("a == 007", 5, "a number starts with 0: leave the 0 out", id="leading-zero"),
        pytest.param('a == b"x"', 5, "texts with the prefix b are not taken", id="bytes"),
        pytest.param("package == 1", 0, "package is a reserved word of CEL", id="reserved"),
        pytest.param("a.?b", 2, "a member's name is missing before '?'", id="optional-member"),
        pytest.param("a. == b", 3, "a member's name is missing before '=='", id="no-member"),
        pytest.param("has(a)", 0, 'has takes one member: has(body.x); for other names "x" in body', id="has-of-a-name"),
        pytest.param("a.all(x)", 1, "all takes a name and an expression: list.all(x, x > 1)", id="macro-of-one"),
        pytest.param("a.map(x, y, z)", 1, "map takes a name and an expression: list.map(x, x > 1)", id="map-of-three"),
        pytest.param("!-a", 1, "! and - do not mix", id="mixed-signs"),
        pytest.param(r"a == '\q'", 5, r"a text has an unknown escape: write \\ for one backslash", id="unknown-escape"),
        pytest.param(r"a == '\ud800'", 5, r"a text has an unknown escape: write \\ for one backslash", id="surrogate"),
        pytest.param("(" * 60 + "a" + ")" * 60, 40, "more than 40 things are open: split the rule", id="deep"),
        pytest.param(
            " && ".join(["a"] * 200), 0, "the condition is nested more than 120 deep: split the rule", id="chain"
        ),
        pytest.param("a" * 9000, 0, "the condition is longer than 8192 characters: split the rule", id="long"),
    ],
)
def test_what_a_wrong_text_is_told(text: str, offset: int, message: str) -> None:
    with pytest.raises(ConditionInvalid) as caught:
        parse(text)
    assert (caught.value.offset, caught.value.message) == (offset, message)


@pytest.mark.parametrize(
    ("refused", "offset", "message"),
    [
        pytest.param("a + b)", 5, "not CEL: Syntax error: extraneous input ')' expecting <EOF>", id="one-line"),
        pytest.param("a &&\n\n  b c", 14, "not CEL: Syntax error: extraneous input 'c' expecting <EOF>", id="lines"),
        pytest.param("'ERROR'", 0, "not CEL: the cel package refuses it", id="nothing-said"),
    ],
)
def test_what_the_cel_package_alone_refuses(
    monkeypatch: pytest.MonkeyPatch, refused: str, offset: int, message: str
) -> None:
    """No text is known that our parser takes and the package does not: what it says of another one stands in."""

    def refuse(_: str, compiled: Callable[[str], object] = cel.compile) -> None:
        compiled(refused)
        raise RuntimeError("no place is named")

    monkeypatch.setattr(cel, "compile", refuse)
    with pytest.raises(ConditionInvalid) as caught:
        parse("body.aaa\n\n == 1")
    assert (caught.value.offset, caught.value.message) == (offset, message)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("body.a == 1", {"body"}, id="plain"),
        pytest.param("request.method == 'body'", {"request"}, id="as-text"),
        pytest.param("principal.claims.body == 1", {"principal"}, id="as-member"),
        pytest.param("has(body.a)", {"body"}, id="in-has"),
        pytest.param("principal.roles.exists(r, r in body.roles)", {"principal", "body", "r"}, id="in-macro"),
        pytest.param("[1, {'a': body}] == []", {"body"}, id="deep"),
        pytest.param("true", set(), id="nothing"),
    ],
)
def test_what_is_read(text: str, expected: set[str]) -> None:
    assert reads(parse(text)) == expected


LEAVES = st.sampled_from(
    ["a", "b.c", "1", "2.5", "'x'", "true", "null", "has(a.b)", "size(a)", "a['k']", "[1, a]", "{'k': 1}"]
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||", "==", "<", "in", "+", "%"]), inner),
        st.builds("{} {} {}".format, inner, st.sampled_from(["&&", "||", "!=", ">=", "-", "*"]), inner),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("({}).exists(x, {})".format, inner, inner),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_what_cel_takes_we_take(text: str) -> None:
    cel.compile(text)
    assert isinstance(parse(text), Node)


@given(st.text(alphabet="ab1.()[]{}'\"!&|=<> ,?:-\\\n", max_size=20))
def test_any_text_is_a_tree_or_a_clear_error(text: str) -> None:
    try:
        found: Node | ConditionInvalid = parse(text)
    except ConditionInvalid as error:
        found = error
    assert 0 <= found.offset <= len(text)
    if isinstance(found, Node):
        cel.compile(text)
