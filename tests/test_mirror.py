"""Tests mirror the source by name: `lockgate/policy/load.py` is tested by `tests/policy/test_load.py`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "addons" / "lockgate"
TESTS = ROOT / "tests"

# Modules with no test file of their own, and where they are tested instead: what only a whole proxy can show.
TESTED_ELSEWHERE = {
    "approvals/store.py": "approvals/test_tinydb.py",
    "asking.py": "e2e/test_records.py",
    "chain.py": "e2e/test_faults.py",
    "projection.py": "stages/test_record.py",
    "outbound.py": "identity/test_fetch.py",
    "proxy/answers.py": "e2e/test_upstream.py",
    "proxy/gateway.py": "e2e/test_lock.py",
    "proxy/latch.py": "e2e/test_script.py",
    "proxy/sentinel.py": "e2e/test_script.py",
    "proxy/views.py": "e2e/test_mitmweb.py",
    "proxy/web.py": "e2e/test_mitmweb.py",
    "runtime.py": "e2e/test_lock.py",
}

# Test files about the project as a whole rather than one module.
ABOUT_THE_WHOLE = {
    "actions/test_fuzz.py",
    "policy/test_attack_language.py",
    "policy/test_fuzz.py",
    "policy/test_language.py",
    "policy/test_wrong_files.py",
    "test_docs.py",
    "test_main.py",
    "test_mirror.py",
    "test_packaging.py",
}


def modules() -> set[str]:
    return {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if path.name != "__init__.py"}


def unit_tests() -> set[str]:
    paths = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    return {path.as_posix() for path in paths if path.parts[0] != "e2e"} - ABOUT_THE_WHOLE


def mirror_of(module: str) -> str:
    path = Path(module)
    return path.with_name(f"test_{path.name}").as_posix()


def test_every_module_has_its_tests() -> None:
    missing = {module for module in modules() - TESTED_ELSEWHERE.keys() if mirror_of(module) not in unit_tests()}
    assert not missing, f"write tests/{{{', '.join(sorted(map(mirror_of, missing)))}}}"


def test_every_test_file_has_its_module() -> None:
    orphans = unit_tests() - {mirror_of(module) for module in modules()}
    assert not orphans, f"these test no module of their name: {sorted(orphans)}"


def test_exceptions_are_real() -> None:
    """An entry whose module is gone, or has its own tests by now, or whose stand-in is missing, must go."""
    gone = TESTED_ELSEWHERE.keys() - modules()
    own = {module for module in TESTED_ELSEWHERE if mirror_of(module) in unit_tests()}
    missing = {test for test in TESTED_ELSEWHERE.values() if not (TESTS / test).is_file()}
    assert (gone, own, missing) == (set(), set(), set())


def test_no_test_directory_is_a_package() -> None:
    """With `--import-mode=importlib` an `__init__.py` would make test names collide with the package's."""
    found = [path for path in TESTS.rglob("__init__.py") if "harness" not in path.parts]
    assert not found
