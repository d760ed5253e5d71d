"""The store on disk: durable, whole, and nobody else's."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.approvals import storage
from lockgate.approvals.approval import TRANSITIONS, Approval, Grant, Shown, State
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


@given(approval=st.from_type(Approval), granted=st.from_type(Grant))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_field_comes_back(store: TinyStore, approval: Approval, granted: Grant) -> None:
    """By their text, since no NaN is like another, and a float's text is exact."""
    rows = replace(approval, revision=1), replace(granted, revision=1)
    assert store.apply([Change(row) for row in rows]) == [True, True]
    found = again(store)
    assert repr((*found.approvals, *found.grants)) == repr(rows)
    assert store.apply([Change(row, removes=True) for row in rows]) == [True, True]


@pytest.mark.parametrize("text", ["\n", "\r\n", "\u2028\u0085", "\0", "\ud800", '"}\n{"', "\x1b[31m"])
def test_text_from_outside(store: TinyStore, draft: Draft, directory: Path, text: str) -> None:
    asked = draft(text, shown=Shown(body=text, headers=((text, text),)), reason=text, fingerprint=text)
    assert store.apply([Change(asked)]) == [True]
    assert again(store).approvals == (asked,)
    content = (directory / "approvals.log").read_bytes()
    assert content.isascii() and content.count(b"\n") == 2 and not set(content) & (set(range(32)) - {10})


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


def test_the_lock_is_taken_away(store: TinyStore, draft: Draft, directory: Path) -> None:
    """Of two gateways with one state only one goes on: else each would use the same approval."""
    store.apply([Change(draft())])
    (directory / ".approvals.lock").unlink()
    other = TinyStore(directory, KEY)
    assert other.load().approvals == (draft(),)
    with pytest.raises(StoreUnavailable, match="another gateway"):
        store.apply([Change(replace(draft(), revision=2, state=State.APPROVED))])
    with pytest.raises(StoreUnavailable, match="another gateway"):
        store.load()
    assert other.apply([Change(replace(draft(), revision=2, state=State.DENIED))]) == [True]
    other.close()
    assert [each.state for each in store.load().approvals] == [State.DENIED]


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


def test_what_is_over_does_not_fill_the_disk(
    store: TinyStore, draft: Draft, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "SPARE", 0)
    store.apply([Change(draft("kept"))])
    for number in range(20):
        assert store.apply([Change(draft(f"a{number}"))]) == [True]
        assert store.apply([Change(draft(f"a{number}"), removes=True)]) == [True]
    assert (directory / "approvals.log").read_bytes().count(b"\n") < 15
    assert again(store).approvals == (draft("kept"),)


def test_everything_is_the_owners_alone(store: TinyStore, draft: Draft, directory: Path) -> None:
    store.apply([Change(draft())])
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in directory.iterdir())
    store.close()
    directory.chmod(0o750)
    with pytest.raises(StoreUnavailable, match="chmod 0700"):
        store.load()


FULL = """\
import resource, sys
from dataclasses import replace
from pathlib import Path
from lockgate.approvals.approval import Approval, Requester, Shown, State
from lockgate.approvals.store import Change
from lockgate.approvals.tinydb import TinyStore
from lockgate.errors import StoreUnavailable
from lockgate.model import Hold
store = TinyStore(Path(sys.argv[1]), b"k" * 32)
store.load()
row = Approval("x", 1, State.PENDING, 1.0, 2.0, Requester("i", "s"), "f", "b", "d", "g", "crm", ("GET", "/"),
               (Hold("r", "d"),), Shown(body="x" * 700))
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
taken = []
for number in range(20):
    one = replace(row, id=f"a{number}")
    try:
        assert store.apply([Change(one)]) == [True]
        taken.append(one)
    except StoreUnavailable as error:
        assert "File too large" in str(error), error
        assert list(store.load().approvals) == taken
assert 4 < len(taken) < 12
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert store.apply([Change(replace(row, id="last"))]) == [True]
store.close()
assert [each.id for each in store.load().approvals] == [*(each.id for each in taken), "last"]
"""


def test_a_disk_that_takes_no_more(directory: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(directory)], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr


WRITER = """\
import sys
from dataclasses import replace
from pathlib import Path
from lockgate.approvals.approval import Approval, Requester, Shown, State
from lockgate.approvals.store import Change
from lockgate.approvals.tinydb import TinyStore
from lockgate.approvals import storage
from lockgate.model import Hold
storage.SPARE, storage.TIMES = 100_000, 1
store = TinyStore(Path(sys.argv[1]), b"k" * 32)
found = {each.id: each for each in store.load().approvals}
row = Approval("x", 1, State.PENDING, 1.0, 2.0, Requester("i", "s"), "f", "b", "d", "g", "crm", ("GET", "/"),
               (Hold("r", "d"),), Shown(body="x" * 20000))
print("ready", flush=True)
number = max((int(each[1:]) for each in found), default=0)
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
    removed: set[str] = set()
    for _ in range(6):
        said = killed_while_writing(directory)
        used |= {each for each in said if not each.startswith("-")}
        removed |= {each[1:] for each in said if each.startswith("-")}
        store = TinyStore(directory, KEY)
        found = {each.id: each for each in store.load().approvals}
        store.close()
        removing = {f"a{number}" for number in range(7, 1000, 7)}  # one may be, and nobody was told
        assert used - removing <= found.keys() and not removed & found.keys()
        assert all(found[each].state is State.USED for each in used & found.keys())
        assert all(len(each.shown.body) == 20000 for each in found.values())


def killed_while_writing(directory: Path) -> list[str]:
    """What a process said was durable."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    said = [writer.stdout.readline() for _ in range(40)]
    writer.send_signal(signal.SIGKILL)
    said += [line for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()
    return [line.strip() for line in said]
