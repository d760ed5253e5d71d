from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lockgate.errors import RulesNotKept
from lockgate.history.generations import Generations
from lockgate.policy.generation import Generation
from lockgate.policy.load import identify
from lockgate.recordings.generations import keep


@pytest.fixture
def kept(directory: Path, rules: Generation) -> Path:
    directory.mkdir()
    keep(directory, rules.id, rules.files)
    return directory / "generations" / rules.id


def test_what_was_kept_is_loaded_once(kept: Path, directory: Path, rules: Generation) -> None:
    generations = Generations(directory)
    judge = generations.judge(rules.id)
    assert judge.generation.id == rules.id
    shutil.rmtree(kept)
    assert generations.judge(rules.id) is judge


def test_what_was_pruned_is_an_error(kept: Path, directory: Path, rules: Generation) -> None:
    shutil.rmtree(kept)
    with pytest.raises(RulesNotKept, match=r"pruned\? put them back from a copy"):
        Generations(directory).judge(rules.id)


@pytest.mark.parametrize("name", ["", "..", "../../etc", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_a_name_that_is_none_is_no_path(kept: Path, directory: Path, name: str) -> None:
    with pytest.raises(RulesNotKept, match="names no generation"):
        Generations(directory).judge(name)


@pytest.mark.parametrize("name", ["roles/support.yaml", "new.yaml", "gateway.yaml"])
def test_what_was_altered_is_not_what_decided(kept: Path, directory: Path, rules: Generation, name: str) -> None:
    path = kept / name
    path.write_bytes((path.read_bytes() if path.exists() else b"") + b"# more\n")
    with pytest.raises(RulesNotKept, match="altered"):
        Generations(directory).judge(rules.id)


def test_what_can_no_longer_be_loaded_says_why(directory: Path) -> None:
    files = {"gateway.yaml": b"issuers: 3\n", "targets.yaml": b"targets: {}\n"}
    directory.mkdir()
    keep(directory, identify(files), files)
    with pytest.raises(RulesNotKept, match=r"cannot be loaded: gateway\.yaml"):
        Generations(directory).judge(identify(files))
