from __future__ import annotations

from typing import Any

import pytest

from lockgate.recordings.chain import Link
from lockgate.recordings.exports.entry import Leaving
from lockgate.recordings.exports.manifest import FORMATS, Manifest, Plan, manifest_of
from lockgate.recordings.exports.selection import Selection

PLAN = Plan("har", Selection(role="support"), Leaving(("$.amount", "header:x-team"), bodies=False))
MANIFEST = Manifest(PLAN, "1.0", 1700000000000, 3, Link(9, "ab" * 32), 4, "cd" * 32)


@pytest.mark.parametrize("name", FORMATS)
def test_it_is_read_as_it_was_written(name: str) -> None:
    shape = FORMATS[name]
    assert manifest_of(shape.manifest_in(shape.tail(MANIFEST.document()).rstrip(b"\n"))) == MANIFEST


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"kind": "lockgate checkpoint"}, id="kind"),
        pytest.param({"version": 2}, id="version"),
        pytest.param({"format": "xml"}, id="format"),
        pytest.param({"redact": "$.amount"}, id="redact"),
        pytest.param({"redact": ["amount"]}, id="redact what"),
        pytest.param({"bodies": 1}, id="bodies"),
        pytest.param({"first": True}, id="first"),
        pytest.param({"head": {"number": 9, "hash": "ab"}}, id="hash"),
        pytest.param({"head": None}, id="head"),
        pytest.param({"filters": {"colour": "red"}}, id="filters"),
        pytest.param({"entries": "4"}, id="entries"),
    ],
)
def test_what_is_no_manifest(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        manifest_of(MANIFEST.document() | change)
