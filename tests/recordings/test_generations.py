from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockgate.errors import SetupError
from lockgate.recordings.chain import START
from lockgate.recordings.files import in_order
from lockgate.recordings.generations import forget, keep
from lockgate.recordings.journal import Entry, Journal, State
from lockgate.recordings.recorder import Recorder
from lockgate.recordings.tnetstring import dumps

FILES = {"gateway.yaml": b"a", "roles/support.yaml": b"b"}


def test_every_file_is_kept_as_it_was_and_private(tmp_path: Path) -> None:
    keep(tmp_path, "abc", FILES)
    kept = tmp_path / "generations" / "abc"
    assert {path.relative_to(kept).as_posix(): path.read_bytes() for path in kept.rglob("*") if path.is_file()} == FILES
    for path in [tmp_path / "generations", *(tmp_path / "generations").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_generation_is_kept_once(tmp_path: Path) -> None:
    keep(tmp_path, "abc", FILES)
    keep(tmp_path, "abc", {"gateway.yaml": b"other"})
    assert (tmp_path / "generations" / "abc" / "gateway.yaml").read_bytes() == b"a"


def test_half_a_generation_is_never_found(tmp_path: Path) -> None:
    """What an interrupted run left is written anew."""
    draft = tmp_path / "generations" / ".abc.draft"
    draft.mkdir(parents=True)
    (draft / "stale.yaml").write_bytes(b"x")
    keep(tmp_path, "abc", FILES)
    assert not (tmp_path / "generations" / "abc" / "stale.yaml").exists()


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "generations").write_text("in the way")
    with pytest.raises(SetupError, match="cannot be kept"):
        keep(tmp_path, "abc", FILES)


NAMED, SENT, IN_FORCE, UNNAMED, YOUNG = ("abcde"[number] * 64 for number in range(5))
LONG_AGO = 1_000_000.0


@pytest.fixture
def used(directory: Path, make_state: Callable[..., dict[str, Any]]) -> Path:
    """Recordings with the text of five generations, all but one put in force long ago."""
    recorder = Recorder(directory)
    recorder.start()
    recorder.finish("a", make_state("a", generation=NAMED), "done")
    recorder.close()
    journal = Journal(directory / "journal", START, 0.0)
    journal.append(Entry(State.INTENT, 0.0, "b", dumps(make_state("b", generation=SENT))))
    journal.sync()
    journal.close()
    for name in (NAMED, SENT, IN_FORCE, UNNAMED, YOUNG):
        keep(directory, name, FILES)
        if name != YOUNG:
            os.utime(directory / "generations" / name, (LONG_AGO, LONG_AGO))
    return directory


def test_what_nothing_names_any_more_is_forgotten(used: Path) -> None:
    assert forget(used, IN_FORCE, LONG_AGO) == []
    assert forget(used, IN_FORCE, LONG_AGO + 1) == [UNNAMED]
    assert {path.name for path in (used / "generations").iterdir()} == {NAMED, SENT, IN_FORCE, YOUNG}


def test_what_is_put_in_force_again_is_not_forgotten(used: Path) -> None:
    keep(used, UNNAMED, FILES)
    assert forget(used, IN_FORCE, LONG_AGO + 1) == []


def test_nothing_is_forgotten_while_a_record_cannot_be_read(used: Path) -> None:
    with in_order(used)[0].open("ab") as file:
        file.write(b"junk")
    assert forget(used, IN_FORCE, LONG_AGO + 1) == []
