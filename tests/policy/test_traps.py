"""What YAML trips authors up with: each slip is told at its place, with what to write. More are in test_load.py."""

from __future__ import annotations

import pytest

from lockgate.errors import RulesInvalid
from lockgate.policy.documents import read

QUOTE = "put the whole value in quotes"
BELOW = "write it on the lines below a |"
ANCHOR = f"YAML reads a leading & as an anchor, which rules do not have: {QUOTE}"
ALIAS = f"YAML reads a leading * as an alias, which rules do not have: {QUOTE}"
REFERENCE = f"not YAML: YAML reads a leading * or & as a reference: {QUOTE}"
TAG = f"YAML reads a leading ! as a tag, which rules do not have: {QUOTE}"
DIRECTIVE = "a leading % is a YAML directive, which rules do not have: leave the line out"
DOCUMENTS = "not YAML: a rules file is one document: leave --- out"
COMMENT = f"YAML reads ' #' as the start of a comment: {QUOTE}, or a space behind the #"
COMMENT_IN_QUOTES = f"YAML reads ' #' as the start of a comment, even within a quoted part: {BELOW}"
COLON = "a key ends with a colon and a space: put a space behind the colon"
WIDE_COLON = "not YAML: this is a full-width colon, which YAML takes for text: write a plain colon and a space"
DASH = f"a list item begins with a dash and a space: put a space behind the dash, or {QUOTE}"
CURLY = f"a curly quote is text to YAML: write \" or ' for it, or {QUOTE}"
SPACE = "a space that is not plain is text to YAML: write a plain one"
TABS = "not YAML: indent with spaces, not tabs"
INDENT = f"not YAML: mend the indentation; or, where a value starts with a quote, {BELOW}"
MIXED = "not YAML: a list and a mapping do not mix: mend the indentation"
VALUE = f"not YAML: a colon and a space begin a value: {QUOTE}, or mend the indentation"
BLOCK = f"not YAML: a leading | or > begins a block of text: {QUOTE}"
STRAY = "not YAML: a line in a mapping is key: value; indent it more where it goes on from the line above"
UNCLOSED = "not YAML: this quote is never closed"
CLOSED_LATE = "not YAML: this quote is closed further down only: close it on its own line"
BEHIND_QUOTE = f"not YAML: a value that starts with a quote ends with it: {BELOW}"
BEHIND_BRACKET = f"not YAML: a value that starts with [ or {{ ends with ] or }}: {QUOTE}, or {BELOW}"
WITHIN_BRACKETS = "not YAML: within [ ] and { }, put every value that has { } [ ] or a comma in quotes"
NOTHING = "not YAML: a value is missing, or a bracket or comma is one too many or too few"
ESCAPE = "not YAML: within double quotes a backslash begins an escape: write two, or put the value in single quotes"
OUTERMOST = "not YAML: this belongs to nothing above: begin all outermost keys in the first column"

