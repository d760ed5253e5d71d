"""The parts of what is shown. What it all looks like is in test_command.py."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest

from lockgate.cli.approvals.shown import cell, identified, instant, members, missing, quoted, shortened, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0.9, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172800, "2d")],
)
def test_span(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_ids_are_shortened_to_what_tells_them_apart() -> None:
    ids = ["abcdefgh", "abcdefgi", "abcdefg", "b", "zzzzzzzzzz"]
    short = shortened(ids)
    assert short == {
        "abcdefgh": "abcdefgh",
        "abcdefgi": "abcdefgi",
        "abcdefg": "abcdefg",
        "b": "b",
        "zzzzzzzzzz": "zzzzzz",
    }
    assert all(identified([{"id": each} for each in ids], short[each], "approval") == each for each in ids)


@pytest.mark.parametrize("text", ["2026-11-23T04:00:00+01:00", "2026-11-23T03:00:00Z"])
def test_an_instant(text: str) -> None:
    assert instant(text) == datetime(2026, 11, 23, 3, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-23T03:00:00", "soon", ""])
def test_no_instant(text: str) -> None:
    with pytest.raises(ValueError):
        instant(text)


def test_a_cell_is_short_and_harmless() -> None:
    assert cell("") == "-"
    assert cell("a\nb") == "a\\x0ab"
    assert len(cell("x" * 1000)) == 100


@pytest.mark.parametrize("document", [None, [], {}, {"x": {}}, {"x": [1]}, {"x": [{}]}, {"x": [{"id": ""}]}])
def test_no_members(document: object) -> None:
    with pytest.raises(click.ClickException):
        members(document, "x")


def test_what_is_missing_is_told_by_hold() -> None:
    holds = [
        {"approvers": ["finance", "audit"], "quorum": 2, "approved_by": ["ada"]},
        {"approvers": [], "quorum": 1, "approved_by": []},
        {"approvers": ["legal"], "quorum": 1, "approved_by": ["eve"]},
    ]
    assert missing({"holds": holds}) == ["1 more of finance or audit", "1 more of anybody who may approve"]


def test_an_empty_line_is_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    quoted(["", "a"])
    assert capsys.readouterr().out == "| \n| a\n"
