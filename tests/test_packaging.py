"""What is shipped is what is tested: the wheel, the editable install and the bare checkout hold the same package."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import os
import re
import site
import subprocess
import sys
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.expect import refused
from harness.gateway import Gateway, free_port
from harness.issuer import Issuer
from harness.rules import rules as rule_files

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Prints {path in the package: SHA-256} of the lockgate that an interpreter imports, and where it lies.
DESCRIBE = """
import hashlib, json, pathlib, lockgate
root = pathlib.Path(lockgate.__file__).parent
files = {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
         for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
print(json.dumps({"root": str(root), "version": lockgate.__version__, "files": files}))
"""

SCRIPTS = {"main.py", "views.py"}  # what mitmproxy loads


@dataclass(frozen=True)
class Installed:
    root: Path
    version: str
    files: dict[str, str]


def describe(python: str | Path, *options: str, **environment: str) -> Installed:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    finished = subprocess.run(
        [str(python), *options, "-c", DESCRIBE], env=clean | environment, cwd="/", capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    return Installed(Path(found["root"]), found["version"], found["files"])


def checkout_files() -> dict[str, str]:
    root = ROOT / "addons" / "lockgate"
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    finished = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def wheel_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter whose lockgate is the wheel's, with the dependencies of the one that runs the tests."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    (packages,) = (home / "lib").glob("python*/site-packages")
    finished = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    # Plain path entries come after this venv's own site-packages, and their .pth files are not read: so the editable
    # install of this checkout stays out of sight.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return python


def test_wheel_holds_the_checkout_and_the_script(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {
            name.removeprefix("lockgate/"): hashlib.sha256(archive.read(name)).hexdigest()
            for name in archive.namelist()
            if ".dist-info/" not in name
        }
    scripts = {f"script/{name}": hashlib.sha256((ROOT / "addons" / name).read_bytes()).hexdigest() for name in SCRIPTS}
    assert packed == checkout_files() | scripts


def test_wheel_editable_and_checkout_are_the_same_package(wheel_python: Path) -> None:
    from_wheel = describe(wheel_python)
    editable = describe(sys.executable)
    bare = describe(sys.executable, "-S", PYTHONPATH=str(ROOT / "addons"))  # -S: nothing installed is in sight
    assert from_wheel.root.is_relative_to(wheel_python.parents[1])
    assert editable.root == bare.root == ROOT / "addons" / "lockgate"
    for name in SCRIPTS:
        assert from_wheel.files.pop(f"script/{name}")
    assert from_wheel.files == editable.files == bare.files == checkout_files()
    assert from_wheel.version == editable.version == bare.version == importlib.metadata.version("lockgate")


def test_wheel_script_stands_alone(wheel_python: Path) -> None:
    """mitmproxy puts a script's directory first on `sys.path`: nothing in it may shadow a module."""
    script = describe(wheel_python).root / "script"
    assert {path.name for path in script.iterdir() if path.name != "__pycache__"} == SCRIPTS


def test_wheel_runs_the_chain(wheel_python: Path, tmp_path: Path) -> None:
    """As an operator runs it: `mitmdump -s` with the script that lies in the installed package."""
    script = describe(wheel_python).root / "script" / "main.py"
    issuer = Issuer()
    rules = rule_files(free_port(), free_port(), issuer.jwks)
    gateway = Gateway(tmp_path, rules, python=wheel_python, script=script)
    try:
        gateway.start()
        wire, reply = gateway.connect(None)
        with wire:
            refused(reply, 407)
        refused(gateway.ask("GET", "/nowhere", issuer.token("support")), 403)
        assert gateway.stop() == 0
    finally:
        gateway.kill9()


EXTRAS = ("saml", "aws", "keyring")  # imported where they are asked for, with a word on how to install them


def test_every_import_is_a_declared_dependency() -> None:
    """What the package imports is declared by us, not left to what mitmproxy happens to bring."""
    names = importlib.metadata.packages_distributions()
    project = PYPROJECT["project"]
    lines = [*project["dependencies"], *(line for extra in EXTRAS for line in project["optional-dependencies"][extra])]
    declared = {normal(re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0]) for line in lines}
    imported: dict[str, str] = {}
    for path in (ROOT / "addons").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            imported |= {module.partition(".")[0]: path.name for module in modules}
    third_party = {name: by for name, by in imported.items() if name not in sys.stdlib_module_names | {"lockgate"}}
    undeclared = {
        name: by for name, by in third_party.items() if not declared & {normal(dist) for dist in names.get(name, [])}
    }
    assert third_party
    assert undeclared == {}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
