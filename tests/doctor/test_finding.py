"""Findings by their level."""

from __future__ import annotations

from lockgate.doctor.finding import Finding, note, ok, wrong


def test_what_is_wrong_or_to_be_judged_comes_with_a_remedy() -> None:
    assert ok("rules", "2 targets") == Finding("ok", "rules", "2 targets", "")
    assert note("clock", "7 s off", "Run NTP.") == Finding("note", "clock", "7 s off", "Run NTP.")
    assert wrong("state", "open", "chmod") == Finding("wrong", "state", "open", "chmod")
