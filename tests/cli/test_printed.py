from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from lockgate.cli.printed import duration, hold_text, mask_text, moment, origin, say
from lockgate.model import Hold, Mask, Target

LONG = "deny " + "word " * 30


def test_piped_lines_are_whole_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    say(LONG, 2)
    assert capsys.readouterr().out == f"  {LONG.rstrip()}\n"


def test_a_terminal_gets_them_wrapped_and_coloured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    say(LONG, 2, 4)
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("  \x1b[31m\x1b[1mdeny\x1b[0m word")
    assert rest and all(line.startswith("      word") and len(line) <= 60 for line in rest)


def test_nothing_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[2J\u202eb\n")
    assert capsys.readouterr().out == "a\\x1b[2J\\u202eb\\x0a\n"


def test_an_empty_line(capsys: pytest.CaptureFixture[str]) -> None:
    say()
    assert capsys.readouterr().out == os.linesep


@pytest.mark.parametrize(
    ("seconds", "text"), [(30.0, "30s"), (900.0, "15m"), (5400.0, "90m"), (7200.0, "2h"), (172800.0, "2d")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        pytest.param(Mask("$.a", "redact"), "$.a: redact", id="plain"),
        pytest.param(Mask("$.a", "keep_first", 4), "$.a: keep_first 4", id="count"),
        pytest.param(Mask("$.a", "replace", "x y"), '$.a: replace "x y"', id="text"),
    ],
)
def test_mask(mask: Mask, text: str) -> None:
    assert mask_text(mask) == text


def test_approval() -> None:
    assert hold_text(Hold("r/h", "")) == "by 1 of anybody who may approve"
    assert hold_text(Hold("r/h", "", approvers=("a", "b"), quorum=2, timeout=60.0)) == "by 2 of a or b, within 1m"


def test_moment_and_origin() -> None:
    assert moment(datetime(2030, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == "2030-01-01T00:00:00Z"
    assert moment(datetime(2030, 1, 1, microsecond=9, tzinfo=UTC)) == "2030-01-01T00:00:00Z"
    assert origin(Target("a", "https", "a.example", 8443)) == "https://a.example:8443"
