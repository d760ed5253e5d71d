"""Somebody who can write the store's files, and has no key; and a machine that stops at the worst moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lockgate.approvals import storage
from lockgate.approvals.approval import Approval
from lockgate.approvals.store import Change
from lockgate.approvals.tinydb import TinyStore
from lockgate.errors import StoreUnavailable

KEY = b"k" * 32
Draft = Callable[..., Approval]
Attack = Callable[[list[bytes]], list[bytes]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def store(directory: Path) -> Iterator[TinyStore]:
    made = TinyStore(directory, KEY)
    made.load()
    yield made
    made.close()


def fill(store: TinyStore, draft: Draft, count: int = 4) -> None:
    for number in range(count):
        assert store.apply([Change(draft(f"a{number}"))]) == [True]


def ids(store: TinyStore) -> list[str]:
    return [each.id for each in store.load().approvals]


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(lambda lines: [*lines[:2], lines[2].replace(b"agent-7", b"agent-8"), *lines[3:]], id="edited"),
        pytest.param(lambda lines: [*lines[:2], *lines[3:]], id="cut-out"),
        pytest.param(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], id="reordered"),
        pytest.param(lambda lines: [*lines[:2], lines[1], *lines[2:]], id="doubled"),
        pytest.param(lambda lines: lines[:-1], id="the-last-taken-off"),
        pytest.param(lambda lines: lines[:1], id="all-taken-off"),
        pytest.param(lambda lines: lines[1:], id="no-header"),
        pytest.param(lambda lines: [], id="emptied"),
        pytest.param(lambda lines: [*lines[:-1], lines[-1][:-1]], id="the-last-line-end"),
        pytest.param(lambda lines: [b"\xff" + line[1:] for line in lines], id="not-ascii"),
        pytest.param(lambda lines: [line.replace(b" ", b"\n", 1) for line in lines], id="broken-in-two"),
    ],
)
def test_a_log_that_was_tampered_with(store: TinyStore, draft: Draft, directory: Path, attack: Attack) -> None:
    fill(store, draft)
    store.close()
    log = directory / storage.LOG
    log.write_bytes(b"".join(attack(log.read_bytes().splitlines(keepends=True))))
    with pytest.raises(StoreUnavailable, match=storage.LOG):
        store.load()


def test_an_older_log_that_was_put_back(store: TinyStore, draft: Draft, directory: Path) -> None:
    fill(store, draft, 2)
    older = (directory / storage.LOG).read_bytes()
    assert store.apply([Change(draft("used"))]) == [True]
    store.close()
    (directory / storage.LOG).write_bytes(older)
    with pytest.raises(StoreUnavailable, match="an older one was put back"):
        store.load()


def test_an_older_head_tells_of_no_older_log(store: TinyStore, draft: Draft, directory: Path) -> None:
    fill(store, draft, 2)
    older = (directory / storage.HEAD).read_bytes()
    assert store.apply([Change(draft("last"))]) == [True]
    store.close()
    (directory / storage.HEAD).write_bytes(older)
    assert ids(store) == ["a0", "a1", "last"]


@pytest.mark.parametrize("missing", [storage.LOG, storage.HEAD])
def test_one_of_the_files_is_gone(store: TinyStore, draft: Draft, directory: Path, missing: str) -> None:
    fill(store, draft)
    store.close()
    (directory / missing).unlink()
    with pytest.raises(StoreUnavailable, match="is gone"):
        store.load()


def test_it_stops_between_the_first_log_and_its_head(store: TinyStore, directory: Path) -> None:
    store.close()
    (directory / storage.HEAD).unlink()
    assert ids(store) == []


@pytest.mark.parametrize("content", [b"x", b"0" * 256, b"\xff" * 256])
def test_a_head_that_was_changed(store: TinyStore, draft: Draft, directory: Path, content: bytes) -> None:
    fill(store, draft)
    store.close()
    (directory / storage.HEAD).write_bytes(content)
    with pytest.raises(StoreUnavailable, match="was changed"):
        store.load()


def test_another_key(store: TinyStore, draft: Draft, directory: Path) -> None:
    fill(store, draft)
    store.close()
    with pytest.raises(StoreUnavailable, match="not by this key"):
        TinyStore(directory, b"o" * 32).load()


def test_what_was_being_written_is_cut_off(store: TinyStore, draft: Draft, directory: Path) -> None:
    """At whatever byte: of the line that was not acknowledged nothing is left, or all of it."""
    fill(store, draft, 2)
    log, head = directory / storage.LOG, directory / storage.HEAD
    before, acknowledged = log.read_bytes(), head.read_bytes()
    store.apply([Change(draft("late"))])
    store.close()
    after = log.read_bytes()
    for length in range(len(before), len(after) + 1, 7):
        log.write_bytes(after[:length])
        head.write_bytes(acknowledged)
        whole = length == len(after)
        assert ids(store) == ["a0", "a1", *(["late"] if whole else [])]
        assert store.apply([Change(draft("next"))]) == [True]
        assert ids(store)[-1] == "next"
        store.close()


def test_a_torn_head_leaves_the_other_slot(store: TinyStore, draft: Draft, directory: Path) -> None:
    fill(store, draft, 3)
    store.close()
    head = directory / storage.HEAD
    content = bytearray(head.read_bytes())
    newest = max(range(2), key=lambda slot: int(content[slot * 128 : slot * 128 + 128].split()[2]))
    content[newest * 128 : newest * 128 + 60] = b"\0" * 60
    head.write_bytes(content)
    assert ids(store) == ["a0", "a1", "a2"]


def test_it_is_written_anew_when_little_of_it_is_live(
    store: TinyStore, draft: Draft, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "SPARE", 0)
    for number in range(40):
        one = draft(f"b{number}")
        assert store.apply([Change(one)]) == [True]
        if number % 10:
            assert store.apply([Change(one, removes=True)]) == [True]
    store.close()
    assert len((directory / storage.LOG).read_bytes().splitlines()) < 40
    assert ids(store) == ["b0", "b10", "b20", "b30"]


@pytest.mark.parametrize("step", ["fsync", "replace", "sync_directory", "pwrite"])
def test_it_stops_while_the_log_is_written_anew(
    store: TinyStore, draft: Draft, directory: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    fill(store, draft, 8)
    for number in range(7):
        store.apply([Change(draft(f"a{number}"), removes=True)])
    with monkeypatch.context() as patched:
        patched.setattr(storage, "SPARE", 0)
        patched.setattr(storage, "TIMES", 1)
        compact, stopped = storage.LogStorage._compact, []

        def broken(*arguments: object, **named: object) -> None:
            stopped.append(step)
            raise OSError(5, "Input/output error")

        def compacting(self: storage.LogStorage) -> None:
            place = {"replace": Path, "sync_directory": storage.state}.get(step, storage.os)
            patched.setattr(place, step, broken)
            compact(self)

        patched.setattr(storage.LogStorage, "_compact", compacting)
        with pytest.raises(StoreUnavailable):
            store.apply([Change(draft("late"))])
        assert stopped == [step]
    assert ids(store) == ["a7", "late"]
    assert store.apply([Change(draft("next"))]) == [True]
    store.close()
    assert ids(store) == ["a7", "late", "next"]


def test_links_are_not_followed(store: TinyStore, draft: Draft, directory: Path) -> None:
    fill(store, draft)
    store.close()
    log = directory / storage.LOG
    log.rename(directory / "elsewhere")
    log.symlink_to(directory / "elsewhere")
    with pytest.raises(StoreUnavailable):
        store.load()
