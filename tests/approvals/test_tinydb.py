"""The store on disk: durable, whole, and nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from lockgate.approvals.approval import TRANSITIONS, Approval, Grant, State
from lockgate.approvals.store import Change, Rows
from lockgate.approvals.tinydb import TinyStore, fits
from lockgate.errors import StoreUnavailable

KEY = b"k" * 32
Draft = Callable[..., Approval]


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


def again(store: TinyStore) -> Rows:
    """What another process would find."""
    store.close()
    return store.load()


def grant(grant_id: str = "g1", revision: int = 1) -> Grant:
    return Grant(grant_id, revision, "iss", "agent", ("support",), "r/h", "crm", "b", 1.1, 2.2, "a1")


def test_what_is_kept_is_found(store: TinyStore, draft: Draft) -> None:
    asked = draft(expires_at=1234567.1234567)
    assert store.apply([Change(asked), Change(grant())]) == [True, True]
    assert again(store) == Rows((asked,), (grant(),))
    approved = replace(asked, revision=2, state=State.APPROVED)
    assert store.apply([Change(approved), Change(grant(), removes=True)]) == [True, True]
    assert again(store) == Rows((approved,), ())


@pytest.mark.parametrize(
    ("revision", "removes", "taken"),
    [
        pytest.param(1, False, False, id="one-that-is-there"),
        pytest.param(2, False, True, id="the-next"),
        pytest.param(3, False, False, id="the-one-after"),
        pytest.param(1, True, True, id="taken-out"),
        pytest.param(2, True, False, id="taken-out-as-it-is-not"),
    ],
)
def test_compare_and_set(store: TinyStore, draft: Draft, revision: int, removes: bool, taken: bool) -> None:
    store.apply([Change(draft())])
    change = Change(replace(draft(), revision=revision), removes)
    assert store.apply([change]) == [taken]
    assert store.apply([Change(draft("new", revision=2))]) == [False]


def test_of_two_in_one_go_the_first_is_taken(store: TinyStore, draft: Draft) -> None:
    store.apply([Change(draft())])
    approved, denied = (replace(draft(), revision=2, state=state) for state in (State.APPROVED, State.DENIED))
    assert store.apply([Change(approved), Change(denied)]) == [True, False]
    assert again(store).approvals == (approved,)


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_the_table_of_states_is_kept(draft: Draft, before: State, after: State) -> None:
    held = replace(draft(), state=before).document()
    change = Change(replace(draft(), state=after, revision=2))
    assert fits(change, held) is (after is before or after in TRANSITIONS[before])


def test_one_process_has_it(store: TinyStore, directory: Path) -> None:
    other = TinyStore(directory, KEY)
    with pytest.raises(StoreUnavailable, match="another gateway"):
        other.load()
    store.close()
    other.load()
    other.close()


def test_after_a_fault_it_is_read_anew(store: TinyStore, draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    store.apply([Change(draft())])

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(StoreUnavailable, match="No space left"):
            store.apply([Change(draft("a2"))])
    with pytest.raises(StoreUnavailable, match="read anew"):
        store.apply([Change(draft("a3"))])
    assert [each.id for each in store.load().approvals] == ["a1"]
    assert store.apply([Change(draft("a2"))]) == [True]


def test_a_short_write_leaves_nothing_half(store: TinyStore, draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    store.apply([Change(draft())])
    write, written = os.write, []

    def part(descriptor: int, data: memoryview) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(1)
        return write(descriptor, data[: len(data) // 2])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", part)
        with pytest.raises(StoreUnavailable):
            store.apply([Change(draft("a2"))])
    assert [each.id for each in store.load().approvals] == ["a1"]


def test_files_of_others_are_not_taken(store: TinyStore, directory: Path) -> None:
    store.close()
    (directory / "approvals.log").chmod(0o644)
    with pytest.raises(StoreUnavailable, match="chmod 0600"):
        store.load()


WRITER = """\
import sys
from dataclasses import replace
from pathlib import Path
from lockgate.approvals.approval import Approval, Requester, Shown, State
from lockgate.approvals.store import Change
from lockgate.approvals.tinydb import TinyStore
from lockgate.model import Hold
store = TinyStore(Path(sys.argv[1]), b"k" * 32)
found = {each.id: each for each in store.load().approvals}
row = Approval("x", 1, State.PENDING, 1.0, 2.0, Requester("i", "s"), "f", "b", "d", "g", "crm", ("GET", "/"),
               (Hold("r", "d"),), Shown(body="x" * 20000))
print("ready", flush=True)
number = len(found)
while True:
    number += 1
    one = replace(row, id=f"a{number}")
    assert store.apply([Change(one)]) == [True]
    for revision, state in ((2, State.APPROVED), (3, State.USED)):
        one = replace(one, revision=revision, state=state)
        assert store.apply([Change(one)]) == [True]
    print(one.id, flush=True)
    if number % 7 == 0:
        assert store.apply([Change(one, removes=True)]) == [True]
        print("-" + one.id, flush=True)
"""


def test_kill_9_loses_nothing_that_was_acknowledged(directory: Path) -> None:
    """And what is found is whole; the log is written anew a few times meanwhile."""
    used: set[str] = set()
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(directory)], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        assert writer.stdout is not None
        said = []
        for line in writer.stdout:
            said.append(line.strip())
            if len(said) > 40:
                writer.send_signal(signal.SIGKILL)
                break
        said += [line.strip() for line in writer.stdout if line.endswith("\n")]
        writer.wait()
        writer.stdout.close()
        assert said[0] == "ready", said
        used |= {each for each in said[1:] if not each.startswith("-")}
        used -= {each[1:] for each in said if each.startswith("-")}
    store = TinyStore(directory, KEY)
    found = {each.id: each for each in store.load().approvals}
    store.close()
    removed = {f"a{number}" for number in range(7, 1000, 7)}
    assert used - removed <= found.keys()
    assert all(found[each].state is State.USED for each in used & found.keys())
    assert all(each.revision in (1, 2, 3) for each in found.values())
