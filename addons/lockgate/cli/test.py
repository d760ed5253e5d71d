"""`lockgate test`: the tests that stand beside the rules, and the rules that none of them reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from lockgate.cli.differences import difference
from lockgate.cli.printed import dump, heading, say
from lockgate.cli.simulate import Simulated, answer, loaded, simulate
from lockgate.errors import Problem, RulesInvalid
from lockgate.model import Outcome
from lockgate.policy.authorize import says
from lockgate.policy.cases import NO_RULE, Case, read
from lockgate.policy.explain import accounts
from lockgate.policy.generation import Generation
from lockgate.policy.rules import Rule

FOUND, WRONG_USE = 1, 2


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case. `fault` says how it failed, None where it passed; `why` is what the rules say to it.

    `reached` are the rules that matched, each by its name and place.
    """

    case: Case
    got: str
    rule: str | None
    fault: str | None
    why: str
    reached: frozenset[tuple[str, str]]


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default="rules", metavar="[DIR]")
@click.option("--strict", is_flag=True, help="Exit with 1 also where no test reaches a rule.")
@click.option("--json", "as_json", is_flag=True, help="Print an object: passed, failed, tests, rules.")
@click.pass_context
def test(ctx: click.Context, directory: Path, strict: bool, as_json: bool) -> None:
    """Run the tests of a rules directory (`rules` where none is given), DIR/tests/*.yaml.

    Exits with 1 where one fails, and with 2 where there are none, or a file of them has errors:

    \b
    lockgate test rules --strict

    \b
    tests:
      - name: support reads a customer
        principal: support
        request: GET https://api.crm.example/v1/customers/7
        expect: allow
    """
    generation = loaded(directory)
    try:
        cases = cases_of(directory, generation)
    except RulesInvalid as invalid:
        for problem in invalid.problems:
            click.echo(f"lockgate: {directory}/{problem}", err=True)
        ctx.exit(WRONG_USE)
    now = datetime.now(UTC)
    results = [run(case, generation, now) for case in cases]
    rules, unreached = reach(results, generation)
    if as_json:
        dump(document(results, rules, unreached))
    else:
        tell(results, rules, unreached, directory)
    if any(result.fault for result in results) or (strict and unreached):
        ctx.exit(FOUND)


def cases_of(directory: Path, generation: Generation) -> tuple[Case, ...]:
    """The cases of all files. Raises RulesInvalid for errors in them, ClickException where there are none."""
    folder = directory / "tests"
    found = {path.relative_to(directory).as_posix(): path for path in sorted(folder.rglob("*")) if is_test(path)}
    wrong = [name for name in found if not name.endswith(".yaml")]
    if wrong:
        raise RulesInvalid([Problem(name, 1, 1, "tests stand in files named .yaml: rename it") for name in wrong])
    try:
        files = {name: path.read_bytes() for name, path in found.items()}
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be read: {error.strerror}") from None
    cases = read(files, generation.policy)
    if not cases:
        example = "tests: [{name: NAME, principal: ROLE, request: GET URL, expect: allow}]"
        raise click.ClickException(f"there are no tests in {folder}: write {folder}/NAME.yaml, as in {example}")
    return cases


def is_test(path: Path) -> bool:
    return path.suffix in (".yaml", ".yml") and not path.name.startswith(".") and path.is_file()


def run(case: Case, generation: Generation, now: datetime) -> Result:
    """What comes of one case; `now` is the instant of one that names none."""
    simulated = simulate(generation, case.principal, case.request, case.at or now)
    decision = simulated.decision
    fault, why = misjudged(case, simulated), ""
    if fault is not None:
        why = reason(case, simulated, generation)
    elif case.answer is not None and case.response is not None and decision is not None and simulated.target:
        found = difference(case.answer, answer(decision, simulated.target, case.response))
        fault = found and f"{simulated.verdict} as expected, but of the answer {found}"
    considered = decision.considered if decision else ()
    reached = frozenset((each.rule, each.source) for each in considered if each.outcome is Outcome.MATCHED)
    return Result(case, simulated.verdict, decision.rule if decision else None, fault, why, reached)


