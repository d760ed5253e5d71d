"""Somebody who can write the log's files, and has no key; and a machine that stops at the worst moment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockgate import state
from lockgate.approvals import log
from lockgate.approvals.log import HEAD, LOG, AuthenticatedLog
from lockgate.errors import StoreUnavailable

KEY = b"k" * 32
Attack = Callable[[list[bytes]], list[bytes]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def opened(directory: Path, key: bytes = KEY) -> tuple[AuthenticatedLog, list[Any]]:
    """As a new process opens it; and what it finds."""
    found: list[Any] = []
    made = AuthenticatedLog(directory, key)
    try:
        made.open(lambda value, _: found.append(value))
    except BaseException:
        made.close()
        raise
    return made, found


def read(directory: Path) -> list[Any]:
    made, found = opened(directory)
    made.close()
    return found


def write(directory: Path, *values: Any) -> None:
    """Each is durable before the next."""
    made, _ = opened(directory)
    for value in values:
        made.append(value)
        made.commit()
    made.close()


def renew(directory: Path, *values: Any) -> None:
    made, _ = opened(directory)
    made.put(made.draft(values))
    made.close()


def foreign(directory: Path) -> bytes:
    """A line of another log by the same key, at the same place."""
    other = directory / "other"
    other.mkdir(mode=0o700)
    write(other, "a0", "a1")
    return (other / LOG).read_bytes().splitlines(keepends=True)[2]


@pytest.mark.parametrize("values", [[], [None], [0.1 + 0.2, 1e-300, -0.0, 2**70], ["\u2028\n\r\0\ud800", {"ä": []}]])
def test_what_is_written_is_read(directory: Path, values: list[Any]) -> None:
    write(directory, *values)
    assert repr(read(directory)) == repr(values)
    renew(directory, *values, "more")
    write(directory, "last")
    assert repr(read(directory)) == repr([*values, "more", "last"])
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in directory.iterdir())
    assert {path.name for path in directory.iterdir()} == {LOG, HEAD}


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(lambda lines: [*lines[:2], lines[2].replace(b"a1", b"a7"), *lines[3:]], id="edited"),
        pytest.param(lambda lines: [*lines[:2], *lines[3:]], id="cut-out"),
        pytest.param(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], id="reordered"),
        pytest.param(lambda lines: [*lines[:2], lines[1], *lines[2:]], id="doubled"),
        pytest.param(lambda lines: [*lines[:-1], lines[1]], id="an-older-line-last"),
        pytest.param(lambda lines: lines[:-1], id="the-last-taken-off"),
        pytest.param(lambda lines: lines[:1], id="all-taken-off"),
        pytest.param(lambda lines: lines[1:], id="no-header"),
        pytest.param(lambda lines: [lines[0], *lines], id="two-headers"),
        pytest.param(lambda lines: [], id="emptied"),
        pytest.param(lambda lines: [*lines[:-1], lines[-1][:-1]], id="the-last-line-end"),
        pytest.param(lambda lines: [b"\xff" + line[1:] for line in lines], id="not-ascii"),
        pytest.param(lambda lines: [line.replace(b" ", b"\n", 1) for line in lines], id="broken-in-two"),
        pytest.param(lambda lines: [line.replace(b" ", b"\t", 1) for line in lines], id="another-space"),
        pytest.param(lambda lines: [line.upper() for line in lines], id="upper-case"),
        pytest.param(lambda lines: [b"\0" * 4096], id="zeros"),
    ],
)
def test_a_log_that_was_tampered_with(directory: Path, attack: Attack) -> None:
    write(directory, "a0", "a1", "a2", "a3")
    path = directory / LOG
    path.write_bytes(b"".join(attack(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(StoreUnavailable, match=LOG):
        read(directory)


def test_a_line_of_another_log(directory: Path) -> None:
    write(directory, "a0", "a1")
    lines = (directory / LOG).read_bytes().splitlines(keepends=True)
    (directory / LOG).write_bytes(b"".join([*lines[:2], foreign(directory)]))
    with pytest.raises(StoreUnavailable, match="not of this log"):
        read(directory)


@pytest.mark.parametrize("name", [LOG, HEAD])
def test_no_bit_can_be_altered(directory: Path, name: str) -> None:
    write(directory, "a0", "a1")
    content = (directory / name).read_bytes()
    for place in range(len(content)):
        (directory / name).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(StoreUnavailable, match=name):
            read(directory)


def test_an_older_log_that_was_put_back(directory: Path) -> None:
    write(directory, "a0", "a1")
    older = (directory / LOG).read_bytes()
    write(directory, "used")
    (directory / LOG).write_bytes(older)
    with pytest.raises(StoreUnavailable, match="an older one was put back"):
        read(directory)


def test_an_older_head_tells_of_no_older_log(directory: Path) -> None:
    """It is what a machine leaves that stops between the two."""
    write(directory, "a0", "a1")
    older = (directory / HEAD).read_bytes()
    write(directory, "used")
    (directory / HEAD).write_bytes(older)
    assert read(directory) == ["a0", "a1", "used"]
    assert (directory / HEAD).read_bytes() != older


@pytest.mark.parametrize("missing", [LOG, HEAD])
def test_one_of_the_files_is_gone(directory: Path, missing: str) -> None:
    write(directory, "a0")
    (directory / missing).unlink()
    with pytest.raises(StoreUnavailable, match=f"{missing} is gone"):
        read(directory)


def test_with_both_gone_nothing_is_left(directory: Path) -> None:
    write(directory, "a0", "approved")
    earlier = (directory / LOG).read_bytes()
    (directory / LOG).unlink()
    (directory / HEAD).unlink()
    assert read(directory) == []
    (directory / LOG).write_bytes(earlier)
    with pytest.raises(StoreUnavailable, match="another log"):
        read(directory)


def test_it_stops_between_the_first_log_and_its_head(directory: Path) -> None:
    read(directory)
    (directory / HEAD).unlink()
    assert read(directory) == []


@pytest.mark.parametrize("content", [b"", b"x", b"0" * 256, b"\xff" * 256, b" " * 9000])
def test_a_head_that_was_changed(directory: Path, content: bytes) -> None:
    write(directory, "a0")
    (directory / HEAD).write_bytes(content)
    with pytest.raises(StoreUnavailable, match="was changed"):
        read(directory)


def test_another_key(directory: Path) -> None:
    write(directory, "a0")
    with pytest.raises(StoreUnavailable, match="not by this key"):
        opened(directory, b"o" * 32)
    (directory / HEAD).unlink()
    with pytest.raises(StoreUnavailable, match="not by this key"):
        opened(directory, b"o" * 32)


@pytest.mark.parametrize("rest", [b"", b"\0" * 50, b"0" * 64 + b" {}\n"], ids=["cut", "zeros", "junk"])
def test_what_was_being_written_is_cut_off(directory: Path, rest: bytes) -> None:
    """At whatever byte: of a line that was not acknowledged nothing is left, or all of it."""
    write(directory, "a0", "a1")
    before, acknowledged = (directory / LOG).read_bytes(), (directory / HEAD).read_bytes()
    write(directory, "late")
    after = (directory / LOG).read_bytes()
    for length in range(len(before), len(after) + 1):
        (directory / LOG).write_bytes(after[:length] + rest)
        (directory / HEAD).write_bytes(acknowledged)
        assert read(directory) == ["a0", "a1", *(["late"] if length == len(after) else [])]
        write(directory, "next")
        assert read(directory)[-1] == "next"


def test_the_log_is_durable_before_its_head(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And that before it takes the place of the last one."""
    made, _ = opened(directory)
    done: list[str] = []

    def noting(place: Any, name: str, said: Callable[..., str]) -> None:
        call = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *arguments: (done.append(said(*arguments)), call(*arguments))[1])

    def name_of(descriptor: int) -> str:
        return Path(f"/proc/self/fd/{descriptor}").readlink().name

    noting(os, "write", lambda descriptor, _: f"write {name_of(descriptor)}")
    noting(os, "fsync", lambda descriptor: f"fsync {name_of(descriptor)}")
    noting(Path, "replace", lambda path, target: f"put {path.name}")
    made.append("a0")
    made.append("a1")
    made.commit()
    made.close()
    head = f".{HEAD}.draft"
    assert done == [f"write {LOG}", f"fsync {LOG}", f"write {head}", f"fsync {head}", f"put {head}"]


