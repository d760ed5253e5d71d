"""The script says in one line what is missing, and ends at once: no addon, no half-started gateway."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MAIN = Path(__file__).parents[1] / "addons" / "main.py"


def run(tmp_path: Path, mitmproxy: str | None) -> subprocess.CompletedProcess[str]:
    """Run the script with no package of anybody's in reach but a `mitmproxy` of this version."""
    script = tmp_path / "main.py"
    script.write_text(MAIN.read_text())
    if mitmproxy:
        package = tmp_path / "mitmproxy"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "version.py").write_text(f"VERSION = {mitmproxy!r}\n")
    return subprocess.run([sys.executable, "-S", "-B", script], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    ("mitmproxy", "said"),
    [
        pytest.param(None, "mitmproxy is not installed for this Python", id="no-mitmproxy"),
        pytest.param("11.1.3", "mitmproxy >=12.2.3,<12.3 is needed, this is 11.1.3", id="old"),
        pytest.param("12.2.2", "mitmproxy >=12.2.3,<12.3 is needed, this is 12.2.2", id="a-patch-too-old"),
        pytest.param("12.3.1", "mitmproxy >=12.2.3,<12.3 is needed, this is 12.3.1", id="new"),
        pytest.param("13.0.0.dev", "mitmproxy >=12.2.3,<12.3 is needed, this is 13.0.0.dev", id="dev"),
        pytest.param("12.2.3", "the Python package lockgate is missing", id="no-lockgate"),
        pytest.param("12.2.10", "the Python package lockgate is missing", id="a-later-patch-is-taken"),
    ],
)
def test_one_line_says_what_is_missing(tmp_path: Path, mitmproxy: str | None, said: str) -> None:
    done = run(tmp_path, mitmproxy)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"lockgate: {said}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("imports", "named"),
    [
        pytest.param("import a_package_nobody_has", "a_package_nobody_has", id="missing"),
        pytest.param("from json import a_name_nobody_has", "json", id="too-old"),
    ],
)
def test_the_dependency_is_named(tmp_path: Path, imports: str, named: str) -> None:
    package = tmp_path / "lockgate"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "chain.py").write_text(imports)
    done = run(tmp_path, "12.2.3")
    assert done.returncode == 1
    assert done.stderr.startswith(f"lockgate: the Python package {named} is missing or too old.")
    assert done.stderr.count("\n") == 1


def test_an_old_python_can_still_read_it() -> None:
    """Nothing in it is newer than Python 3.0: whoever runs it with an old one is told so, not shown a SyntaxError."""
    compile(MAIN.read_text(), "main.py", "exec", dont_inherit=True, _feature_version=4)
    assert 'f"' not in MAIN.read_text()
