from __future__ import annotations

import json

import pytest

from lockgate.recordings.chain import Link
from lockgate.recordings.checkpoints import checkpoint, link_of, read_lines
from lockgate.recordings.signing import Signer

SIGNER = Signer(b"s" * 32)
LINK = Link(7, "ab" * 32)
SAID = checkpoint(SIGNER, LINK, 0.0)


def test_it_says_how_far_the_chain_had_come() -> None:
    assert link_of(SAID) == LINK
    assert SAID["time"] == "1970-01-01T00:00:00.000+00:00"
    assert SIGNER.verifier.is_signed(SAID)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {**SAID, "kind": "lockgate tombstone"},
        {**SAID, "number": "7"},
        {**SAID, "number": True},
        {**SAID, "hash": "x"},
        {**SAID, "hash": None},
    ],
)
def test_what_is_none(document: object) -> None:
    with pytest.raises(ValueError):
        link_of(document)


def test_pushed_lines() -> None:
    lines = [json.dumps(SAID).encode(), b"", json.dumps(checkpoint(SIGNER, Link(9, "cd" * 32), 1.0)).encode()]
    assert read_lines(lines, SIGNER.verifier) == [LINK, Link(9, "cd" * 32)]
    assert read_lines(lines, None) == [LINK, Link(9, "cd" * 32)]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        pytest.param(b"{", "line 2", id="no-json"),
        pytest.param(b"[" * 100_000, "line 2", id="deep"),
        pytest.param(b"{}", "line 2: no checkpoint", id="something-else"),
        pytest.param(json.dumps({**SAID, "number": 8}).encode(), "line 2: it is not signed", id="altered"),
        pytest.param(json.dumps(checkpoint(Signer(b"o" * 32), LINK, 0.0)).encode(), "not signed", id="another-key"),
    ],
)
def test_a_line_that_nobody_pushed(line: bytes, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        read_lines([json.dumps(SAID).encode(), line], SIGNER.verifier)
