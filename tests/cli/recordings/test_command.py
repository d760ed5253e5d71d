from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Invoke = Callable[..., Result]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["verify", "nowhere"], 2, id="no-directory"),
        pytest.param(["verify", "file"], 2, id="a-file"),
        pytest.param(["verify", ".", "--head", "x"], 2, id="no-head"),
        pytest.param(["list"], 2, id="no-default-directory"),
        pytest.param(["list", "--verdict", "maybe"], 2, id="no-verdict"),
    ],
)
def test_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke, arguments: list[str], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert invoke(*arguments).exit_code == code
