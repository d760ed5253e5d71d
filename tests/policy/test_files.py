from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.errors import RulesInvalid
from lockgate.policy import files
from lockgate.policy.files import read_files, stamps


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    directory = tmp_path / "rules"
    (directory / "roles").mkdir(parents=True)
    (directory / "gateway.yaml").write_bytes(b"a")
    (directory / "roles/support.yaml").write_bytes(b"b")
    return directory


def test_every_file_by_its_path_sorted(rules: Path) -> None:
    (rules / "roles.md").write_bytes(b"c")
    assert list(read_files(rules).items()) == [
        ("gateway.yaml", b"a"),
        ("roles.md", b"c"),
        ("roles/support.yaml", b"b"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        ".hidden",
        ".git/config",
        ".\udcff/x",
        "roles/.x.yaml",
        "x.yaml~",
        "\udcff~",
        "tests/a.yaml",
        "tests/\udcff/a",
        "schema.json",
    ],
)
def test_what_is_no_rules_is_left_out(rules: Path, name: str) -> None:
    path = rules / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    assert read_files(rules).keys() == {"gateway.yaml", "roles/support.yaml"}
    before = stamps(rules)
    path.write_bytes(b"xy")
    assert stamps(rules) == before


def test_links_are_followed_to_files_and_directories(rules: Path) -> None:
    (rules / "..data").mkdir()
    (rules / "roles").rename(rules / "..data/roles")
    (rules / "gateway.yaml").rename(rules / "..data/gateway.yaml")
    for name in ("roles", "gateway.yaml"):
        (rules / name).symlink_to(f"..data/{name}")
    assert read_files(rules) == {"gateway.yaml": b"a", "roles/support.yaml": b"b"}


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


NOT_UTF8 = os.fsdecode(b"\xff")
NAME = "its name is not printable UTF-8: rename it"

REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (lambda rules: os.mkfifo(rules / "x.yaml"), "x.yaml:1:1: not a regular file: take it away"),
    "socket": (lambda rules: bind(rules / "x.yaml"), "x.yaml:1:1: not a regular file: take it away"),
    "device": (lambda rules: (rules / "x").symlink_to("/dev/zero"), "x:1:1: not a regular file: take it away"),
    "dangling": (lambda rules: (rules / "x").symlink_to("gone"), "x:1:1: cannot be read: No such file or directory"),
    "circle": (lambda rules: (rules / "x").symlink_to("."), "x:1:1: cannot be read: Too many levels of symbolic links"),
    "large": (lambda rules: os.truncate(rules / "gateway.yaml", 1 << 40), "gateway.yaml:1:1: larger than 16777216 b"),
    "name": (lambda rules: (rules / NOT_UTF8).touch(), f"\\xff:1:1: {NAME}"),
    "name-of-a-directory": (lambda rules: (rules / NOT_UTF8 / "in").mkdir(parents=True), f"\\xff:1:1: {NAME}"),
    "name-of-a-backup": (lambda rules: (rules / f"{NOT_UTF8}~").mkdir(), f"\\xff~:1:1: {NAME}"),
    "name-further-down": (lambda rules: (rules / "roles" / NOT_UTF8).symlink_to("gone"), f"roles/\\xff:1:1: {NAME}"),
    "name-of-two-lines": (lambda rules: (rules / "a\nb\x1b[0m.yaml").touch(), f"a\\nb\\x1b[0m.yaml:1:1: {NAME}"),
    "deep": (
        lambda rules: (rules / "/".join("d" * 20)).mkdir(parents=True),
        "/".join("d" * files.MAX_DEPTH) + ":1:1: cannot be read: Too many levels",
    ),
}


@pytest.mark.parametrize(("spoil", "says"), [pytest.param(*case, id=name) for name, case in REFUSED.items()])
def test_what_cannot_be_read_for_certain_is_a_problem(rules: Path, spoil: Callable[[Path], object], says: str) -> None:
    before = stamps(rules)
    spoil(rules)
    with pytest.raises(RulesInvalid) as caught:
        read_files(rules)
    assert str(caught.value).startswith(says)
    assert stamps(rules) != before
    assert stamps(rules) == stamps(rules)


def test_all_problems_at_once(rules: Path) -> None:
    for name in ("x.yaml", "roles/y.yaml"):
        (rules / name).symlink_to("gone")
    with pytest.raises(RulesInvalid) as caught:
        read_files(rules)
    assert {problem.file for problem in caught.value.problems} == {"x.yaml", "roles/y.yaml"}


def test_a_directory_with_very_many_files_is_none_of_rules(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link may lead to anywhere."""
    assert len(read_files(rules)) == len(stamps(rules)) == 2
    monkeypatch.setattr(files, "MAX_FILES", 1)
    with pytest.raises(RulesInvalid, match="more than 1 files"):
        read_files(rules)


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "gone", tmp_path / "file", tmp_path / "file/in", tmp_path / f"{NOT_UTF8}\n"):
        with pytest.raises(RulesInvalid, match="there is no directory") as caught:
            read_files(path)
        assert str(caught.value).isprintable()
        assert len(stamps(path)) == 1


def as_before(path: Path, content: bytes) -> None:
    """Write, and set the time of the last write to what it was."""
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda rules: (rules / "gateway.yaml").write_bytes(b"longer"),
    "same-size-and-time": lambda rules: as_before(rules / "gateway.yaml", b"c"),
    "older": lambda rules: os.utime(rules / "gateway.yaml", (1, 1)),
    "added": lambda rules: (rules / "roles/b.yaml").touch(),
    "removed": lambda rules: (rules / "roles/support.yaml").unlink(),
    "renamed": lambda rules: (rules / "gateway.yaml").rename(rules / "other.yaml"),
    "closed": lambda rules: (rules / "gateway.yaml").chmod(0),
    "directory-replaced": lambda rules: (rules / "roles").rename(rules / "role"),
}


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in CHANGES.items()])
def test_stamps_tell_of_every_change(rules: Path, change: Callable[[Path], object]) -> None:
    # A file system's clock has coarse ticks: these files were written some time ago.
    for path in rules.rglob("*.yaml"):
        os.utime(path, (1000, 1000))
    before = stamps(rules)
    assert stamps(rules) == before
    tick = rules.parent / "tick"
    tick.touch()
    while tick.stat().st_ctime_ns <= max(path.stat().st_ctime_ns for path in rules.rglob("*")):
        tick.touch()
    change(rules)
    assert stamps(rules) != before
