"""Mutation testing: changes the policy's code in one place at a time and counts which changes the tests notice.

Started by `scripts/check --deep`. The mutants and what became of them stay in `.lockgate/mutation`: a run that was
stopped goes on where it was, as long as neither the code nor the tests have changed. Mutants are tested in rounds, each
of them spread evenly over all functions, so that the score of a part says what the score of the whole will be.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import FrameType

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
TESTS = ["-k", "not (run_long or judged_soon or refused_soon or takes_long)", "--ignore=tests/policy/test_language.py"]
TESTS += ["-p", "no:cacheprovider", "-p", "no:unraisableexception"]

# A mutated function stands behind two more frames, which recursive ones pay at each level.
MUTMUT = "import sys; sys.setrecursionlimit(5_000); from mutmut.__main__ import cli; cli(prog_name='mutmut')"

NOTICED = {"killed", "timeout"}  # a test that no longer ends notices too
UNKNOWN = "not checked"
FIRST = "*__mutmut_1"  # the first mutant of each function: the round that makes them all
ROUND = 200  # mutants: each round begins with the tests that they need, without any mutant
MAX_NAMED = 40  # survivors that are printed
PHASE = re.compile(r"(?:Generating|Running) [a-z ]+[a-z]")
PROGRESS = re.compile(r"(\d+)/(\d+) ")


class Stopped(Exception):
    """Raised by a signal: what is known by then is told."""

    def __init__(self, number: int) -> None:
        self.number = number


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/check --deep", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or directories of the policy")
    parser.add_argument("--minutes", type=float, help="stop after so many, with an even sample of all mutants tested")
    parser.add_argument("--jobs", type=int, default=2, help="mutants that are tested at a time (2)")
    parser.add_argument("--fresh", action="store_true", help="forget the results of runs before")
    options = parser.parse_args()
    files = [file for path in options.paths or [POLICY] for file in python_files(path)]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    goes_on = lay_out(files, options.fresh)
    print(f"{'Going on' if goes_on else 'Mutating'}: {len(files)} files of {POLICY.relative_to(ROOT)}", flush=True)
    stopped = 0
    try:
        mutate(options.jobs, time.monotonic() + options.minutes * 60 if options.minutes else None)
    except Stopped as signalled:
        stopped = 128 + signalled.number
    found = results()
    if not found:
        sys.exit(stopped or "scripts/check: nothing in these files can be mutated")
    return report(found) or stopped


def stop(number: int, _: FrameType | None) -> None:
    raise Stopped(number)


def mutate(jobs: int, deadline: float | None) -> None:
    """Tests mutants, a round after another, until all are tested or the time is over."""
    if not results():
        run_mutmut([FIRST], jobs, deadline)
    while left := sorted(name for name, outcome in results().items() if outcome == UNKNOWN):
        if deadline is not None and time.monotonic() >= deadline:
            return
        print(f"  {len(left):,} mutants are left", flush=True)
        run_mutmut(left[:: max(1, len(left) // ROUND)], jobs, deadline)


def python_files(path: Path) -> list[Path]:
    """The Python files that `path` names. Ends the run where they are none of the policy's."""
    path = path.resolve()
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    if not path.is_relative_to(POLICY) or not path.exists() or not files:
        sys.exit(f"scripts/check: {path} is no code of the policy: name a file in {POLICY.relative_to(ROOT)}")
    return files


def lay_out(files: Sequence[Path], fresh: bool) -> bool:
    """Makes the directory that mutmut runs in. Gives whether it is there already, for this code and these tests.

    Else it is made from nothing: what mutmut remembers of other code would count here.
    """
    mark, name = WORK / "of", fingerprint(files)
    if not fresh and mark.exists() and mark.read_text() == name:
        return True
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
    mark.write_text(name)
    return False


