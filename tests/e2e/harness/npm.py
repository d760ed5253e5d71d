"""Packages of npm that tests use, installed as their lock file says."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest


def install(source: Path, config: pytest.Config) -> Path:
    """Copy `source` into pytest's cache and install what it needs there; the place. Skips where that cannot be done."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{source.name} needs {' and '.join(missing)}")
    version = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:16]
    place = config.cache.mkdir(f"npm-{source.name}-{version}")
    for file in source.iterdir():
        if file.is_file():
            shutil.copy(file, place)
    if not (place / "node_modules" / ".package-lock.json").exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install {source.name}: {done.stderr.strip().splitlines()[-1]}")
    return place
