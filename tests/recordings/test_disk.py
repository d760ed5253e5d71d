from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lockgate.errors import SetupError
from lockgate.recordings.disk import AppendFile, DirectoryLock, is_locked, make_directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def file(tmp_path: Path):
    file = AppendFile(tmp_path / "file")
    yield file
    file.close()


def test_files_are_the_owners_alone(file: AppendFile) -> None:
    assert mode(file.path) == 0o600


def test_an_existing_file_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("taken", "link"):
        with pytest.raises(FileExistsError):
            AppendFile(tmp_path / name)


def test_pieces_are_whole_or_not_there(file: AppendFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file.append(b"one")
    write = os.write

    def full(descriptor: int, view: memoryview) -> int:
        if len(view) == 5:
            return write(descriptor, view[:2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            file.append(b"three")
    assert file.path.read_bytes() == b"one"
    file.append(b"two")
    assert file.path.read_bytes() == b"onetwo"
    assert file.size == 6


def test_a_half_piece_that_could_not_be_cut_off_is_cut_off_later(
    file: AppendFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.append(b"one")
    write = os.write

    def half(descriptor: int, view: memoryview) -> int:
        if len(view) == 5:
            return write(descriptor, view[:2])
        raise OSError(5, "Input/output error")

    def refuse(descriptor: int, size: int) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half)
        patched.setattr(os, "ftruncate", refuse)
        with pytest.raises(OSError, match="Read-only"):
            file.append(b"three")
    assert file.path.read_bytes() == b"oneth"
    file.append(b"two")
    assert file.path.read_bytes() == b"onetwo"


def test_truncate_forgets_what_was_not_durable(file: AppendFile) -> None:
    file.append(b"one")
    file.sync()
    file.append(b"two")
    assert (file.durable, file.size) == (3, 6)
    file.truncate(file.durable)
    assert file.path.read_bytes() == b"one"


@pytest.mark.parametrize("replace", [False, True], ids=["deleted", "replaced"])
def test_a_file_that_is_gone_is_not_durable(file: AppendFile, replace: bool) -> None:
    file.append(b"one")
    file.path.unlink()
    if replace:
        file.path.write_bytes(b"another")
    with pytest.raises(FileNotFoundError):
        file.sync()
    assert file.durable == 0


def test_new_directories_are_the_owners_alone(tmp_path: Path) -> None:
    make_directory(tmp_path / "a" / "b")
    assert mode(tmp_path / "a" / "b") == 0o700


@pytest.mark.parametrize(
    ("names", "before", "after"),
    [
        pytest.param([], 0o755, 0o700, id="empty"),
        pytest.param(["README.md", "a.mitm"], 0o755, 0o700, id="ours"),
        pytest.param(["README.md", "theirs"], 0o755, 0o755, id="not-only-ours"),
    ],
)
def test_an_existing_directory_is_closed_when_it_is_ours(
    tmp_path: Path, names: list[str], before: int, after: int
) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    for name in names:
        (directory / name).touch()
    directory.chmod(before)
    make_directory(directory, frozenset({"README.md"}), (".mitm",))
    assert mode(directory) == after


def test_a_directory_that_everyone_writes_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").touch()
    tmp_path.chmod(0o777)
    with pytest.raises(SetupError, match="everyone may write"):
        make_directory(tmp_path)


def test_one_lock_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    assert not is_locked(path)
    lock = DirectoryLock(path)
    assert is_locked(path)
    assert lock.in_place()
    assert path.read_text() == f"{os.getpid()}\n"
    with pytest.raises(BlockingIOError):
        DirectoryLock(path)
    path.unlink()
    assert not lock.in_place()
    lock.close()
    DirectoryLock(path).close()
    assert not is_locked(path)
