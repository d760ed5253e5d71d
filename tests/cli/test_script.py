from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.cli.main import main


def test_it_names_a_script_that_hands_addons_to_mitmproxy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["script"]) == 0
    script = Path(capsys.readouterr().out.strip())
    assert script.name == "main.py"
    assert "addons" in script.read_text()
