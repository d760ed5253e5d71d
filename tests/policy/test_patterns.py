"""Resource patterns: a table of what fits, and a naive matcher to agree with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.actions.http import canonical_path
from lockgate.errors import RequestUnreadable
from lockgate.policy.patterns import Resource, covers, fit, parse


@pytest.mark.parametrize(
    ("pattern", "path", "captures"),
    [
        pytest.param("/v1/x", "/v1/x", {}, id="written-out"),
        pytest.param("/v1/x", "/v1/X", None, id="case"),
        pytest.param("/v1/x", "/v1/x/", None, id="trailing-slash"),
        pytest.param("/v1/x/", "/v1/x/", {}, id="written-slash"),
        pytest.param("/v1/x/", "/v1/x", None, id="no-slash"),
        pytest.param("/v1/x", "/v1/x/y", None, id="longer"),
        pytest.param("/v1/x", "/v1", None, id="shorter"),
        pytest.param("/", "/", {}, id="root"),
        pytest.param("/", "/a", None, id="not-root"),
        pytest.param("/v1/*", "/v1/a", {}, id="star"),
        pytest.param("/v1/*", "/v1/", None, id="star-is-never-empty"),
        pytest.param("/v1/*", "/v1", None, id="star-is-a-part"),
        pytest.param("/v1/*", "/v1/a/b", None, id="star-is-one-part"),
        pytest.param("/v1/*/x", "/v1/a/x", {}, id="star-between"),
        pytest.param("/f/report-*.csv", "/f/report-2030.csv", {}, id="star-within"),
        pytest.param("/f/report-*.csv", "/f/report-.csv", {}, id="empty-run-within"),
        pytest.param("/f/report-*.csv", "/f/report-a/b.csv", None, id="run-stays-in-its-part"),
        pytest.param("/f/a*a", "/f/a", None, id="ends-do-not-overlap"),
        pytest.param("/f/a*b*c", "/f/aXbYbZc", {}, id="two-runs"),
        pytest.param("/f/a*b*c", "/f/acb", None, id="order-of-runs"),
        pytest.param("/f/a*b*c", "/f/ac", None, id="missing-between-runs"),
        pytest.param("/f/a*bc*c", "/f/abc", None, id="what-is-between-stays-off-the-end"),
        pytest.param("/f/a*ab*", "/f/ab", None, id="what-is-between-stays-off-the-start"),
        pytest.param("/f/a*b*b*c", "/f/abc", None, id="each-piece-has-its-own-place"),
        pytest.param("/f/a*b*b*c", "/f/abbc", {}, id="pieces-beside-each-other"),
        pytest.param("/f/a*b*c*d", "/f/abcbd", {}, id="pieces-as-early-as-can-be"),
        pytest.param("/f/*a*", "/f/bab", {}, id="open-ends"),
        pytest.param("/f/*a*", "/f/ab", {}, id="nothing-before-a-run"),
        pytest.param("/f/*a*", "/f/bb", None, id="open-ends-around-what-is-missing"),
        pytest.param("/v1/**", "/v1", None, id="two-stars-not-the-parent"),
        pytest.param("/v1/**", "/v1/", {}, id="two-stars-with-slash"),
        pytest.param("/v1/**", "/v1/a", {}, id="two-stars-one-part"),
        pytest.param("/v1/**", "/v1/a/b/", {}, id="two-stars-many-parts"),
        pytest.param("/v1/**", "/v10/a", None, id="two-stars-whole-parts"),
        pytest.param("/**", "/", {}, id="everything-root"),
        pytest.param("/**", "/a/b", {}, id="everything"),
        pytest.param("/v1/**/export", "/v1/export", {}, id="zero-parts-between"),
        pytest.param("/v1/**/export", "/v1/a/b/export", {}, id="parts-between"),
        pytest.param("/v1/**/export", "/v1/a/export/b", None, id="not-the-end"),
        pytest.param("/v1/**/export", "/v1/export/export", {}, id="takes-the-last"),
        pytest.param("/**/a/**/b", "/x/a/a/y/b", {}, id="two-stars-twice"),
        pytest.param("/**/a/**/b", "/x/b/a", None, id="two-stars-in-order"),
        pytest.param("/c/{id}", "/c/7", {"id": "7"}, id="capture"),
        pytest.param("/c/{id}", "/c/", None, id="capture-is-never-empty"),
        pytest.param("/c/{id}/o/{order}", "/c/7/o/8", {"id": "7", "order": "8"}, id="two-captures"),
        pytest.param("/c/{id}", "/c/a%20b", {"id": "a b"}, id="capture-is-decoded"),
        pytest.param("/c/**/{id}/x", "/c/1/2/3/x", {"id": "3"}, id="capture-behind-two-stars"),
        pytest.param("/c/%20", "/c/%20", {}, id="escape"),
        pytest.param("/c/*", "/c/**", {}, id="stars-in-a-path-are-text"),
    ],
)
def test_exact(pattern: str, path: str, captures: dict[str, str] | None) -> None:
    assert parse(pattern).match(Resource(path)) == captures


@pytest.mark.parametrize(
    ("pattern", "path", "captures"),
    [
        pytest.param("/Admin/x", "/aDMIN/X", {}, id="case"),
        pytest.param("/admin", "/admin/", {}, id="trailing-slash"),
        pytest.param("/admin/", "/admin", {}, id="no-trailing-slash"),
        pytest.param("/admin", "/admin/x", None, id="not-below"),
        pytest.param("/a!b", "/a%21b", {}, id="encoded-in-the-path"),
        pytest.param("/a%21b", "/a!b", {}, id="encoded-in-the-pattern"),
        pytest.param("/%C3%89", "/%C3%A9", {}, id="case-of-encoded-letters"),
        pytest.param("/%FF*", "/%FF", {}, id="not-utf-8"),
        pytest.param("/admin", "/adm%C4%B1n", {}, id="dotless-i"),
        pytest.param("/admin", "/ADM%C4%B0N", {}, id="dotted-capital-i"),
        pytest.param("/keys", "/%E2%84%AAeys", {}, id="kelvin-sign"),
        pytest.param("/keys", "/%EF%BD%8Beys", {}, id="full-width-letter"),
        pytest.param("/stra%C3%9Fe", "/STRASSE", {}, id="sharp-s"),
        pytest.param("/c/{id}", "/C/Ab/", {"id": "Ab"}, id="captures-keep-their-case"),
        pytest.param("/v1/**", "/V1/A", {}, id="two-stars"),
        pytest.param("/v1/**", "/v1", {}, id="two-stars-and-the-folder-itself"),
        pytest.param("/v1/*/**", "/v1", None, id="star-and-two-stars-not-the-folder"),
        pytest.param("/v1/*/**", "/v1/", None, id="star-and-two-stars-not-the-folder-with-slash"),
        pytest.param("/v1/{id}/**", "/v1/Ab", {"id": "Ab"}, id="capture-before-two-stars"),
        pytest.param("/v1/*", "/v1/a/", {}, id="star-with-slash"),
        pytest.param("/v1/*", "/v1/", None, id="star-is-never-empty"),
        pytest.param("/v1/**/Export", "/v1/a/EXPORT/", {}, id="all-of-it"),
        pytest.param("/f/*.CSV", "/f/a.csv", {}, id="within-a-part"),
        pytest.param("/", "/", {}, id="root"),
        pytest.param("/", "/a", None, id="not-root"),
    ],
)
def test_loose(pattern: str, path: str, captures: dict[str, str] | None) -> None:
    assert parse(pattern).match_loosely(Resource(path)) == captures


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        pytest.param("v1/x", "a resource starts with /: write /v1/x", id="no-slash"),
        pytest.param("/a?b=c", "the query is never part of a resource: compare request.query in when:", id="query"),
        pytest.param("/a#b", "the query is never part of a resource: compare request.query in when:", id="fragment"),
        pytest.param("/a//b", "an empty part (//) matches no path: write one /", id="empty-part"),
        pytest.param("/a/../b", "a . or .. part never reaches a rule: paths that have one are refused", id="dots"),
        pytest.param("/a/**b", "** is a whole part: write * for characters within a part", id="two-stars-within"),
        pytest.param("/a/**/**", "** beside ** says nothing more: write one **", id="two-stars-twice"),
        pytest.param("/a/{id", "a capture is a whole part with a plain name: /{id}/", id="open-brace"),
        pytest.param("/a/x{id}", "a capture is a whole part with a plain name: /{id}/", id="capture-within"),
        pytest.param("/a/{a-b}", "a capture is a whole part with a plain name: /{id}/", id="capture-name"),
        pytest.param("/a" * 257, "no path has more than 256 parts: such requests are refused", id="many-parts"),
        pytest.param(
            "/**/a" * 6, "a resource has at most 20 *, and 5 **: cut it short with one **", id="many-double-stars"
        ),
        pytest.param(
            "/" + "a*" * 21, "a resource has at most 20 *, and 5 **: cut it short with one **", id="many-stars"
        ),
        pytest.param("/{a}/{a}", "the same name is captured twice: name them apart", id="captured-twice"),
        pytest.param(
            "/**/{a}/**",
            "with more than one ** it is not certain what is captured: use one ** or no {name}",
            id="uncertain-capture",
        ),
        pytest.param(
            "/a/%7e",
            "a part has letters, digits and -._~!$&'()*+,=:@ only: percent-encode other characters in capitals (%20)",
            id="small-escape",
        ),
        pytest.param("/a/%7E", "write ~ for %7E: that is how paths are compared", id="needless-escape"),
        pytest.param("/a/%2541", "no path is percent-encoded twice: such requests are refused", id="double-encoding"),
        pytest.param(
            "/a/%FF",
            "no path has escapes of control characters, or of what is not UTF-8: such requests are refused",
            id="not-utf-8",
        ),
        pytest.param(
            "/a/%C2%85",
            "no path has escapes of control characters, or of what is not UTF-8: such requests are refused",
            id="control-character",
        ),
        pytest.param("/a/%0A", "no path has %0A: such requests are refused", id="line-end"),
        pytest.param("/a/%7F", "no path has %7F: such requests are refused", id="delete"),
        pytest.param("/a/%5C", "no path has %5C: such requests are refused", id="backslash"),
        pytest.param("/a/%3B", "no path has %3B: such requests are refused", id="encoded-semicolon"),
        pytest.param("/a/%2F", "no path has %2F: such requests are refused", id="encoded-slash"),
        pytest.param(
            "/a/é",
            "a part has letters, digits and -._~!$&'()*+,=:@ only: percent-encode other characters in capitals (%20)",
            id="not-ascii",
        ),
        pytest.param(
            "/a;b",
            "a part has letters, digits and -._~!$&'()*+,=:@ only: percent-encode other characters in capitals (%20)",
            id="semicolon",
        ),
    ],
)
def test_wrong_patterns(pattern: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(pattern)
    assert str(caught.value) == message


def test_the_longest_pattern() -> None:
    longest = "/" + "a" * 2047
    assert parse(longest).match(Resource(longest)) == {}
    with pytest.raises(ValueError, match=r"^a resource has at most 2048 characters: cut it short with \*\*$"):
        parse(longest + "a")


def naive(parts: Sequence[str], given: Sequence[str]) -> bool:
    """The definition, by trying everything."""
    if not parts:
        return not given
    first, *rest = parts
    if first == "**":
        fewest = 1 if not rest else 0
        return any(naive(rest, given[taken:]) for taken in range(fewest, len(given) + 1))
    return bool(given) and naive_part(first, given[0]) and naive(rest, given[1:])


def naive_part(pattern: str, part: str) -> bool:
    return part != "" if pattern == "*" else naive_run(pattern, part)


def naive_run(pattern: str, part: str) -> bool:
    if not pattern:
        return not part
    if pattern[0] == "*":
        return any(naive_run(pattern[1:], part[taken:]) for taken in range(len(part) + 1))
    return part[:1] == pattern[0] and naive_run(pattern[1:], part[1:])


PIECE = st.text(alphabet="ab", min_size=1, max_size=3)
PATTERN_PART = st.one_of(
    PIECE, st.just("*"), st.just("**"), st.builds("{}*{}".format, PIECE, st.sampled_from(["", "a", "b*b"]))
)


@given(st.lists(PATTERN_PART, min_size=1, max_size=5), st.lists(PIECE, max_size=6), st.booleans())
def test_agrees_with_the_definition(pattern: list[str], parts: list[str], slash: bool) -> None:
    pattern = [part for index, part in enumerate(pattern) if index == 0 or (part, pattern[index - 1]) != ("**", "**")]
    path = "/" + "/".join(parts) + ("/" if slash and parts else "")
    fits = parse("/" + "/".join(pattern)).match(Resource(path)) is not None
    assert fits is naive(pattern, path.split("/")[1:])


SINGLE = st.sampled_from(["a", "B", "*", "{x}", "%C3%84"])
SPELLED = st.sampled_from(["a", "A", "b", "B", "%C3%84", "%C3%A4", "%61"])


@given(
    st.lists(SINGLE, min_size=1, max_size=4).filter(lambda parts: parts.count("{x}") < 2),
    st.sampled_from(["", "/", "/**"]),
    st.lists(SPELLED, max_size=5),
    st.sampled_from(["", "/"]),
)
def test_a_shape_fits_what_the_parts_fit(pattern: list[str], tail: str, parts: list[str], slash: str) -> None:
    found, asked = parse("/" + "/".join(pattern) + tail), Resource("/" + "/".join(parts) + (slash if parts else ""))
    assert found.shape is not None and found.folded_shape is not None
    assert found.match(asked) == fit(found.parts, asked.parts, asked.texts)
    loosely = [fit(found.folded, given, [*asked.texts, ""]) for given in (asked.bare, [*asked.bare, ""])]
    assert found.match_loosely(asked) == next((captures for captures in loosely if captures is not None), None)


@given(st.lists(PATTERN_PART, min_size=1, max_size=5), st.lists(PIECE, min_size=1, max_size=6))
def test_loose_fits_whatever_exact_fits(pattern: list[str], parts: list[str]) -> None:
    pattern = [part for index, part in enumerate(pattern) if index == 0 or (part, pattern[index - 1]) != ("**", "**")]
    found = parse("/" + "/".join(pattern))
    path = "/" + "/".join(parts)
    if found.match(Resource(path)) is not None:
        for spelling in (path, path.upper(), path + "/", path.replace("a", "%61")):
            assert found.match_loosely(Resource(spelling)) is not None


@pytest.mark.parametrize(
    ("outer", "inner", "certain"),
    [
        pytest.param("/a/b", "/A/b/", True, id="in-another-spelling"),
        pytest.param("/a/b/", "/a/b", True, id="without-its-slash"),
        pytest.param("/a/b", "/a", False, id="shorter"),
        pytest.param("/b", "/a/b", False, id="its-end-only"),
        pytest.param("/a/*", "/a/{id}", True, id="star-and-capture"),
        pytest.param("/a/*", "/a/b", True, id="star-and-text"),
        pytest.param("/a/b", "/a/*", False, id="text-and-star"),
        pytest.param("/a/r*", "/a/r-*", True, id="run-and-longer-run"),
        pytest.param("/a/r-*", "/a/r*", False, id="run-and-shorter-run"),
        pytest.param("/a/r*", "/a/*", False, id="run-and-star"),
        pytest.param("/a/**", "/a/*/b", True, id="two-stars"),
        pytest.param("/a/b", "/a/**/b", False, id="text-and-two-stars"),
        pytest.param("/a/a", "/**/a", False, id="text-is-no-two-stars"),
        pytest.param("/*/a", "/**/a", False, id="star-is-no-two-stars"),
        pytest.param("/**/a", "/**/b/a", True, id="two-stars-in-both"),
    ],
)
def test_covers(outer: str, inner: str, certain: bool) -> None:
    assert covers(parse(outer), parse(inner)) is certain


def test_what_is_covered_is_matched() -> None:
    """All short patterns against all short paths: what a deny covers for certain, it matches on every path."""
    runs = [run for size in (1, 2, 3) for run in product(("a", "b*", "*", "**"), repeat=size)]
    found = [parse("/" + "/".join(run)) for run in runs if ("**", "**") not in pairwise(run)]
    paths = [Resource("/" + "/".join(run)) for size in (1, 2, 3, 4) for run in product(("a", "b", "B1"), repeat=size)]
    fitting = {pattern: {path for path in paths if pattern.match_loosely(path) is not None} for pattern in found}
    pairs = [(outer.text, inner.text) for outer, inner in product(found, repeat=2) if covers(outer, inner)]
    matched = {pattern.text: fits for pattern, fits in fitting.items()}
    assert len(pairs) > 300
    assert [(outer, inner) for outer, inner in pairs if not matched[inner] <= matched[outer]] == []


def canonical(raw: str) -> str:
    """The canonical path, or why there is none."""
    try:
        return canonical_path(raw)
    except RequestUnreadable as error:
        return error.reason


@given(st.text(alphabet="aB.~-/%2F41ec;é *!", max_size=12))
def test_a_pattern_without_wildcards_is_a_canonical_path(text: str) -> None:
    try:
        pattern = parse("/" + text)
    except ValueError:
        return
    if "*" not in text:
        assert canonical("/" + text) in ("/" + text, "the path is percent-encoded twice", "the path is not UTF-8")
        assert pattern.match(Resource("/" + text)) == {}


def test_no_path_takes_long() -> None:
    started = time.perf_counter()
    assert parse("/**/a*b*c/**/x*y*z").match(Resource("/" + "/".join(["abab"] * 20_000))) is None
    assert time.perf_counter() - started < 2
