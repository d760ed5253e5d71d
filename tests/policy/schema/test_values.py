"""What text each kind of value takes; what the others are told is in test_wrong_files.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockgate.policy.schema import values


@pytest.mark.parametrize(
    ("read", "given", "expected"),
    [
        pytest.param(values.size, "512B", 512, id="bytes"),
        pytest.param(values.size, "64KB", 64_000, id="decimal-unit"),
        pytest.param(values.size, "10 KiB", 10_240, id="space"),
        pytest.param(values.size, "1GiB", 2**30, id="gib"),
        pytest.param(values.duration, "30s", 30.0, id="seconds"),
        pytest.param(values.duration, "15m", 900.0, id="minutes"),
        pytest.param(values.duration, "90d", 7_776_000.0, id="days"),
        pytest.param(values.flag, "true", True, id="true"),
        pytest.param(values.flag, "false", False, id="false"),
        pytest.param(values.strategy, "redact", ("redact", None), id="redact"),
        pytest.param(values.strategy, {"keep_last": "4"}, ("keep_last", 4), id="keep-last"),
        pytest.param(values.strategy, {"replace": ""}, ("replace", ""), id="replace-with-nothing"),
        pytest.param(values.listed, "a", ["a"], id="one-is-a-list"),
        pytest.param(values.ttl, "1m", 60.0, id="shortest-life"),
        pytest.param(values.claim, "a b", "a b", id="claim"),
        pytest.param(values.claim, ["a", "b"], ("a", "b"), id="claim-of-several"),
        pytest.param(values.listed, ["a", "b"], ["a", "b"], id="list"),
    ],
)
def test_taken(read: Callable[[Any], Any], given: Any, expected: Any) -> None:
    assert read(given) == expected


@pytest.mark.parametrize(
    ("read", "given"),
    [
        pytest.param(values.size, "10", id="size-without-unit"),
        pytest.param(values.size, "0B", id="no-size"),
        pytest.param(values.size, "1.5MB", id="broken-size"),
        pytest.param(values.size, "-1B", id="negative-size"),
        pytest.param(values.duration, "1h30m", id="two-durations"),
        pytest.param(values.duration, "30", id="duration-without-unit"),
        pytest.param(values.flag, "yes", id="yes"),
        pytest.param(values.flag, "True", id="capital-true"),
        pytest.param(values.text, "  ", id="blank"),
        pytest.param(values.text, ["a"], id="list-for-text"),
        pytest.param(values.name, "a b", id="name-with-space"),
        pytest.param(values.name, "a/b", id="name-with-slash"),
        pytest.param(values.name, "-a", id="name-with-hyphen-first"),
        pytest.param(values.strategy, "encrypt", id="unknown-mask"),
        pytest.param(values.strategy, {"keep_last": "x"}, id="keep-of-no-number"),
        pytest.param(values.strategy, {"keep_last": "4", "keep_first": "4"}, id="two-masks"),
        pytest.param(values.listed, [], id="empty-list"),
        pytest.param(values.algorithm, "HS256", id="symmetric"),
        pytest.param(values.algorithm, "none", id="none"),
        pytest.param(values.header_name, "X Key", id="header-with-space"),
        pytest.param(values.header_name, "Content-Length", id="framing-header"),
        pytest.param(values.user, "a:b", id="colon-in-user"),
        pytest.param(values.ttl, "59s", id="short-life"),
        pytest.param(values.ttl, "25h", id="long-life"),
        pytest.param(values.claim, {"a": "b"}, id="nested-claim"),
        pytest.param(values.claim, [["a"]], id="list-of-lists-for-claim"),
        pytest.param(values.claim, [], id="empty-claim"),
    ],
)
def test_refused(read: Callable[[Any], Any], given: Any) -> None:
    with pytest.raises(ValueError) as caught:
        read(given)
    assert str(caught.value)
