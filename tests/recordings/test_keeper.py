from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockgate.recordings.files import in_order
from lockgate.recordings.keeper import Keeper
from lockgate.recordings.tombstones import Pruned


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def kept(recorded: Path) -> Callable[..., Keeper]:
    """A keeper of two files, the older of which is closed."""

    def make(bury: Callable[[list[Pruned], str], None] = lambda *_: None, **changes: Any) -> Keeper:
        settings = {
            "in_force": lambda: "now",
            "compressed": True,
            "secret": None,
            "keep": None,
            "look": 0.02,
            "closed": in_order(recorded)[:1],
        }
        keeper = Keeper(recorded, bury=bury, **{**settings, **changes})
        keeper.start()
        return keeper

    return make


def test_closed_files_are_put_away_and_no_others(recorded: Path, kept: Callable[..., Keeper]) -> None:
    older, newer = in_order(recorded)
    keeper = kept()
    until(lambda: older.with_name(older.name + ".zst").exists() and not older.exists())
    assert newer.exists()
    keeper.closed(newer)
    until(lambda: not newer.exists())
    keeper.close(10)


def test_old_files_go_once_they_are_buried(recorded: Path, kept: Callable[..., Keeper]) -> None:
    older, _ = in_order(recorded)
    buried: list[tuple[list[str], str, bool]] = []

    def bury(files: list[Pruned], why: str) -> None:
        there = any(recorded.glob(f"{older.name}*"))
        buried.append(([each.name for each in files], why, there))

    keeper = kept(bury, keep=-86400.0)
    until(lambda: not any(recorded.glob(f"{older.name}*")))
    keeper.close(10)
    assert buried == [([f"{older.name}.zst"], "older than -1 days", True)]


def test_what_cannot_be_buried_stays(
    recorded: Path, kept: Callable[..., Keeper], caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[int] = []

    def bury(files: list[Pruned], why: str) -> None:
        tried.append(len(files))
        raise OSError(28, "No space left on device")

    with caplog.at_level(logging.ERROR):
        keeper = kept(bury, keep=-86400.0, compressed=False)
        until(lambda: len(tried) > 2)  # it is tried again
        keeper.close(10)
    assert len(in_order(recorded)) == 2
    assert "Recordings are kept as they are, and tried again: No space left on device." in caplog.text


def test_without_a_time_to_keep_nothing_goes(recorded: Path, kept: Callable[..., Keeper]) -> None:
    older, _ = in_order(recorded)
    keeper = kept()
    until(lambda: not older.exists())
    keeper.close(10)
    assert len(in_order(recorded)) == 2