TRAPS = [
    # First characters.
    pytest.param("deny: *x crm\n", f"1:7: {ALIAS}", id="alias"),
    pytest.param("*x : crm\n", f"1:1: {ALIAS}", id="alias-as-key"),
    pytest.param("deny: **/x crm\n", f"1:8: {REFERENCE}", id="two-stars"),
    pytest.param("a: &b [c]\n", f"1:4: {ANCHOR}", id="anchored-list"),
    pytest.param("&b c: d\n", f"1:1: {ANCHOR}", id="anchored-key"),
    pytest.param("when: && b\n", f"1:8: {REFERENCE}", id="and"),
    pytest.param("when: !has(body.x)\n", f"1:7: {TAG}", id="not"),
    pytest.param("when: !body[0]\n", f"1:7: not YAML: {TAG}", id="not-with-index"),
    pytest.param("when: !a!b c\n", f"1:7: not YAML: {TAG}", id="tag-handle"),
    pytest.param("when: ! {a: b}\n", f"1:7: {TAG}", id="tagged-mapping"),
    pytest.param("a: `x`\n", f"1:4: not YAML: a value cannot start with `: {QUOTE}", id="backtick"),
    pytest.param("b:c: @x\n", f"1:6: not YAML: a value cannot start with @: {QUOTE}", id="at-behind-key-with-colon"),
    pytest.param("a: %x\n", f"1:4: not YAML: a value cannot start with %: {QUOTE}", id="percent"),
    pytest.param("a: b\n%x y\n", f"2:1: not YAML: {DIRECTIVE}", id="percent-first-in-line"),
    pytest.param("# x\n\n%FOO x\n---\na: b\n", f"3:1: {DIRECTIVE}", id="unknown-directive"),
    pytest.param("deny: |x crm\n", f"1:8: {BLOCK}", id="bar"),
    pytest.param("when: |0\n x\n", f"1:8: {BLOCK}", id="bar-and-nought"),
    pytest.param("when: >= 5\n", f"1:8: {BLOCK}", id="greater"),
    pytest.param("when: ? x\n", f"1:7: not YAML: a leading ? begins a key: {QUOTE}", id="question-mark"),
    pytest.param(
        "allow: - GET crm /x\n",
        f"1:8: not YAML: a leading - begins a list, on a line of its own: {QUOTE}",
        id="dash-in-line",
    ),
    pytest.param("when: [1, 2].exists(x, x == 1)\n", f"1:13: {BEHIND_BRACKET}", id="bracket"),
    pytest.param("when: {a: 1} == body\n", f"1:14: {BEHIND_BRACKET}", id="brace"),
    pytest.param(",a\n", f"1:1: {NOTHING}", id="comma"),
    pytest.param("when: “Note: x”\n", f"1:7: {CURLY}", id="curly-quotes"),
    pytest.param("when: ‘x’\n", f"1:7: {CURLY}", id="single-curly-quotes"),
    # Spaces, tabs and what nobody sees.
    pytest.param("a: b\nc:\u00a0d\ne: f\n", f"2:3: not YAML: {SPACE}", id="no-break-space-behind-colon"),
    pytest.param("c:\u00a0d\ne: f\n", f"1:3: not YAML: {SPACE}", id="no-break-space-in-first-line"),
    pytest.param("a:\n\u00a0 b: c\n", f"2:1: {SPACE}", id="no-break-space-for-indentation"),
    pytest.param("rules:\n  - id:\u00a0x\n    allow: y\n", f"2:8: not YAML: {SPACE}", id="no-break-space-in-item"),
    pytest.param("a:\n  -\u00a0b\n  - c\n", f"2:3: {DASH}", id="no-break-space-behind-dash"),
    pytest.param("a: \u3000b\n", f"1:4: {SPACE}", id="ideographic-space"),
    pytest.param("rules:\n  - id: a\n\tallow: x\n", f"3:1: {TABS}", id="tab-for-indentation"),
    pytest.param("rules:\n  -\tid: a\n    allow: x\n", f"2:4: {TABS}", id="tab-behind-dash"),
    pytest.param("a: |\n\tx\n", f"2:1: {TABS}", id="tab-in-block"),
    pytest.param("a: \ufeffb\n", "1:4: an invisible character (U+FEFF): remove it", id="byte-order-mark-inside"),
    pytest.param("a: b\u2028c: d\n", "1:5: an invisible character (U+2028): remove it", id="line-separator"),
    pytest.param("a: b # \u202ex\n", "1:8: an invisible character (U+202E): remove it", id="reordered-text"),
    # Colons and dashes.
    pytest.param("- id: r\n  allow:GET crm /x\n  when: a\n", f"2:9: not YAML: {COLON}", id="tight-colon"),
    pytest.param("- id: r\n  allow:GET crm /x\n", f"2:9: not YAML: {COLON}", id="tight-colon-in-last-line"),
    pytest.param("role:support\nrules: []\n", f"1:6: not YAML: {COLON}", id="tight-colon-in-first-line"),
    pytest.param("rules:\n  - id:x\n    allow: y\n", f"2:8: not YAML: {COLON}", id="tight-colon-in-item"),
    pytest.param('- id: r\n  "allow":x\n  when: a\n', f"2:11: not YAML: {COLON}", id="tight-colon-behind-quotes"),
    pytest.param("{id: r, allow:GET crm /x}\n", f"1:15: {COLON}", id="tight-colon-in-braces"),
    pytest.param("x: y\nrole：support\nz: y\n", f"2:5: {WIDE_COLON}", id="full-width-colon"),
    pytest.param("- id: r\n  allow：GET crm /x\n  when: a\n", f"2:8: {WIDE_COLON}", id="full-width-colon-in-item"),
    pytest.param("a: b: c\n", f"1:5: {VALUE}", id="colon-inside"),
    pytest.param("a: b c:\n", f"1:7: {VALUE}", id="colon-at-the-end"),
    pytest.param("d:e: f: g\n", f"1:7: {VALUE}", id="colon-inside-behind-key-with-colon"),
    pytest.param("- a\n- d:e f: g: h\n", f"2:11: {VALUE}", id="colon-inside-in-item"),
    pytest.param(
        "{when: a?b:[c]}\n",
        "1:11: not YAML: within [ ] and { } a colon before a bracket or comma ends a key:"
        " put the whole value in quotes",
        id="colon-before-bracket",
    ),
    pytest.param("rules:\n  -id: x\n   allow: y\n", f"2:3: {DASH}", id="tight-dash"),
    pytest.param("rules:\n  - id: x\n  -id: y\n", f"3:3: not YAML: {DASH}", id="tight-dash-later"),
    pytest.param("rules:\n  - id: x\n  - id: y\n  -id: z\n", f"4:3: not YAML: {DASH}", id="tight-dash-further-down"),
    pytest.param("allow:\n  -GET crm /x\n  -GET crm /y\n", f"2:3: {DASH}", id="tight-dashes"),
    # Comments.
    pytest.param("a: b #c\n", f"1:6: {COMMENT}", id="tight-comment"),
    pytest.param("a: b #c\n  d\n", f"1:6: {COMMENT}", id="text-behind-comment"),
    pytest.param('when: body.note == "a # b"\n', f"1:23: {COMMENT_IN_QUOTES}", id="comment-in-quotes"),
    pytest.param("when: body.note == 'a # b'\n", f"1:23: {COMMENT_IN_QUOTES}", id="comment-in-single-quotes"),
    # Quotes and brackets.
    pytest.param('a: "b\nc: d\n', f"1:4: {UNCLOSED}", id="unclosed-quote"),
    pytest.param('a: "b\n---\nc"\n', f"1:4: {UNCLOSED}", id="unclosed-quote-before-document"),
    pytest.param('a: "b\nc: "d"\n', f"1:4: {CLOSED_LATE}", id="quote-closed-by-the-next"),
    pytest.param('- "GET" crm /x\n', f"1:9: {BEHIND_QUOTE}", id="text-behind-quote"),
    pytest.param('["a" b]\n', f"1:6: {BEHIND_QUOTE}", id="text-behind-quote-in-brackets"),
    pytest.param("- 'a'\n  b\n", f"2:3: {MIXED}", id="text-below-quote"),
    pytest.param("- [a]\n  b\n", f"2:3: {MIXED}", id="text-below-bracket"),
    pytest.param("reason: 'don't do this'\n", f"1:14: {INDENT}", id="apostrophe-in-quotes"),
    pytest.param('a: "\\d+"\n', f"1:5: {ESCAPE}", id="backslash"),
    pytest.param('a: "\\xg"\n', f"1:7: {ESCAPE}", id="half-an-escape"),
    pytest.param("{a: GET crm /v1/{id}, b: x}\n", f"1:17: {WITHIN_BRACKETS}", id="brace-in-braces"),
    pytest.param("[a, , b]\n", f"1:5: {NOTHING}", id="two-commas"),
    pytest.param(
        "extends: [a, b\nrules:\n  - id: x\n",
        f"2:6: {WITHIN_BRACKETS}; the bracket of line 1 is still open",
        id="unclosed-bracket",
    ),
    pytest.param("a: [b]]\n", f"1:7: {BEHIND_BRACKET}", id="bracket-too-many"),
    # Indentation.
    pytest.param("  a: b\nc: d\n", f"2:1: {OUTERMOST}", id="first-key-indented"),
    pytest.param("rules:\n  - id: a\n   allow: x\n", f"3:4: {MIXED}", id="one-space-too-few"),
    pytest.param("rules:\n  - id: a\n     allow: x\n", f"3:11: {VALUE}", id="one-space-too-many"),
    pytest.param("rules:\n  - id: a\n - id: b\n", f"3:2: {INDENT}", id="item-one-space-too-few"),
    pytest.param("a: b\nsome text\nc: d\n", f"2:1: {STRAY}", id="text-without-key"),
    pytest.param("when: |\nbody.a == 1\n", f"2:1: {STRAY}", id="block-not-indented"),
    pytest.param("a: b\n- c\n", f"2:1: {INDENT}", id="item-behind-key"),
    pytest.param("- a\nb: c\n", f"2:1: {MIXED}", id="key-behind-item"),
    # Keys and documents.
    pytest.param("a: b\na: c\n", "2:1: the same key stands at line 1 already: remove one", id="duplicate-key"),
    pytest.param("a: b\n'a': c\n", "2:1: the same key stands at line 1 already: remove one", id="duplicate-in-quotes"),
    pytest.param(
        "<<: {a: b}\n", "1:1: merge keys (<<) are not taken: write the keys out, or use extends", id="merge-key"
    ),
    pytest.param("? [a]\n: b\n", "1:3: a key is one word or quoted text, not a list or mapping", id="list-as-key"),
    pytest.param("a: b\n---\nc: d\n", f"2:1: {DOCUMENTS}", id="two-documents"),
    pytest.param("a: b\n--- c\n", f"2:1: {DOCUMENTS}", id="second-document-in-line"),
]


