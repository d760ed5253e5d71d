from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from lockgate.recordings import trust

Invoke = Callable[..., Result]


@pytest.fixture
def exported(directory: Path, invoke: Invoke, tmp_path: Path) -> Path:
    """A signed export; the public key lies in `key.pem`."""
    (tmp_path / "state").mkdir(mode=0o700)
    verifier = trust.signer(tmp_path / "state").verifier
    (tmp_path / "key.pem").write_bytes(verifier.pem)
    file = tmp_path / "out.ocsf"
    assert invoke("export", "--format", "ocsf", "--state", tmp_path / "state", "-o", file).exit_code == 0
    return file


def test_with_recordings_and_key(exported: Path, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("verify", "--export", exported, "--key", tmp_path / "key.pem")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (
        0,
        "ok: 4 entries of records 1 to 6, as recordings says",
    )
    assert "signed with key " in result.stdout


def test_an_auditor_with_the_public_key_alone(exported: Path, invoke: Invoke, tmp_path: Path, directory: Path) -> None:
    shutil.rmtree(directory)
    key = tmp_path / "key.pem"
    result = invoke("verify", "--export", exported, "--key", key)
    assert result.exit_code == 0
    assert "no recordings were at hand to compare it with" in result.stdout
    exported.write_bytes(exported.read_bytes().replace(b"/v1/req-3", b"/v1/req-9"))
    result = invoke("verify", "--export", exported, "--key", key, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["fault"]["kind"] == "altered"
    assert invoke("verify", "--export", exported).exit_code == 2, "there is nothing to hold it against"


def test_the_entry_is_named(exported: Path, invoke: Invoke) -> None:
    exported.write_bytes(exported.read_bytes().replace(b"/v1/req-3", b"/v1/req-9"))
    result = invoke("verify", "--export", exported)
    assert result.exit_code == 1
    assert result.stdout == f"{exported}: line 3: altered: the entry of record 4 is not what the recordings say\n"


def test_a_manifest_that_was_edited(exported: Path, invoke: Invoke, tmp_path: Path) -> None:
    exported.write_bytes(exported.read_bytes().replace(b'"filters":{}', b'"filters":{"role":"billing"}'))
    result = invoke("verify", "--export", exported, "--state", tmp_path / "state")
    assert result.exit_code == 1
    assert "its manifest is not as this gateway signed it" in result.stdout


def test_one_that_is_not_signed_is_no_evidence_for_a_key(
    directory: Path, exported: Path, invoke: Invoke, tmp_path: Path
) -> None:
    assert invoke("export", "--format", "csv", "-o", exported).exit_code == 0
    assert invoke("verify", "--export", exported).exit_code == 0
    assert invoke("verify", "--export", exported, "--key", tmp_path / "key.pem").exit_code == 1


def test_what_is_no_export(directory: Path, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "no").write_text("no")
    result = invoke("verify", "--export", tmp_path / "no")
    assert result.exit_code == 1
    assert "its last line is no manifest" in result.output


def test_recordings_that_were_altered_are_said_first(directory: Path, exported: Path, invoke: Invoke) -> None:
    path = next(directory.glob("*.mitm"))
    path.write_bytes(path.read_bytes().replace(b"/v1/req-2", b"/v1/req-9", 1))
    result = invoke("verify", "--export", exported)
    assert result.exit_code == 1
    assert "record 3 (offset" in result.stdout
