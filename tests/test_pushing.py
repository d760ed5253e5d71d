from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from lockgate.errors import NotDelivered
from lockgate.pushing import Pushing, to_file


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_each_place_gets_each_line_in_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    pushing = Pushing({"one": to_file(one), "other": to_file(other)})
    for number in range(20):
        pushing.push({"number": number})
    pushing.close(10.0)
    assert [json.loads(line)["number"] for line in one.read_bytes().splitlines()] == list(range(20))
    assert one.read_bytes() == other.read_bytes()
    assert one.stat().st_mode & 0o777 == 0o600


def test_what_was_not_delivered_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[bytes] = []
    faults = [OSError(28, "No space left on device"), NotDelivered("it answered 503"), ZeroDivisionError("s3cret")]

    def deliver(line: bytes) -> None:
        if faults:
            raise faults.pop(0)
        taken.append(line)

    with caplog.at_level(logging.WARNING):
        pushing = Pushing({"the audit volume": deliver}, pause=0.001)
        pushing.push({"number": 1})
        pushing.push({"number": 2})
        until(lambda: len(taken) == 2)
        pushing.close(10.0)
    assert taken == [b'{"number": 1}', b'{"number": 2}']
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "Checkpoints do not reach the audit volume: No space left on device; 2 wait."
    assert said[1] == "Checkpoints reach the audit volume again."
    assert "s3cret" not in caplog.text


def test_one_that_is_dead_holds_up_no_other(tmp_path: Path) -> None:
    hangs, path = Event(), tmp_path / "file.jsonl"
    pushing = Pushing({"dead": lambda _: hangs.wait(10) and None, "file": to_file(path)})
    pushing.push({"number": 1})
    until(path.exists)
    begun = time.monotonic()
    pushing.close(0.05)
    assert time.monotonic() - begun < 5
    hangs.set()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "link.jsonl"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        to_file(path)(b"{}")
    assert not (tmp_path / "elsewhere").exists()
