from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.errors import RulesInvalid
from lockgate.policy.load import identify
from lockgate.proxy import looks
from lockgate.proxy.looks import Looks

A = {"gateway.yaml": b"a", "targets.yaml": b"a"}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    directory = tmp_path / "rules"
    directory.mkdir()
    for name, content in A.items():
        (directory / name).write_bytes(content)
    return directory


@pytest.fixture
def looking(rules: Path) -> Looks:
    """Has looked until nothing was new."""
    found = Looks(rules, identify(A))
    assert [found.look() for _ in range(3)] == [None, None, None]
    return found


def write(rules: Path, text: str) -> None:
    (rules / "gateway.yaml").write_text(text)


def test_what_is_new_is_given_once_two_looks_have_seen_it(rules: Path, looking: Looks) -> None:
    write(rules, "new")
    assert looking.look() is None
    content = looking.look()
    assert content is not None
    assert content.files == {**A, "gateway.yaml": b"new"}
    assert content.id == identify(content.files)
    assert [looking.look() for _ in range(3)] == [None, None, None]


def test_what_changes_with_every_look_is_not_given(rules: Path, looking: Looks) -> None:
    for number in range(5):
        write(rules, f"version {number}")
        assert looking.look() is None
    content = looking.look()
    assert content is not None
    assert content.files["gateway.yaml"] == b"version 4"


def test_what_was_touched_or_saved_again_is_not_new(rules: Path, looking: Looks) -> None:
    write(rules, "a")
    assert [looking.look() for _ in range(3)] == [None, None, None]


def test_a_change_taken_back_between_two_looks_is_none(rules: Path, looking: Looks) -> None:
    write(rules, "new")
    assert looking.look() is None
    write(rules, "a")
    assert [looking.look() for _ in range(3)] == [None, None, None]


def test_what_nobody_touched_is_not_read(looking: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "read_files", None)
    assert looking.look() is None


def test_when_asked_it_is_given_at_once_whatever_it_is(rules: Path, looking: Looks) -> None:
    same = looking.look(asked=True)
    assert same is not None
    assert same.id == identify(A)
    write(rules, "new")
    new = looking.look(asked=True)
    assert new is not None
    assert new.files["gateway.yaml"] == b"new"
    assert [looking.look() for _ in range(3)] == [None, None, None]


def test_when_asked_stamps_are_not_trusted(rules: Path, looking: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without times of its own, a change may show nowhere but in the content."""
    before = looks.stamps(rules)
    monkeypatch.setattr(looks, "stamps", lambda directory: before)
    write(rules, "b")
    assert looking.look() is None
    content = looking.look(asked=True)
    assert content is not None
    assert content.files["gateway.yaml"] == b"b"


def test_what_was_given_is_given_again_once_forgotten(rules: Path, looking: Looks) -> None:
    write(rules, "new")
    looking.look()
    first = looking.look()
    looking.forget()
    assert looking.look() == first is not None
    assert looking.look() is None


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda rules: rules.rename(rules.with_name("aside")), id="gone"),
        pytest.param(lambda rules: (rules / "x").symlink_to("gone"), id="dangling"),
    ],
)
def test_what_cannot_be_read_is_given_once_too(rules: Path, looking: Looks, spoil: Callable[[Path], object]) -> None:
    spoil(rules)
    assert looking.look() is None
    content = looking.look()
    assert content is not None
    assert isinstance(content.invalid, RulesInvalid)
    assert [looking.look() for _ in range(3)] == [None, None, None]