def fingerprint(files: Iterable[Path]) -> str:
    """SHA-256 over what the results depend on: which files are mutated, the code, its tests and this script."""
    digest = sha256("\n".join(map(str, files)).encode())
    for path in sorted([*CODE.rglob("*.py"), *(ROOT / "tests" / "policy").rglob("*.py"), Path(__file__)]):
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def run_mutmut(names: Sequence[str], jobs: int, deadline: float | None) -> None:
    """Tests these mutants until `deadline`, telling how far it is. Where it fails, ends with what it said last.

    Whatever ends this, nothing of it goes on running.
    """
    command = [sys.executable, "-c", MUTMUT, "run", "--max-children", str(jobs), *names]
    environment = os.environ | {"CI": "true"}  # in CI, properties try the same cases each time
    said, tell = deque[str](maxlen=40), teller()
    pipe = subprocess.PIPE
    run = subprocess.Popen(
        command, cwd=WORK, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    if deadline is not None:
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(run.pid, signal.SIGTERM))
        signal.setitimer(signal.ITIMER_REAL, max(1.0, deadline - time.monotonic()))
    try:
        assert run.stdout is not None
        for line in run.stdout:
            said.append(line)
            tell(line)
        code = run.wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            os.killpg(run.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        run.wait()
    if code not in (0, -signal.SIGTERM):
        sys.exit("".join(said) + f"\nscripts/check: mutmut failed with {code}; what it said last is above")


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


def results() -> dict[str, str]:
    """What became of each mutant, by its name; nothing where none are made yet."""
    if not (WORK / "mutants").exists():
        return {}
    command = [sys.executable, "-c", MUTMUT, "results", "--all", "true"]
    done = subprocess.run(command, cwd=WORK, capture_output=True, text=True, check=True)
    lines = (line.strip().partition(": ") for line in done.stdout.splitlines())
    return {mutant: outcome for mutant, _, outcome in lines}


def report(found: Mapping[str, str]) -> int:
    """Prints the scores and who survived. Gives 1 where too few were noticed."""
    modules: dict[str, Counter[str]] = {}
    for mutant, outcome in found.items():
        modules.setdefault(mutant.rpartition(".")[0], Counter())[outcome] += 1
    console = Console(width=120, highlight=False)
    table = Table(title="Mutants")
    for heading in ("module", "all", "tested", "noticed", "survived", "untested", "other", "score"):
        table.add_column(heading, justify="left" if heading == "module" else "right")
    for module, outcomes in sorted(modules.items(), key=lambda each: score(each[1])):
        table.add_row(module.removeprefix("lockgate.policy."), *cells(outcomes))
    whole = sum(modules.values(), Counter[str]())
    table.add_section()
    table.add_row("together", *cells(whole))
    console.print(table)
    if whole[UNKNOWN]:
        console.print(f"A part of the whole: {whole[UNKNOWN]:,} mutants are left. The same command goes on with them.")
    name_survivors(console, sorted(mutant for mutant, outcome in found.items() if outcome == "survived"))
    if score(whole) < FLOOR:
        console.print(f"{score(whole):.1%} of the tested mutants were noticed; at least {FLOOR:.0%} must be.")
        return 1
    return 0


def name_survivors(console: Console, survivors: Sequence[str]) -> None:
    file = WORK / "survivors.txt"
    file.write_text("".join(f"{name}\n" for name in survivors))
    for name in survivors[:MAX_NAMED]:
        console.print(f"  survived: {name}")
    here = WORK.relative_to(ROOT)
    console.print(f"All {len(survivors):,} survivors are in {file.relative_to(ROOT)}. To look at them, in {here}:")
    console.print("  ../../.venv/bin/mutmut show NAME     what was changed")
    console.print("  ../../.venv/bin/mutmut browse        all of it, in the terminal")


def cells(outcomes: Counter[str]) -> list[str]:
    """A row of the table. Where no test runs the code at all, nobody notices."""
    tested = outcomes.total() - outcomes[UNKNOWN]
    noticed = sum(outcomes[outcome] for outcome in NOTICED)
    survived, untested = outcomes["survived"], outcomes["no tests"]
    counts = (outcomes.total(), tested, noticed, survived, untested, tested - noticed - survived - untested)
    return [*(f"{count:,}" for count in counts), f"{score(outcomes):.1%}" if tested else "-"]


def score(outcomes: Counter[str]) -> float:
    """Of the mutants that were tested, how many were noticed; 1 where none was tested."""
    tested = outcomes.total() - outcomes[UNKNOWN]
    return sum(outcomes[outcome] for outcome in NOTICED) / tested if tested else 1.0


if __name__ == "__main__":
    sys.exit(main())