# Faults, in a process that goes on


@pytest.mark.parametrize(("place", "name"), [(os, "write"), (os, "fsync"), (Path, "replace"), (log, "new_file")])
def test_after_a_fault_nothing_of_it_counts(
    directory: Path, monkeypatch: pytest.MonkeyPatch, place: object, name: str
) -> None:
    """Not even where every line of it is found again: of what could not be synced nobody knows what is on the disk."""
    write(directory, "a0")
    made, _ = opened(directory)
    with monkeypatch.context() as patched:
        patched.setattr(place, name, failing)
        patched.setattr(os, "ftruncate", failing)
        made.append("late")
        with pytest.raises(OSError, match="Input/output"):
            made.commit()
    found: list[Any] = []
    made.open(lambda value, _: found.append(value))
    assert found == ["a0"]
    made.append("next")
    made.commit()
    made.close()
    assert read(directory) == ["a0", "next"]


def failing(*arguments: object, **named: object) -> None:
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize("name", ["write", "fsync"])
def test_after_a_fault_and_a_stop_nothing_of_it_counts(
    directory: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(directory, "a0")
    made, _ = opened(directory)
    with monkeypatch.context() as patched:
        patched.setattr(os, name, failing)
        made.append("late")
        with pytest.raises(OSError, match="Input/output"):
            made.commit()
    made.close()
    assert read(directory) == ["a0"]


def test_a_head_that_is_in_place_though_the_disk_denies_it(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then what it acknowledges counts: a log that ends before it would never be taken again."""
    made, _ = opened(directory)
    replace = Path.replace

    def denying(self: Path, target: Path) -> None:
        replace(self, target)
        failing()

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", denying)
        made.append("used")
        with pytest.raises(OSError, match="Input/output"):
            made.commit()
    found: list[Any] = []
    made.open(lambda value, _: found.append(value))
    made.close()
    assert found == read(directory) == ["used"]


def test_what_did_not_count_cannot_be_put_in_place_of_what_did(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = opened(directory)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", failing)
        patched.setattr(os, "ftruncate", failing)
        made.append("refused")
        with pytest.raises(OSError, match="Input/output"):
            made.commit()
    earlier = (directory / LOG).read_bytes()
    made.open(lambda value, _: None)
    made.append("counted")
    made.commit()
    made.close()
    (directory / LOG).write_bytes(earlier)
    with pytest.raises(StoreUnavailable, match="another log"):
        read(directory)


def test_while_it_lives_nothing_older_is_taken(directory: Path) -> None:
    """Not even both files together."""
    made, _ = opened(directory)
    made.append("approved")
    made.commit()
    older = [(directory / name, (directory / name).read_bytes()) for name in (LOG, HEAD)]
    made.append("used")
    made.commit()
    for path, content in older:
        path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="an older one was put back"):
        made.open(lambda value, _: None)
    made.close()


@pytest.mark.parametrize("spoil", ["unlinked", "replaced", "appended", "emptied"])
def test_a_file_that_is_altered_meanwhile_is_not_written_to(directory: Path, spoil: str) -> None:
    made, _ = opened(directory)
    path = directory / LOG
    content = path.read_bytes()
    if spoil in ("unlinked", "replaced"):
        path.unlink()
    if spoil == "replaced":
        path.write_bytes(content)
    elif spoil != "unlinked":
        path.write_bytes(content + b"x" if spoil == "appended" else b"")
    made.append("used")
    with pytest.raises(OSError, match=LOG):
        made.commit()
    made.close()


@pytest.mark.parametrize("name", [LOG, HEAD])
@pytest.mark.parametrize("kind", ["link", "nowhere", "pipe", "directory", "open-to-others"])
def test_only_files_of_the_owner_alone(directory: Path, name: str, kind: str) -> None:
    write(directory, "a0")
    path = directory / name
    if kind == "open-to-others":
        path.chmod(0o640)
    else:
        path.rename(directory / "elsewhere")
        if kind == "pipe":
            os.mkfifo(path, 0o600)
        elif kind == "directory":
            path.mkdir(0o700)
        else:
            path.symlink_to(directory / ("elsewhere" if kind == "link" else "nowhere"))
    with pytest.raises(OSError, match="regular file" if kind == "pipe" else "."):
        read(directory)


# Written anew


def test_a_log_written_anew_goes_on(directory: Path) -> None:
    write(directory, *range(20))
    renew(directory, 18, 19)
    write(directory, 20)
    renew(directory, 20)
    assert read(directory) == [20]
    renew(directory)
    assert read(directory) == []
    write(directory, 21)
    assert read(directory) == [21]


@pytest.mark.parametrize("attack", [lambda lines: lines[:-1], lambda lines: lines[:1]], ids=["the-last", "all"])
def test_lines_taken_off_a_log_written_anew(directory: Path, attack: Attack) -> None:
    """Whatever head is put beside it."""
    write(directory, *range(6))
    older = (directory / HEAD).read_bytes()
    renew(directory, 3, 4, 5)
    path = directory / LOG
    path.write_bytes(b"".join(attack(path.read_bytes().splitlines(keepends=True))))
    for head in ((directory / HEAD).read_bytes(), older):
        (directory / HEAD).write_bytes(head)
        with pytest.raises(StoreUnavailable, match="an older one was put back"):
            read(directory)


def test_it_stops_before_the_head_of_a_log_written_anew(directory: Path) -> None:
    write(directory, *range(6))
    head = (directory / HEAD).read_bytes()
    renew(directory, 4, 5)
    (directory / HEAD).write_bytes(head)
    assert read(directory) == [4, 5]


def test_an_older_log_and_what_it_became(directory: Path) -> None:
    write(directory, *range(6))
    log_before, head_before = (directory / LOG).read_bytes(), (directory / HEAD).read_bytes()
    renew(directory, 4, 5)
    log_after = (directory / LOG).read_bytes()
    (directory / LOG).write_bytes(log_before)
    with pytest.raises(StoreUnavailable, match="another log"):
        read(directory)
    (directory / LOG).write_bytes(log_after)
    write(directory, 6)
    renew(directory, 6)
    (directory / HEAD).write_bytes(head_before)
    with pytest.raises(StoreUnavailable):
        read(directory)


def test_a_draft_that_was_left_is_an_older_log(directory: Path) -> None:
    write(directory, "approved", "b", "c", "d")
    made, _ = opened(directory)
    left = made.draft(["approved", "b", "c", "d"]).path.read_bytes()
    made.append("used")
    made.commit()
    made.close()
    (directory / LOG).write_bytes(left)
    with pytest.raises(StoreUnavailable, match="an older one was put back"):
        read(directory)


@pytest.mark.parametrize("name", ["fsync", "write"])
def test_a_draft_that_cannot_be_written_leaves_everything(
    directory: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(directory, "a0", "a1")
    made, _ = opened(directory)
    with monkeypatch.context() as patched:
        patched.setattr(os, name, failing)
        with pytest.raises(OSError, match="Input/output"):
            made.draft(["a0"])
    assert {path.name for path in directory.iterdir()} == {LOG, HEAD}
    made.append("a2")
    made.commit()
    made.close()
    assert read(directory) == ["a0", "a1", "a2"]


@pytest.mark.parametrize(("place", "name"), [(Path, "replace"), (state, "sync_directory"), (log, "new_file")])
def test_a_fault_while_it_is_put_in_place(
    directory: Path, monkeypatch: pytest.MonkeyPatch, place: object, name: str
) -> None:
    write(directory, "a0", "a1")
    made, _ = opened(directory)
    draft = made.draft(["a1"])
    with monkeypatch.context() as patched:
        patched.setattr(place, name, failing)
        with pytest.raises(OSError, match="Input/output"):
            made.put(draft)
    found: list[Any] = []
    made.open(lambda value, _: found.append(value))
    assert found == (["a1"] if name == "new_file" else ["a0", "a1"])
    made.append("next")
    made.commit()
    made.close()
    assert read(directory)[-2:] == ["a1", "next"]


STOPPING = """\
import os, shutil, sys
from pathlib import Path
from lockgate.approvals import log
from lockgate.approvals.log import AuthenticatedLog
here = Path(sys.argv[1])

def opened(directory):
    found = []
    made = AuthenticatedLog(directory, b"k" * 32)
    made.open(lambda value, size: found.append(value))
    return made, found

def steps(at):
    # Stops the process before its call number `at`; before that, a write takes half.
    left = [at]
    def counted(place, name):
        call = getattr(place, name)
        def stopping(*arguments, **named):
            left[0] -= 1
            if left[0] < 0:
                if name == "write":
                    call(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os._exit(3)
            return call(*arguments, **named)
        setattr(place, name, stopping)
    for place, name in ((os, "write"), (os, "fsync"), (os, "open"), (os, "unlink"), (os, "ftruncate"), (os, "close"),
                        (os, "rename"), (Path, "replace"), (Path, "unlink"), (Path, "hardlink_to")):
        counted(place, name)

def first(directory):
    opened(directory)

def write(directory):
    made, _ = opened(directory)
    for value in ("b", "c"):
        made.append(value)
    made.commit()
    os.write(1, b"!")

def renew(directory):
    made, _ = opened(directory)
    made.put(made.draft(["a2", "a3"]))
    made.append("b")
    made.commit()
    os.write(1, b"!")

for act, before, after in (
    (first, [], [[]]),
    (write, ["a1", "a2", "a3"], [["a1", "a2", "a3"], ["a1", "a2", "a3", "b"], ["a1", "a2", "a3", "b", "c"]]),
    (renew, ["a1", "a2", "a3"], [["a1", "a2", "a3"], ["a2", "a3"], ["a2", "a3", "b"]]),
):
    at, seen = 0, []
    while True:
        directory = here / f"{act.__name__}{at}"
        directory.mkdir(mode=0o700)
        if before:
            made, _ = opened(directory)
            for value in before:
                made.append(value)
                made.commit()
            made.close()
        child = os.fork()
        if not child:
            steps(at)
            act(directory)
            os._exit(0)
        stopped = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert stopped in (0, 3), stopped
        made, found = opened(directory)
        assert found in after, (act.__name__, at, found)
        made.append("next")
        made.commit()
        made.close()
        assert opened(directory)[1] == [*found, "next"]
        seen.append(found)
        shutil.rmtree(directory)
        if not stopped:
            assert found == after[-1]
            break
        at += 1
    print(act.__name__, at)
    assert at > 5
    assert [*map(list, dict.fromkeys(map(tuple, seen)))] == after, seen
"""


def test_it_stops_at_every_step(directory: Path) -> None:
    """Of the first start, of a write, of a log being written anew: what was there is there, and in order."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", STOPPING, str(directory)], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.replace("!", "").splitlines()] == ["first", "write", "renew"]


def test_the_head_may_follow_a_moment_later(directory: Path) -> None:
    log, _ = opened(directory)
    before = (directory / HEAD).read_bytes()
    log.append("one")
    log.commit(with_head=False)
    assert (directory / HEAD).read_bytes() == before
    assert read(directory) == ["one"]  # where it stops just now
    log.settle()
    told = (directory / HEAD).read_bytes()
    assert told != before
    log.settle()
    assert (directory / HEAD).read_bytes() == told
    log.close()
    assert read(directory) == ["one"]


def test_a_log_is_written_anew_only_once_its_head_tells_of_it(directory: Path) -> None:
    log, _ = opened(directory)
    log.append("one")
    log.commit(with_head=False)
    draft = log.draft(["one"])
    log.close()  # it stops just now
    assert read(directory) == ["one"]
    assert draft.path.exists()
