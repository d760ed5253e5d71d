from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lockgate.errors import SetupError
from lockgate.recordings.generations import keep

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
