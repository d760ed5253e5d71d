"""One wrong entry hides no other's errors."""

from __future__ import annotations

import pytest

from lockgate.errors import Problem
from lockgate.policy.checked import check
from lockgate.policy.documents import read
from lockgate.policy.schema.targets import Target, Targets


def checked(text: str) -> tuple[list[str], list[str], frozenset[str]]:
    problems: list[Problem] = []
    found = check(read("targets.yaml", text.encode()), Targets, "targets", Target, problems)
    return [str(path[-1]) for path, _ in found.entries], [str(problem) for problem in problems], found.names


def test_right_entries_are_kept_beside_wrong_ones() -> None:
    assert checked("targets:\n  a: {url: https://a.example}\n  b: {}\n  c: {url: x, y: z}\n") == (
        ["a"],
        [
            "targets.yaml:3:6: a target has exactly one of url and urls",
            (
                "targets.yaml:4:12: the scheme is not http or https: write one origin, as in https://api.crm.example"
                " or http://10.0.0.5:8080"
            ),
            (
                "targets.yaml:4:15: unknown key y: known here: url, urls, credential, limits, private, connect,"
                " cookies, paths, methods, content_types, tls, http2, grpc, mask, show, detect, redact_request, record"
            ),
        ],
        frozenset("abc"),
    )


def test_a_wrong_file_still_has_its_entries() -> None:
    entries, problems, _ = checked("target: 1\ntargets: {a: {url: https://a.example}}\n")
    assert entries == ["a"]
    assert problems == ["targets.yaml:1:1: unknown key target: did you mean targets?"]


def test_entries_of_the_wrong_kind_are_one_problem() -> None:
    assert checked("targets: [a, b]\n") == (
        [],
        ["targets.yaml:1:10: a mapping is needed here: lines of key: value"],
        frozenset(),
    )


def test_more_entries_than_anybody_needs_are_one_problem() -> None:
    names = [f"t{number}" for number in range(10_001)]
    assert checked("targets:\n" + "".join(f"  {name}: {{}}\n" for name in names)) == (
        [],
        ["targets.yaml:1:1: more than 10000 targets: take out what no rule needs"],
        frozenset(names),
    )


def test_a_file_of_the_wrong_kind_is_one_problem() -> None:
    assert checked("- a\n") == (
        [],
        ["targets.yaml:1:1: a mapping is needed here: lines of key: value"],
        frozenset(),
    )


def test_a_colon_without_a_space_is_told() -> None:
    assert checked("targets:\n  a: url:https://a.example\n  b: a host\n")[1] == [
        "targets.yaml:2:6: a key ends with a colon and a space: put a space behind the colon",
        "targets.yaml:3:6: a mapping is needed here: lines of key: value",
    ]


def test_a_path_beside_its_mask_is_told() -> None:
    assert checked("targets:\n  a:\n    url: https://a.example\n    mask:\n    $.a: redact\n")[1] == [
        "targets.yaml:4:10: a mapping is needed here: lines of key: value",
        "targets.yaml:5:5: a path belongs to mask: indent it more than mask",
    ]


def test_a_long_key_is_cut_short() -> None:
    (told,) = checked(f"targets: {{a: {{url: https://a.example, {'x' * 100}: y}}}}\n")[1]
    assert told.startswith(f"targets.yaml:1:39: unknown key {'x' * 40}...: known here: url, ")


@pytest.mark.parametrize(
    ("text", "last"),
    [
        pytest.param("targets:\n" + "".join(f"  t{i}: x\n" for i in range(2000)), 1001, id="entries"),
        pytest.param("targets: {a: {" + "".join(f"k{i}: x,\n" for i in range(2000)) + "}}\n", 1000, id="keys"),
    ],
)
def test_no_more_problems_are_told_than_help(text: str, last: int) -> None:
    entries, problems, names = checked(text)
    assert (entries, len(problems)) == ([], 1001)
    assert problems[-1].partition(": ")[2] == "... and more: mend these first"
    assert problems[-1].startswith(f"targets.yaml:{last}:")
    assert names
