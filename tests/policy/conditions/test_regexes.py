"""Regular expressions of conditions: what they find, what is refused, and what they cost."""

from __future__ import annotations

import time

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import Unevaluable
from lockgate.policy.conditions.regexes import MAX_PATTERN, MAX_TEXT, RegexInvalid, compile_regex
from lockgate.policy.folding import PathText


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        pytest.param("abc", "b", True, id="anywhere"),
        pytest.param("abc", "^b", False, id="start"),
        pytest.param("a\n", "a$", False, id="end-is-the-end"),
        pytest.param("a\u00e9", "^..$", True, id="characters-not-bytes"),
        pytest.param("a\nb", "a.b", False, id="dot-stops-at-a-line"),
        pytest.param("\u00e9", r"^\w$", False, id="word-characters-are-ascii"),
        pytest.param("A", "a", False, id="letter-case"),
        pytest.param("A", "(?i)a", True, id="any-letter-case"),
        pytest.param("x" * 255, r"^\w{1,255}$", True, id="counted"),
        pytest.param("", "", True, id="empty"),
        pytest.param("a\0b", "a.b", True, id="nul"),
    ],
)
def test_found(text: str, pattern: str, expected: bool) -> None:
    assert compile_regex(pattern).found_in(text) is expected


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        pytest.param("(?=a)", "RE2 syntax, which has no lookaround", id="lookahead"),
        pytest.param(r"(a)\1", "RE2 syntax, which has no .* backreferences$", id="backreference"),
        pytest.param("(", r"RE2 syntax: missing \): \($", id="open"),
        pytest.param("a{2,1}", "or n is above m", id="upside-down"),
        pytest.param("a{1001}", r"a count {n,m} of the pattern is above 1000", id="count"),
        pytest.param("(a{1000}){1000}", "above 1000, alone or multiplied", id="counts-multiplied"),
        pytest.param(
            r"(\pL{100}){5}", "^the pattern is too large: counts {n,m} within counts multiply", id="large-class"
        ),
        pytest.param("a" * (MAX_PATTERN + 1), f"at most {MAX_PATTERN} characters", id="long"),
        pytest.param("\ud800", "^the pattern has half of a surrogate pair", id="no-character"),
    ],
)
def test_refused(pattern: str, why: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RegexInvalid, match=why):
        compile_regex(pattern)
    assert capfd.readouterr() == ("", "")  # RE2 would print the pattern


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("a" * (MAX_TEXT + 1), f"looks through {MAX_TEXT} characters at most", id="long"),
        pytest.param("\ud800", r"^matches\(\) was given a text that is no Unicode", id="half-a-character"),
        pytest.param(PathText("CEO"), "in another spelling", id="letter-case-of-the-path"),
        pytest.param(PathText("c%65o"), "in another spelling", id="encoded-in-the-path"),
        pytest.param(PathText("ceo/"), "in another spelling", id="slash-of-the-path"),
    ],
)
def test_no_certain_answer(text: str, why: str) -> None:
    with pytest.raises(Unevaluable, match=why):
        compile_regex("^ceo$").found_in(text)


@pytest.mark.parametrize("pattern", ["^CEO$", "^[A-Z]eo$", r"^\x43EO$", "C.O"])
def test_a_pattern_in_capitals_has_no_certain_answer_about_a_path_in_small_letters(pattern: str) -> None:
    """A deny that names what a path says in other letters must not let it past."""
    with pytest.raises(Unevaluable, match="in another spelling"):
        compile_regex(pattern).found_in(PathText("ceo"))
    assert not compile_regex(pattern).found_in("ceo")


def test_text_of_the_path() -> None:
    regex = compile_regex("^ceo$")
    assert regex.found_in(PathText("ceo")) and not regex.found_in(PathText("cfo"))


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        pytest.param("a" * MAX_TEXT, "^(a+)+$!", id="nested-repetition"),
        pytest.param("a" * MAX_TEXT, r"\w{1,64}@", id="counted"),
        pytest.param("a" * MAX_TEXT, "(a{1,100}){1,10}$!", id="the-worst"),
        pytest.param("ab" * (MAX_TEXT // 2), "(a|b)*a(a|b){900}!", id="more-states-than-memory"),
    ],
)
def test_the_cost_is_that_of_the_slowest_way(text: str, pattern: str) -> None:
    """A step is about a microsecond; the generous bound is for slow machines. Only what a condition may take is run."""
    regex = compile_regex(pattern)
    text = text[: 100_000 * 100 // regex.size]
    started = time.process_time()
    regex.found_in(text)
    assert time.process_time() - started < 5e-6 * regex.cost(text)


def test_what_is_too_long_costs_nothing() -> None:
    assert compile_regex("a").cost("a" * (MAX_TEXT + 1)) == 1
    assert compile_regex("a").cost("a" * MAX_TEXT) > 1000


def test_text_beyond_ascii_costs_more_as_it_has_more_bytes() -> None:
    regex = compile_regex("(a|b){100}c")
    assert 3 * regex.cost("a" * 1000) < regex.cost("\u00e9" * 1000)


def test_text_of_the_path_costs_more() -> None:
    assert compile_regex("abc").cost(PathText("a" * 1000)) > 2 * compile_regex("abc").cost("a" * 1000)


def test_a_pattern_is_compiled_once() -> None:
    assert compile_regex("^abc$") is compile_regex("^abc$")


# `cel` runs Rust's regex crate: another engine, with one syntax where classes are ASCII's.
PATTERNS = st.recursive(
    st.sampled_from(["a", "b", "A", "-", ".", "[ab]", "[^a]", "[a-c]", r"\.", "^", "$", "(?i:a)"]),
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("(?:{}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "*?"])),
    ),
    max_leaves=6,
)
MATCHES = cel.compile("text.matches(pattern)")


@given(PATTERNS, st.text("abcA-.\n\u00e9", max_size=8))
def test_cel_agrees(pattern: str, text: str) -> None:
    assert MATCHES.execute({"text": text, "pattern": pattern}) is compile_regex(pattern).found_in(text)
