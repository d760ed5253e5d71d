from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lockgate import state
from lockgate.errors import SetupError, StoreUnavailable, TokenRejected
from lockgate.identity.used import KEPT, SWEEP, UsedAssertions

NOW = 1_800_000_000.0
END = NOW + 300


def used(store: UsedAssertions, identifier: str, now: float = NOW, issuer: str = "idp") -> bool:
    """Whether it was used before."""
    try:
        store.use(issuer, identifier, END, now)
    except TokenRejected:
        return True
    return False


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


def names(home: Path) -> list[str]:
    return [path.name for path in (home / "used-assertions").iterdir()]


def test_each_is_used_once(home: Path) -> None:
    store = UsedAssertions(home)
    assert not used(store, "a")
    with pytest.raises(TokenRejected, match="assertion was used before"):
        store.use("idp", "a", END, NOW)
    assert not used(store, "b")
    assert not used(store, "a", issuer="other")
    # Whoever can choose names cannot make two pairs one.
    assert not used(store, "x/y", issuer="idp")
    assert not used(store, "y", issuer="idp/x")


def test_it_survives(home: Path) -> None:
    assert not used(UsedAssertions(home), "a")
    assert used(UsedAssertions(home), "a")


def test_several_at_once(home: Path) -> None:
    stores = [UsedAssertions(home) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda store: used(store, "a"), stores))
    assert sorted(outcomes) == [False] + [True] * 7


def test_it_is_durable_before_it_counts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = UsedAssertions(home)
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    assert not used(store, "a")
    [name] = names(home)
    assert synced[0].startswith(f".{name}.")
    assert synced[-1] == "used-assertions"


def test_it_is_the_owners_alone(home: Path) -> None:
    used(UsedAssertions(home), "a")
    directory = home / "used-assertions"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in directory.iterdir()] == [0o600]


def test_what_has_ended_goes(home: Path) -> None:
    store = UsedAssertions(home)
    used(store, "a")
    (home / "used-assertions" / ".draft.left").write_text(f"{END:.0f}")
    (home / "used-assertions" / ".draft.left").chmod(0o600)
    (home / "used-assertions" / "damaged").write_bytes(b"\xff")
    (home / "used-assertions" / "damaged").chmod(0o600)
    (home / "used-assertions" / "empty").touch(0o600)
    assert not used(store, "b", now=END + KEPT)
    assert len(names(home)) == 5
    assert used(store, "a", now=END + KEPT)
    assert not used(store, "c", now=END + KEPT + SWEEP)
    assert {"damaged", "empty"} < set(names(home))
    assert len(names(home)) == 3


def test_a_store_that_others_may_look_into(home: Path) -> None:
    store = UsedAssertions(home)
    directory = home / "used-assertions"
    directory.chmod(0o750)
    with pytest.raises(StoreUnavailable):
        used(store, "a")
    directory.chmod(0o700)
    assert names(home) == []


def test_a_store_that_is_gone(home: Path) -> None:
    store = UsedAssertions(home)
    directory = home / "used-assertions"
    directory.rmdir()
    with pytest.raises(StoreUnavailable):
        used(store, "a")
    directory.symlink_to(home)
    with pytest.raises(StoreUnavailable):
        used(store, "a")


@pytest.mark.parametrize("fails", ["write_draft", "sync_directory"])
def test_a_full_disk(home: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    store = UsedAssertions(home)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state, fails, full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        used(store, "a")


def test_an_entry_that_is_open_to_others_stops_it(home: Path) -> None:
    """Somebody else may have a hand in the store."""
    store = UsedAssertions(home)
    entry = home / "used-assertions" / "x"
    entry.touch()
    entry.chmod(0o644)
    with pytest.raises(StoreUnavailable):
        used(store, "a")


def test_no_store_at_all(home: Path) -> None:
    home.mkdir()
    (home / "used-assertions").touch()
    with pytest.raises(SetupError, match="cannot be used"):
        UsedAssertions(home)
