from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from lockgate.recordings import trust
from lockgate.recordings.signing import Verifier

Invoke = Callable[..., Result]


def test_it_prints_the_public_key(tmp_path: Path, invoke: Invoke) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    signer = trust.signer(state)
    result = invoke("key", "--state", state)
    assert Verifier.of_pem(result.stdout.encode()).is_signed(signer.signed({"a": 1}))
    assert result.stderr == f"key {signer.verifier.key_id}\n"
    seed = (state / "signing.key").read_bytes()
    assert seed.hex() not in result.output


def test_where_no_gateway_was_started_it_makes_none(tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("key", "--state", tmp_path)
    assert "has no signing key" in result.output
    assert list(tmp_path.iterdir()) == []
