"""The tree of paths: it finds every entry that a linear search finds, and looks at few others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.model import Mask, Verdict
from lockgate.policy.index import PathIndex
from lockgate.policy.patterns import Resource, parse
from lockgate.policy.rules import Entry, Rule

MASKS = (Mask("$.a", "redact"),)
WRITTEN = st.sampled_from(["a", "A", "b", "ab", "*", "**", "{x}", "a*", "*b", "a*b", "*a*", "%20", "%C3%84"])
GIVEN = st.sampled_from(["a", "A", "b", "ab", "aab", "AB", "x", "%20", "%C3%84", "%C3%A4", "%41"])


def entry(pattern: str | None, verdict: Verdict = Verdict.ALLOW, masks: tuple[Mask, ...] = ()) -> Entry:
    return Entry(Rule(f"r/{pattern}", "f:1", verdict, masks=masks), None if pattern is None else parse(pattern))


@st.composite
def patterns(draw: st.DrawFn) -> str:
    parts = draw(st.lists(WRITTEN, min_size=1, max_size=4))
    kept = [part for at, part in enumerate(parts) if at == 0 or (part, parts[at - 1]) != ("**", "**")]
    if kept.count("**") > 1 or kept.count("{x}") > 1:
        kept = ["*" if part == "{x}" else part for part in kept]
    return "/" + "/".join(kept) + draw(st.sampled_from(["", "/"]) if kept[-1] != "**" else st.just(""))


@given(
    st.lists(st.tuples(patterns(), st.sampled_from(list(Verdict)), st.sampled_from([(), MASKS])), max_size=12),
    st.lists(GIVEN, max_size=5),
    st.sampled_from(["", "/"]),
)
def test_finds_what_a_linear_search_finds(
    rules: list[tuple[str, Verdict, tuple[Mask, ...]]], parts: list[str], end: str
) -> None:
    entries = [entry(*rule) for rule in rules]
    index = PathIndex()
    for each in entries:
        index.add(each)
    asked = Resource("/" + "/".join(parts) + (end if parts else ""))
    fitting = [each for each in entries if each.match(asked) is not None or each.match_nearly(asked) is not None]
    assert set(fitting) <= set(index.find(asked))


def test_an_entry_without_a_pattern_is_about_everything() -> None:
    index, everything = PathIndex(), entry(None, Verdict.DENY)
    index.add(everything)
    assert list(index.find(Resource("/any/path"))) == [everything]


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("/v1/res{}/*/sub", id="literal"),
        pytest.param("/v1/{{id}}/res{}", id="behind-a-capture"),
        pytest.param("/**/res{}", id="behind-two-stars"),
        pytest.param("/v1/report-{}-*.csv", id="within-a-part"),
        pytest.param("/v1/*-{}.csv", id="ending"),
    ],
)
@pytest.mark.parametrize("verdict", [Verdict.ALLOW, Verdict.DENY])
def test_looks_at_no_more_than_fits_however_many_there_are(pattern: str, verdict: Verdict) -> None:
    index = PathIndex()
    for number in range(1000, 3000):
        index.add(entry(pattern.format(number), verdict))
    wanted = pattern.format(1500)
    asked = Resource(wanted.replace("**", "v1/x").replace("{id}", "7").replace("*", "7"))
    assert {each.rule.name for each in index.find(asked)} == {f"r/{wanted}"}


def test_a_long_path_takes_no_longer_for_each_part() -> None:
    """`**` twice with something between: the branches that are followed stay few."""
    index = PathIndex()
    for pattern in ("/**/a/**/b/**/c", "/**/*/**/*/**/*/x", "/**/a*/**"):
        index.add(entry(pattern, Verdict.DENY))
    assert len(list(index.find(Resource("/a" * 20_000)))) <= 2
