"""Mutation testing: changes the policy's code in one place at a time and counts which changes the tests notice.

Started by `scripts/check --deep`. The mutants and what became of them stay in `.lockgate/mutation`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
CODE = ROOT / "addons"
POLICY = CODE / "lockgate" / "policy"
WORK = ROOT / ".lockgate" / "mutation"
FLOOR = 0.78  # of all mutants are noticed

# mutmut takes sources from `src` alone, so the project is laid out for it anew, from links: name there, place here.
DATA = ("rules", "examples", "docs", "README.md")  # what tests read beside the code
LINKS = {"src": "addons"} | {name: name for name in ("tests", "pyproject.toml", *DATA)}

# Slow tests are left out, as mutants by the thousand would wait for them: those of conditions that would run for
# minutes, those that measure time, which code with mutants in it takes too much of, and the comparison with a second
# evaluator. So is the garbage collection that pytest ends each run with.
TESTS = ["-k", "not (run_long or judged_soon or takes_long)", "--ignore=tests/policy/test_language.py"]
TESTS += ["-p", "no:cacheprovider", "-p", "no:unraisableexception"]

# A mutated function stands behind two more frames, which recursive ones pay at each level.
MUTMUT = "import sys; sys.setrecursionlimit(5_000); from mutmut.__main__ import cli; cli(prog_name='mutmut')"

NOTICED = {"killed", "timeout"}  # a test that no longer ends notices too
PHASE = re.compile(r"(?:Generating|Running) [a-z ]+[a-z]")
PROGRESS = re.compile(r"(\d+)/(\d+) ")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/check --deep", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or directories of the policy")
    options = parser.parse_args()
    files = [file for path in options.paths or [POLICY] for file in python_files(path)]
    lay_out(files)
    print(f"Mutating {len(files)} files of {POLICY.relative_to(ROOT)} ...", flush=True)
    run_mutmut()
    found = results()
    if not found:
        sys.exit("scripts/check: nothing in these files can be mutated")
    return report(found)


def python_files(path: Path) -> list[Path]:
    """The Python files that `path` names. Ends the run where they are none of the policy's."""
    path = path.resolve()
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    if not path.is_relative_to(POLICY) or not path.exists() or not files:
        sys.exit(f"scripts/check: {path} is no code of the policy: name a file in {POLICY.relative_to(ROOT)}")
    return files


def lay_out(files: Iterable[Path]) -> None:
    """Makes the directory that mutmut runs in, from nothing: what it remembers of other code would count here."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True, mode=0o700)
    for name, place in LINKS.items():
        (WORK / name).symlink_to(ROOT / place)
    settings: dict[str, Sequence[str]] = {
        "source_paths": ["src"],
        "only_mutate": [f"src/{file.relative_to(CODE).as_posix()}" for file in files],
        "also_copy": DATA,
        "pytest_add_cli_args_test_selection": ["tests/policy"],
        "pytest_add_cli_args": TESTS,
    }
    lines = [f"{name} =\n" + "".join(f"  {value}\n" for value in values) for name, values in settings.items()]
    (WORK / "setup.cfg").write_text("[mutmut]\n" + "".join(lines))


def run_mutmut() -> None:
    """Runs it to its end, telling how far it is. Ends the run, with what it said last, where it fails."""
    command = [sys.executable, "-c", MUTMUT, "run", "--max-children", "2"]
    environment = os.environ | {"CI": "true"}  # in CI, properties try the same cases each time
    said, tell = deque[str](maxlen=40), teller()
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=WORK, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            said.append(line)
            tell(line)
    if run.returncode != 0:
        sys.exit("".join(said) + f"\nscripts/check: mutmut failed with {run.returncode}; what it said last is above")


def teller() -> Callable[[str], None]:
    """Tells of what mutmut says which phase it is in and, now and then, how many mutants it has tested."""
    phase, again = "", 0.0

    def tell(line: str) -> None:
        nonlocal phase, again
        begun, counted = PHASE.search(line), PROGRESS.search(line)
        if begun and begun[0] != phase:
            phase = begun[0]
            print(f"  {phase.lower()}", flush=True)
        elif counted and time.monotonic() >= again:
            again = time.monotonic() + 30
            print(f"  {counted[1]} of {counted[2]} mutants tested", flush=True)

    return tell


def results() -> dict[str, Counter[str]]:
    """How many mutants of each module came to what."""
    command = [sys.executable, "-c", MUTMUT, "results", "--all", "true"]
    done = subprocess.run(command, cwd=WORK, capture_output=True, text=True, check=True)
    found: dict[str, Counter[str]] = {}
    for line in done.stdout.splitlines():
        mutant, _, outcome = line.strip().partition(": ")
        found.setdefault(mutant.rpartition(".")[0], Counter())[outcome] += 1
    return found


def report(found: Mapping[str, Counter[str]]) -> int:
    console = Console(width=110, highlight=False)
    table = Table(title="Mutants")
    for heading in ("module", "all", "noticed", "survived", "untested", "other", "score"):
        table.add_column(heading, justify="left" if heading == "module" else "right")
    for module, outcomes in sorted(found.items(), key=lambda each: score(each[1])):
        table.add_row(module, *cells(outcomes))
    whole = sum(found.values(), Counter())
    table.add_section()
    table.add_row("together", *cells(whole))
    console.print(table)
    here = WORK.relative_to(ROOT)
    console.print(f"To look at those that survived, with {here} as working directory:")
    console.print("  ../../.venv/bin/mutmut results       their names")
    console.print("  ../../.venv/bin/mutmut show NAME     what was changed")
    console.print("  ../../.venv/bin/mutmut browse        all of it, in the terminal")
    if score(whole) < FLOOR:
        console.print(f"{score(whole):.1%} of the mutants were noticed; at least {FLOOR:.0%} must be.")
        return 1
    return 0


def cells(outcomes: Counter[str]) -> list[str]:
    """A row of the table. Where no test runs the code at all, nobody notices."""
    noticed = sum(outcomes[outcome] for outcome in NOTICED)
    survived, untested = outcomes["survived"], outcomes["no tests"]
    counts = (outcomes.total(), noticed, survived, untested, outcomes.total() - noticed - survived - untested)
    return [*(f"{count:,}" for count in counts), f"{score(outcomes):.1%}"]


def score(outcomes: Counter[str]) -> float:
    return sum(outcomes[outcome] for outcome in NOTICED) / outcomes.total()


if __name__ == "__main__":
    sys.exit(main())
