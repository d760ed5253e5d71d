from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from lockgate.pushing import to_file
from lockgate.recordings import trust
from lockgate.recordings.checkpoints import Marking
from lockgate.recordings.files import in_order
from lockgate.recordings.recorder import Recorder
from lockgate.recordings.signing import Signer

Invoke = Callable[..., Result]
MakeState = Callable[..., dict[str, Any]]


def test_verify_says_ok(directory: Path, invoke: Invoke) -> None:
    result = invoke("verify")
    assert result.exit_code == 0
    assert result.stdout.startswith("ok: 6 records in 1 files; head 6:")
    assert json.loads(invoke("verify", "--json").stdout)["ok"] is True


def test_verify_names_the_first_bad_record(directory: Path, invoke: Invoke) -> None:
    [path] = in_order(directory)
    path.write_bytes(path.read_bytes().replace(b"/v1/req-2", b"/v1/req-9", 1))
    result = invoke("verify")
    assert result.exit_code == 1
    assert f"recordings/{path.name}: record 3 (offset " in result.stdout
    assert "flow-req-2): altered: its content does not have the hash that it states" in result.stdout
    fault = json.loads(invoke("verify", "--json").stdout)["fault"]
    assert (fault["kind"], fault["number"], fault["id"]) == ("altered", 3, "flow-req-2")


def test_verify_at_the_end_of_the_chain(directory: Path, invoke: Invoke) -> None:
    for path in in_order(directory):
        path.unlink()
    result = invoke("verify")
    assert result.exit_code == 1
    assert result.stdout == "recordings: at the end: removed: records 1 to 6 are missing at the end\n"


def test_verify_tells_a_torn_tail(directory: Path, invoke: Invoke) -> None:
    [path] = in_order(directory)
    path.write_bytes(path.read_bytes() + b"1234:half")
    result = invoke("verify")
    assert result.exit_code == 0
    assert "the last record is not whole; the next start of the gateway repairs it" in result.stdout
    assert json.loads(invoke("verify", "--json").stdout)["torn"]["file"].endswith(path.name)


# Signatures


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_state: MakeState) -> Path:
    """A recording as a gateway leaves it, its state beside it, and checkpoints pushed to a file."""
    monkeypatch.chdir(tmp_path)
    state = tmp_path / ".lockgate"
    state.mkdir(mode=0o700)
    pushed = tmp_path / "pushed.jsonl"

    def told(document: Mapping[str, Any]) -> None:
        line = json.dumps(document).encode()
        trust.note(state, line)
        to_file(pushed)(line)

    for run in range(2):
        recorder = Recorder("recordings", marking=Marking(trust.signer(state), told=told))
        recorder.start({})
        recorder.finish(f"flow-{run}", make_state(f"req-{run}", "allow", 200, "support", "crm"), "done")
        recorder.close()
    return tmp_path


def test_the_state_says_what_to_trust(signed: Path, invoke: Invoke) -> None:
    result = invoke("verify")
    assert result.exit_code == 0
    assert "ok: 8 records in 2 files" in result.stdout
    assert "signed up to record 7 with key" in result.stdout
    (signed / ".lockgate").rename(signed / "elsewhere")
    without = invoke("verify")
    assert without.exit_code == 0
    assert "signatures were not checked: no key is at hand; give --state or --key" in without.stdout
    assert "signed up to record 7" in invoke("verify", "--state", "elsewhere").stdout
    assert invoke("verify", "--state", "nowhere").exit_code != 0


def test_an_auditor_has_the_public_key_alone(signed: Path, invoke: Invoke) -> None:
    pem = invoke("key").stdout
    assert pem.startswith("-----BEGIN PUBLIC KEY-----")
    (signed / "key.pem").write_text(pem)
    result = invoke("verify", "--key", "key.pem", "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["signed"].partition(":")[0]) == (0, "7")
    (signed / "other.pem").write_bytes(Signer(b"o" * 32).verifier.pem)
    assert invoke("verify", "--key", "other.pem").exit_code == 1
    (signed / "no.pem").write_text("no key")
    assert "no.pem: not a public key in PEM" in invoke("verify", "--key", "no.pem").output


def test_a_directory_that_was_rolled_back(signed: Path, invoke: Invoke) -> None:
    newest = in_order(signed / "recordings")[-1]
    newest.unlink()
    shutil.rmtree(signed / "recordings" / "journal")
    rolled_back = "recordings: at the end: rolled-back: records 5 to 7 are missing at the end\n"
    assert invoke("verify").stdout == rolled_back
    (signed / "key.pem").write_text(invoke("key").stdout)
    assert invoke("verify", "--key", "key.pem").exit_code == 0  # nobody told it how far the chain had come
    result = invoke("verify", "--key", "key.pem", "--checkpoints", "pushed.jsonl")
    assert (result.exit_code, result.stdout) == (1, rolled_back)


def test_checkpoints_that_nobody_pushed(signed: Path, invoke: Invoke) -> None:
    (signed / "pushed.jsonl").write_text("{}\n")
    result = invoke("verify", "--checkpoints", "pushed.jsonl")
    assert "pushed.jsonl: line 1: no checkpoint" in result.output
