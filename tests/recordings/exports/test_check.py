"""Exports that somebody has edited: every entry, in every way, in every format."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.recordings.chain import Kind
from lockgate.recordings.exports.check import ExportFault, entries_fault, origin_fault, read_export
from lockgate.recordings.exports.entry import Leaving
from lockgate.recordings.exports.manifest import FORMATS, Plan
from lockgate.recordings.exports.write import Lines, write
from lockgate.recordings.signing import Signer, Verifier

SIGNER = Signer(b"k" * 32)
HEADINGS = {"har": 1, "ocsf": 0, "csv": 1}
Edit = Callable[[list[bytes], int], list[bytes]]


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, directory: Path, tmp_path: Path) -> Path:
    found = tmp_path / f"export.{request.param}"
    with found.open("wb") as out:
        write(Lines(directory, Plan(request.param, leaving=Leaving(("$.amount",)))), out.write, "1.0", 0.0, SIGNER)
    return found


def fault(path: Path, directory: Path, verifier: Verifier | None = None) -> ExportFault | None:
    export = read_export(path)
    manifest = export.manifest
    lines = Lines(directory, manifest.plan, since=manifest.first, last=manifest.head.number)
    return entries_fault(export, lines) or origin_fault(export, verifier)


def edited(path: Path, edit: Edit, index: int) -> int:
    """Edit an entry as somebody would who keeps the file well-formed; the line it was in, from 1."""
    kind = path.suffix[1:]
    lines = path.read_bytes().splitlines()
    before = HEADINGS[kind]
    entries = edit([line.removeprefix(b",") if kind == "har" else line for line in lines[before:-1]], index)
    if kind == "har":
        entries = [b"," * bool(number) + line for number, line in enumerate(entries)]
    path.write_bytes(b"\n".join([*lines[:before], *entries, lines[-1], b""]))
    return before + index + 1


def alter(lines: list[bytes], index: int) -> list[bytes]:
    return [*lines[:index], lines[index].replace(b"api.crm.example", b"api.crm.exemple"), *lines[index + 1 :]]


def remove(lines: list[bytes], index: int) -> list[bytes]:
    return [*lines[:index], *lines[index + 1 :]]


def insert(lines: list[bytes], index: int) -> list[bytes]:
    other = re.sub(rb'("number":\s*|^)%d\b' % (index + 1), rb"\g<1>99", lines[index], count=0)
    return [*lines[:index], other, *lines[index:]]


def repeat(lines: list[bytes], index: int) -> list[bytes]:
    return [*lines[:index], lines[index - 1], *lines[index:]]


def swap(lines: list[bytes], index: int) -> list[bytes]:
    return [*lines[:index], lines[index + 1], lines[index], *lines[index + 2 :]]


@pytest.mark.parametrize(
    ("edit", "indexes", "kind"),
    [
        pytest.param(alter, range(6), Kind.ALTERED, id="altered"),
        pytest.param(remove, range(6), Kind.REMOVED, id="removed"),
        pytest.param(insert, range(6), Kind.INSERTED, id="inserted"),
        pytest.param(repeat, range(1, 6), Kind.INSERTED, id="repeated"),
        pytest.param(swap, range(5), Kind.REORDERED, id="swapped"),
    ],
)
def test_the_first_entry_that_differs_is_named(
    path: Path, directory: Path, edit: Edit, indexes: range, kind: Kind
) -> None:
    whole = path.read_bytes()
    assert fault(path, directory, SIGNER.verifier) is None
    for index in indexes:
        path.write_bytes(whole)
        line = edited(path, edit, index)
        found = fault(path, directory)
        assert found is not None
        assert (found.kind, found.line) == (kind, line), found
        assert origin_fault(read_export(path), SIGNER.verifier) is not None, "without the recordings it shows too"


def test_every_byte_counts(path: Path, directory: Path) -> None:
    """A bit flipped anywhere is found, or the manifest is none any more, or not signed."""
    whole = path.read_bytes()
    for position in [*range(0, len(whole) - 1, 211), len(whole) - 2]:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            export = read_export(path)
        except ValueError:
            continue
        assert origin_fault(export, SIGNER.verifier) is not None, position
        if position < export.end:
            assert fault(path, directory) is not None, position


def test_a_manifest_of_somebody_elses(path: Path, directory: Path) -> None:
    kind = path.suffix[1:]
    with path.open("wb") as out:
        write(Lines(directory, Plan(kind)), out.write, "1.0", 0.0, Signer(b"x" * 32))
    found = origin_fault(read_export(path), SIGNER.verifier)
    assert found is not None
    assert found.detail == "its manifest is not as this gateway signed it"
    with path.open("wb") as out:
        write(Lines(directory, Plan(kind)), out.write, "1.0", 0.0, None)
    found = origin_fault(read_export(path), SIGNER.verifier)
    assert found is not None
    assert found.detail == "it is not signed"


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{}", b"[1]\n", b'"# lockgate export [" \n', b"\xff" * 70_000, b'{"unmapped": 1}\n']
)
def test_what_is_no_export(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="its last line is no manifest"):
        read_export(path)


def test_records_that_came_later_do_not_count(path: Path, directory: Path) -> None:
    """The gateway goes on while an export lies about."""
    files = sorted(directory.iterdir())
    late = files[1].read_bytes()
    files[1].write_bytes(b"")
    with path.open("wb") as out:
        write(Lines(directory, Plan(path.suffix[1:])), out.write, "1.0", 0.0, None)
    files[1].write_bytes(late)
    assert fault(path, directory) is None
