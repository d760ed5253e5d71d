from __future__ import annotations

import pytest

from lockgate.recordings.chain import Link
from lockgate.recordings.signing import Signer
from lockgate.recordings.tombstones import Pruned, link_of, tombstone

SIGNER = Signer(b"s" * 32)
FILES = [
    Pruned("2026-01-01T000000Z-0001.mitm", Link(1, "aa" * 32), Link(5, "bb" * 32), 100),
    Pruned("2026-01-02T000000Z-0002.mitm", Link(6, "cc" * 32), Link(9, "dd" * 32), 200),
]
SAID = tombstone(SIGNER, FILES, "older than 90 days", 0.0)


def test_it_says_what_went_and_up_to_where() -> None:
    assert link_of(SAID) == Link(9, "dd" * 32)
    assert SAID["why"] == "older than 90 days"
    assert SAID["files"][0] == {
        "name": "2026-01-01T000000Z-0001.mitm",
        "first": [1, "aa" * 32],
        "last": [5, "bb" * 32],
        "size": 100,
    }
    assert SIGNER.verifier.is_signed(SAID)


@pytest.mark.parametrize("document", [None, {}, {**SAID, "kind": "lockgate checkpoint"}, {**SAID, "number": "9"}])
def test_what_is_none(document: object) -> None:
    with pytest.raises(ValueError, match="no tombstone"):
        link_of(document)
