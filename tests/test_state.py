from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lockgate.errors import SetupError
from lockgate.state import KEY_SIZE, key, make, read, replace


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    return path


def test_a_key_is_made_once_and_kept_to_its_owner(directory: Path) -> None:
    old = os.umask(0)
    try:
        made = key(directory, "masking")
    finally:
        os.umask(old)
    path = directory / "masking.key"
    assert len(made) == KEY_SIZE
    assert path.read_bytes() == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(directory.iterdir()) == [path]
    assert key(directory, "masking") == made


def test_each_name_and_directory_has_its_own(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    assert len({key(directory, "a"), key(directory, "b"), key(other, "a")}) == 3


def test_many_at_once_agree_on_one_key(directory: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: key(directory, "masking"), range(16)))
    assert len(keys) == 1
    assert [path.name for path in directory.iterdir()] == ["masking.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_open_to_others_is_refused(directory: Path, mode: int) -> None:
    key(directory, "masking")
    (directory / "masking.key").chmod(mode)
    with pytest.raises(SetupError, match=r"masking\.key cannot be used: .*chmod 0600"):
        key(directory, "masking")


def test_a_directory_open_to_others_is_refused(directory: Path) -> None:
    directory.chmod(0o755)
    with pytest.raises(SetupError, match="chmod 0700"):
        key(directory, "masking")
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("size", [0, 16, KEY_SIZE - 1, KEY_SIZE + 1, 100_000])
def test_a_key_of_another_length_is_refused(directory: Path, size: int) -> None:
    make(directory / "masking.key", b"x" * size)
    with pytest.raises(SetupError, match=r"bytes, not 32: restore it, or delete it"):
        key(directory, "masking")


def links_elsewhere(path: Path) -> None:
    make(path.with_name("elsewhere"), b"x" * KEY_SIZE)
    path.symlink_to(path.with_name("elsewhere"))


def links_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("put", [links_elsewhere, links_nowhere, Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(directory: Path, put: object) -> None:
    assert callable(put)
    put(directory / "masking.key")
    with pytest.raises(SetupError, match=r"The key .*masking\.key cannot be used: "):
        key(directory, "masking")


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No such file or directory"):
        key(tmp_path / "none", "masking")


def test_what_lies_there_is_never_replaced(directory: Path) -> None:
    path = directory / "file"
    make(path, b"first")
    make(path, b"second")
    content, status = read(path)
    assert (content, status.st_ino) == (b"first", path.stat().st_ino)
    assert list(directory.iterdir()) == [path]


def test_replace(directory: Path) -> None:
    path = directory / "token"
    for content in (b"first", b"second, and longer", b"3"):
        replace(path, content)
        assert read(path)[0] == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(directory.iterdir()) == [path]


def test_replace_takes_the_place_of_a_link_and_not_of_what_it_names(directory: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    (directory / "token").symlink_to(elsewhere)
    replace(directory / "token", b"ours")
    assert elsewhere.read_bytes() == b"theirs"
    assert read(directory / "token")[0] == b"ours"


def test_what_cannot_be_replaced_stays_and_leaves_nothing_behind(directory: Path) -> None:
    (directory / "token").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace(directory / "token", b"ours")
    assert [path.name for path in directory.iterdir()] == ["token"]


def test_what_cannot_be_written_leaves_nothing_behind(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace(directory / "token", b"ours")
    assert list(directory.iterdir()) == []