def misjudged(case: Case, simulated: Simulated) -> str | None:
    """How what came of it differs from the verdict and rule expected. Of several rules that decide any may be named."""
    decision = simulated.decision
    deciding: set[str] = set()
    if decision:
        deciding = {each.rule for each in decision.considered if says(each) is decision.verdict} or {NO_RULE}
    if simulated.verdict == case.verdict and (case.rule is None or case.rule in deciding):
        return None
    expected = f"{case.verdict} by {case.rule}" if case.rule else case.verdict
    if decision:
        got = f"{decision.verdict} by {decision.rule or NO_RULE}"
    else:
        got = f"unreadable: {simulated.refusal.detail}" if simulated.refusal else "unreadable"
    return f"expected {expected}, got {got}"


def reason(case: Case, simulated: Simulated, generation: Generation) -> str:
    """What the rules say to a wrong verdict: of the rule expected, or of the one that came nearest to the verdict."""
    if simulated.decision is None or simulated.action is None:
        return ""
    found = accounts(generation.policy, case.principal.roles, simulated.action, simulated.decision)
    roles = ", ".join(case.principal.roles)
    named = simulated.decision.rule if case.rule == NO_RULE else case.rule
    if named is not None:
        found, none = tuple(each for each in found if each.rule.name == named), f"{named} is no rule of {roles}"
    else:
        found = tuple(each for each in found if each.rule.verdict == case.verdict)
        none = f"there is no {case.verdict} among the rules of {roles}"
    return f"{found[0].rule.name} ({found[0].rule.source}): {found[0].reason or 'it matches'}" if found else none


def reach(results: Sequence[Result], generation: Generation) -> tuple[int, list[Rule]]:
    """How many rules there are, and those that matched in no test, by their place."""
    rules = [rule for each in generation.policy.rules.values() for rule in each]
    reached = frozenset[tuple[str, str]]().union(*(result.reached for result in results))
    return len(rules), sorted((rule for rule in rules if (rule.name, rule.source) not in reached), key=place)


def place(rule: Rule) -> tuple[str, int]:
    file, _, line = rule.source.rpartition(":")
    return file, int(line)


def document(results: Sequence[Result], rules: int, unreached: Sequence[Rule]) -> dict[str, Any]:
    """All of it, for --json."""
    failed = sum(result.fault is not None for result in results)
    return {
        "passed": len(results) - failed,
        "failed": failed,
        "tests": [
            {
                "name": result.case.name,
                "file": result.case.file,
                "line": result.case.line,
                "passed": result.fault is None,
                "expected": {"verdict": result.case.verdict, "rule": result.case.rule},
                "got": {"verdict": result.got, "rule": result.rule},
                "fault": result.fault,
                "why": result.why or None,
            }
            for result in results
        ],
        "rules": {
            "total": rules,
            "reached": rules - len(unreached),
            "unreached": [{"rule": rule.name, "source": rule.source} for rule in unreached],
        },
    }


def tell(results: Sequence[Result], rules: int, unreached: Sequence[Rule], directory: Path) -> None:
    """A line or two for each test that failed, the sum, and what no test reaches."""
    failed = [result for result in results if result.fault is not None]
    for result in failed:
        case = result.case
        say(f"{directory}/{case.file}:{case.line}: {case.name}: {result.fault}")
        if result.why:
            say(result.why, 4)
    if failed:
        click.echo()
    say(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    if unreached:
        share = (rules - len(unreached)) * 100 // rules
        heading(f"rules that no test reaches ({share}% of {rules} are reached)")
        for rule in unreached:
            say(f"{directory}/{rule.source}: {rule.verdict} {rule.name}", 2)
    else:
        say(f"every rule is reached ({rules})")
