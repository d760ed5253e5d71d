from __future__ import annotations

import json
from pathlib import Path

import pytest

from lockgate.errors import SetupError
from lockgate.recordings import trust
from lockgate.recordings.chain import START, Link
from lockgate.recordings.checkpoints import checkpoint
from lockgate.recordings.signing import Signer

LINK = Link(7, "ab" * 32)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    return directory


def test_before_the_first_start_nothing_is_known(state: Path) -> None:
    assert trust.known(state) is None
    assert trust.known(state / "nowhere") is None
    assert list(state.iterdir()) == []


def test_the_last_checkpoint_is_known(state: Path) -> None:
    signer = trust.signer(state)
    assert trust.reached(state, signer.verifier) == START
    trust.note(state, json.dumps(checkpoint(signer, LINK, 0.0)).encode())
    found = trust.known(state)
    assert found is not None
    assert (found.verifier.key_id, found.reached) == (signer.verifier.key_id, LINK)
    assert (state / "checkpoint.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        pytest.param(b"", "is no checkpoint", id="empty"),
        pytest.param(b"{", "is no checkpoint", id="torn"),
        pytest.param(json.dumps(checkpoint(Signer(b"o" * 32), LINK, 0.0)).encode(), "is not signed", id="another-key"),
    ],
)
def test_a_file_that_the_gateway_did_not_write(state: Path, content: bytes, wrong: str) -> None:
    trust.signer(state)
    trust.note(state, content)
    with pytest.raises(SetupError, match=wrong):
        trust.known(state)


def test_a_file_that_others_may_write(state: Path) -> None:
    trust.note(state, json.dumps(checkpoint(trust.signer(state), LINK, 0.0)).encode())
    (state / "checkpoint.json").chmod(0o666)
    with pytest.raises(SetupError, match="cannot be read"):
        trust.known(state)
