from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from lockgate.recordings import trust
from lockgate.recordings.checkpoints import Marking
from lockgate.recordings.files import in_order
from lockgate.recordings.recorder import Recorder
from lockgate.recordings.verify import verify

Invoke = Callable[..., Result]
MakeState = Callable[..., dict[str, Any]]
OLD = 1_600_000_000.0


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_state: MakeState) -> Path:
    """Two files of long ago, and one of today."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".lockgate").mkdir(mode=0o700)
    marking = Marking(trust.signer(tmp_path / ".lockgate"))
    for clock in (lambda: OLD, lambda: OLD + 86400, None):
        recorder = Recorder("recordings", marking=marking, **({"clock": clock} if clock else {}))
        recorder.start()
        recorder.close()
    return tmp_path / "recordings"


def test_old_files_go_and_the_rest_verifies(old: Path, invoke: Invoke) -> None:
    first, second, last = in_order(old)
    dry = invoke("prune", "--older-than", "30d", "--dry-run")
    assert dry.stdout.splitlines() == [
        f"{path.name}: records {begin} to {begin + 2}, {path.stat().st_size} bytes: would go"
        for path, begin in ((first, 1), (second, 4))
    ]
    assert len(in_order(old)) == 3
    told = json.loads(invoke("prune", "--older-than", "30d", "--json").stdout)
    assert [each["file"] for each in told] == [first.name, second.name]
    assert in_order(old)[0] == last
    verifier = trust.signer(Path(".lockgate")).verifier
    report = verify(old, verifier=verifier)
    assert (report.fault, report.first) == (None, 7)
    assert report.pruned is not None
    assert report.pruned.number == 6
    assert "pruned: records up to 6, as a tombstone says" in invoke("verify").stdout
    assert "is old enough" in invoke("prune", "--older-than", "30d").stdout


def test_while_a_gateway_records_it_prunes_by_itself(old: Path, invoke: Invoke) -> None:
    recorder = Recorder(old)
    recorder.start()
    result = invoke("prune", "--older-than", "30d")
    assert result.exit_code != 0
    assert "let it prune by itself with recordings.keep" in result.output
    assert invoke("prune", "--older-than", "30d", "--dry-run").exit_code == 0
    recorder.close()


def test_nothing_goes_unsigned(old: Path, invoke: Invoke) -> None:
    result = invoke("prune", "--older-than", "30d", "--state", "elsewhere")
    assert result.exit_code != 0
    assert len(in_order(old)) == 3
