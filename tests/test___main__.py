from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lockgate import __version__

SOURCE = Path(__file__).parents[1] / "addons"


def test_module_runs_the_command():
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", "--version"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"lockgate {__version__}\n", "")
