from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.policy.overlaps import lines_meet, patterns_meet
from lockgate.policy.patterns import Resource, parse
from lockgate.policy.rules import EVERY_VERB, Line


@pytest.mark.parametrize(
    ("restricting", "allowing", "meet"),
    [
        pytest.param("/v1/**/export", "/v1/customers/{id}", True, id="capture-may-be-export"),
        pytest.param("/v1/**/export", "/v1/customers", False, id="another-word"),
        pytest.param("/v1/secret", "/v1/SECRET", True, id="letter-case"),
        pytest.param("/v1/a/", "/v1/a", True, id="slash-at-the-end"),
        pytest.param("/v1/**", "/v1", True, id="the-folder-itself"),
        pytest.param("/v1/*/**", "/v1", False, id="what-lies-below-only"),
        pytest.param("/v1/**", "/v2/**", False, id="other-root"),
        pytest.param("/**", "/a/{b}/c", True, id="everything"),
        pytest.param("/a/*/c", "/a/**/d", False, id="other-end"),
        pytest.param("/f/report-*.csv", "/f/*.csv", True, id="globs"),
        pytest.param("/f/report-*.csv", "/f/*.txt", False, id="globs-of-other-ends"),
        pytest.param("/f/report-*", "/f/invoice-*", False, id="globs-of-other-starts"),
        pytest.param("/f/report-*", "/f/report-7", True, id="glob-and-text"),
        pytest.param("/f/invoice-7", "/f/report-*", False, id="text-and-glob"),
        pytest.param("/f/*bc", "/f/a*c", True, id="globs-of-ends-within-each-other"),
        pytest.param("/f/a*c", "/f/*bc", True, id="globs-of-ends-within-each-other-reversed"),
        pytest.param("/f/a*d*c", "/f/a*d", False, id="glob-of-two-runs-and-another-end"),
        pytest.param("/f/a*d", "/f/a*d*c", False, id="another-end-and-glob-of-two-runs"),
        pytest.param("/v1/*", "/v1/", False, id="star-is-never-empty"),
        pytest.param("/v1/", "/v1/*", False, id="no-part-and-star"),
        pytest.param("/v1", "/v1/**", True, id="two-stars-and-a-slash-alone"),
        pytest.param("/v1/*/**", "/v1/", False, id="star-and-two-stars-and-no-part"),
    ],
)
def test_patterns(restricting: str, allowing: str, meet: bool) -> None:
    assert patterns_meet(parse(restricting), parse(allowing)) is meet


PART = st.sampled_from(["a", "b", "A", "ab", "*", "{x}", "**", "a*", "*b", "a*b"])
NAME = st.sampled_from(["a", "b", "A", "ab", "aab", ""])


@settings(max_examples=300)
@given(st.lists(PART, min_size=1, max_size=4), st.lists(PART, min_size=1, max_size=4), st.lists(NAME, max_size=5))
def test_what_one_path_fits_is_never_missed(one: list[str], other: list[str], path: list[str]) -> None:
    try:
        restricting, allowing = parse("/" + "/".join(one)), parse("/" + "/".join(other))
    except ValueError:
        return
    asked = Resource("/" + "/".join(path))
    if allowing.match(asked) is not None and restricting.match_loosely(asked) is not None:
        assert patterns_meet(restricting, allowing)


def line(verbs: tuple[str, ...], targets: tuple[str, ...], pattern: str | None) -> Line:
    return Line("", verbs, targets, parse(pattern) if pattern else None)


@pytest.mark.parametrize(
    ("restricting", "meet"),
    [
        pytest.param(line(("GET",), ("crm",), "/a"), True, id="same"),
        pytest.param(line(("GET",), ("wiki",), "/a"), False, id="other-target"),
        pytest.param(line(("POST",), ("crm",), "/a"), False, id="other-verb"),
        pytest.param(line((EVERY_VERB,), ("wiki", "crm"), None), True, id="everything"),
        pytest.param(line(("GET",), ("crm",), "/b"), False, id="other-path"),
    ],
)
def test_lines(restricting: Line, meet: bool) -> None:
    assert lines_meet(restricting, line(("GET", "HEAD"), ("crm",), "/a")) is meet