@pytest.mark.parametrize(("text", "expected"), TRAPS)
def test_what_a_slip_is_told(text: str, expected: str) -> None:
    with pytest.raises(RulesInvalid) as caught:
        read("f.yaml", text.encode())
    assert [str(problem).removeprefix("f.yaml:") for problem in caught.value.problems] == [expected]


@pytest.mark.parametrize("text", [case.values[0] for case in TRAPS])
def test_line_ends_do_not_matter(text: str) -> None:
    """As Windows and old Macintoshes write them, none behind the last line, and with a mark of byte order in front."""
    places = set()
    others = (text.replace("\n", "\r\n"), text.replace("\n", "\r"), text.removesuffix("\n"), f"\ufeff{text}")
    for written in (text, *others):
        with pytest.raises(RulesInvalid) as caught:
            read("f.yaml", written.encode())
        places.add(str(caught.value))
    assert len(places) == 1


def test_slips_stand_beside_each_other() -> None:
    with pytest.raises(RulesInvalid) as caught:
        read("f.yaml", b"a: !x\nb: *y\nc: 1\nc: 2\nd:\n  e: f #g\n\nh: [")
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [
        (1, 4),
        (2, 4),
        (4, 1),
        (6, 8),
        (8, 5),
    ]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        pytest.param("a: b # c\n", {"a": "b"}, id="comment"),
        pytest.param("a: don't  # c\n", {"a": "don't"}, id="comment-behind-apostrophe"),
        pytest.param('a: b == "c" # d\n', {"a": 'b == "c"'}, id="comment-behind-quotes"),
        pytest.param('a: the "x"\'s turn # c\n', {"a": 'the "x"\'s turn'}, id="comment-behind-a-quoted-genitive"),
        pytest.param("a: b#c\n", {"a": "b#c"}, id="no-comment"),
        pytest.param("a: -5\n", {"a": "-5"}, id="negative-number"),
        pytest.param("a: --- b\n", {"a": "--- b"}, id="dashes"),
        pytest.param("a: b “c” d\u00a0e\n", {"a": "b “c” d\u00a0e"}, id="typography-inside"),
        pytest.param('a: "“b”"\n', {"a": "“b”"}, id="quoted-curly-quotes"),
        pytest.param("a: http://b:1\n", {"a": "http://b:1"}, id="colons"),
        pytest.param("a: [b:c, {d:e: f}]\n", {"a": ["b:c", {"d:e": "f"}]}, id="colons-in-brackets"),
        pytest.param("--- # x\na: b\n...\n", {"a": "b"}, id="one-document"),
        pytest.param("'<<': a\n", {"<<": "a"}, id="quoted-merge-key"),
        pytest.param("a:\tb\n", {"a": "b"}, id="tab-behind-colon"),
        pytest.param("'%a': b\n", {"%a": "b"}, id="percent-in-quotes"),
        pytest.param("|\n  %a\n", "%a\n", id="percent-in-block"),
    ],
)
def test_what_is_no_slip(text: str, data: object) -> None:
    assert read("f.yaml", text.encode()).data == data
