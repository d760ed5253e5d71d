from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lockgate.recordings.exports.check import read_export
from lockgate.recordings.exports.manifest import FORMATS, Plan
from lockgate.recordings.exports.selection import Selection
from lockgate.recordings.exports.write import Lines, write
from lockgate.recordings.signing import Signer

SIGNER = Signer(b"k" * 32)


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_ends_with_what_it_is(directory: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "export"
    with path.open("wb") as out:
        manifest = write(Lines(directory, Plan(name)), out.write, "1.0", 1700000000.0, SIGNER)
    assert (manifest.first, manifest.head.number, manifest.entries) == (1, 6, 6)
    export = read_export(path)
    assert export.manifest == manifest
    assert export.is_signed_by(SIGNER.verifier)
    assert not export.is_signed_by(Signer(b"x" * 32).verifier)
    assert hashlib.sha256(path.read_bytes()[: export.end]).hexdigest() == manifest.digest


def test_only_what_was_asked_for(directory: Path) -> None:
    out: list[bytes] = []
    manifest = write(Lines(directory, Plan("ocsf", Selection(role="billing"))), out.append, "1.0", 0.0, None)
    assert manifest.entries == 0
    assert len(b"".join(out).splitlines()) == 1
    assert "signature" not in json.loads(out[-1])["unmapped"]["lockgate_export"]


def test_what_was_altered_is_not_exported(directory: Path) -> None:
    path = min(directory.iterdir())
    path.write_bytes(path.read_bytes().replace(b"/v1/orders/2", b"/v1/orders/9", 1))
    lines = Lines(directory, Plan("csv"))
    assert [link.number for link, _ in lines] == [1, 3, 4, 5, 6]
    assert len(lines.damaged) == 1
    assert "is not as it was written" in lines.damaged[0]


def test_nothing_of_it_is_kept(directory: Path) -> None:
    seen: list[int] = []
    lines = iter(Lines(directory, Plan("har"), progress=seen.append))
    next(lines)
    assert len(seen) == 1, "no record is read before it is asked for"
