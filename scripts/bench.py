"""Measures deciding and loading, beside Cedar and Casbin, in one run and on the same rules.

Started by `scripts/bench`. All engines must agree on each request before it is timed. Their turns are interleaved, so
what else the machine does falls on all of them; reported is the median over the turns, in CPU time.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import cycle, groupby, islice
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import casbin
import cedarpy
from rich.console import Console
from rich.table import Table

from lockgate.model import Action, HttpFacts, Principal, Verdict
from lockgate.policy import documents
from lockgate.policy.authorize import authorize
from lockgate.policy.checked import check
from lockgate.policy.load import assemble
from lockgate.policy.schema.rules import Role
from lockgate.policy.schema.rules import Rule as RuleEntry

SIZES = (10, 1_000, 10_000)
LAYOUTS = {"spread": "20 roles, 50 targets", "single": "one role, one target"}
ROLES, TARGETS = 20, 50
KINDS = ("allowed", "no match", "denied")
CONDITION = 'body.amount <= {limit} && body.currency == "EUR"'
BODY = {"amount": 120, "currency": "EUR"}
NOW = datetime(2030, 6, 15, 14, 30, tzinfo=UTC)

TURNS = 31
TURN = 0.002  # seconds; a turn is at least one decision
PATIENCE = 2.0  # seconds for one engine on one request, however many turns that makes

# The goals. Flat: with many rules no more than this many times as long as with few.
DECISION_GOAL = {False: 20.0, True: 40.0}  # microseconds, without and with a condition
FLAT_GOAL = 1.5
LOADING_GOAL = 3.0  # seconds, for the most rules


@dataclass(frozen=True)
class Rule:
    verdict: str
    role: str
    target: str
    path: str
    when: str | None = None


@dataclass(frozen=True)
class Request:
    role: str
    target: str
    path: str


@dataclass(frozen=True)
class Engine:
    """A policy engine with rules loaded. `prepare` makes one decision a call; `allows` reads what it returned."""

    name: str
    prepare: Callable[[Request], Callable[[], Any]]
    allows: Callable[[Any], bool]


@dataclass(frozen=True)
class Deciding:
    """Microseconds a decision, by engine: the median of its turns. `decisions` is how many were timed."""

    layout: str
    condition: bool
    rules: int
    request: str
    micros: Mapping[str, float]
    decisions: Mapping[str, int]
    missed: tuple[str, ...]


@dataclass(frozen=True)
class Loading:
    """Seconds to load a rules directory: reading YAML, checking the schema, and what remains of the total."""

    layout: str
    condition: bool
    rules: int
    documents: float
    schema: float
    compile: float
    total: float
    missed: tuple[str, ...]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("what", choices=["policy"], help="policy: deciding and loading")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    deciding: list[Deciding] = []
    loading: list[Loading] = []
    for layout in LAYOUTS:
        for condition in (False, True):
            engines = {}
            for size in SIZES:
                progress(f"{described(layout, condition)}: loading {size:,}")
                rules = rules_of(size, layout, condition)
                found, lockgate = load_lockgate(rules, layout, condition)
                loading.append(found)
                engines[size] = [lockgate, load_cedar(rules), load_casbin(rules, condition)]
            deciding += decide(layout, condition, engines)
    print_json(deciding, loading) if options.json else print_tables(deciding, loading)
    return 1 if any(each.missed for each in (*deciding, *loading)) else 0


def decide(layout: str, condition: bool, engines: Mapping[int, Sequence[Engine]]) -> Iterator[Deciding]:
    """Times every kind of request, the turns of all engines and sizes interleaved."""
    for kind in KINDS:
        progress(f"{described(layout, condition)}: deciding, {kind}")
        turns = {}
        for size, loaded in engines.items():
            requests = requests_of(kind, rules_of(size, layout, condition))
            require_agreement(loaded, requests[0], allowed=kind == "allowed")
            turns |= {(size, engine.name): turns_of(engine, requests) for engine in loaded}
        micros, counts = take_turns(turns)
        for size, loaded in engines.items():
            own = {engine.name: micros[size, engine.name] for engine in loaded}
            decisions = {engine.name: counts[size, engine.name] for engine in loaded}
            missed = tuple(missed_goals(own, DECISION_GOAL[condition], micros[SIZES[0], "lockgate"]))
            yield Deciding(layout, condition, size, kind, own, decisions, missed)


def missed_goals(micros: Mapping[str, float], limit: float, with_few: float) -> Iterator[str]:
    own = micros["lockgate"]
    if own >= limit:
        yield f"over {limit:.0f} us"
    if own > FLAT_GOAL * with_few:
        yield f"{own / with_few:,.1f}x of {SIZES[0]}"
    yield from (f"{name} ahead" for name, other in micros.items() if other < own)


def rules_of(count: int, layout: str, condition: bool) -> list[Rule]:
    """`count` rules: nine allows of a collection each, then a deny of one member of the last collection.

    Spread, each ten stand in another role or at another target. Only allows have conditions, no two the same.
    """
    found = []
    for number in range(count):
        ten, place = divmod(number, 10)
        role, target = (f"r{ten % ROLES}", f"t{ten // ROLES % TARGETS}") if layout == "spread" else ("r0", "t0")
        if place < 9:
            when = CONDITION.format(limit=500 + number) if condition else None
            found.append(Rule("allow", role, target, f"/v1/c{number}/{{id}}", when))
        else:
            found.append(Rule("deny", role, target, f"/v1/c{number - 1}/locked"))
    return found


def requests_of(kind: str, rules: Sequence[Rule]) -> list[Request]:
    """Requests about what the rules in the middle are about: as many paths as they leave room for, none to remember."""
    middle = len(rules) // 20 * 10 + 8  # the last allow of a ten, with its deny behind it
    rule = rules[middle]
    path = {"allowed": "/v1/c{middle}/{id}", "no match": "/v1/other/{id}", "denied": "/v1/c{middle}/locked"}[kind]
    return [Request(rule.role, rule.target, path.format(middle=middle, id=f"id-{number}")) for number in range(256)]


def load_lockgate(rules: Sequence[Rule], layout: str, condition: bool) -> tuple[Loading, Engine]:
    files = rule_files(rules)
    gc.collect()
    start = process_time()
    policy = assemble(files, Path("/rules")).policy
    total = process_time() - start
    start = process_time()
    read = {name: documents.read(name, content) for name, content in files.items()}
    reading = process_time() - start
    start = process_time()
    for name, document in read.items():
        if name.startswith("roles/"):
            check(document, Role, "rules", RuleEntry, [])
    checking = process_time() - start
    missed = (f"over {LOADING_GOAL:.0f} s",) if total >= LOADING_GOAL else ()
    rest = total - reading - checking
    loading = Loading(layout, condition, len(rules), reading, checking, rest, total, missed)

    def prepare(request: Request) -> Callable[[], Any]:
        principal = Principal("https://login.example", "agent-7", (request.role,), 0.0)
        action = Action("GET", request.target, request.path)
        facts = HttpFacts("GET", "api.example", request.path, body=BODY)
        return partial(authorize, policy, principal, [action], facts, NOW)

    return loading, Engine("lockgate", prepare, lambda decision: decision.verdict is Verdict.ALLOW)


def rule_files(rules: Sequence[Rule]) -> dict[str, bytes]:
    """The rules directory, by path."""
    roles: dict[str, list[str]] = {}
    for number, rule in enumerate(rules):
        text = f"  - id: rule-{number}\n    {rule.verdict}: GET {rule.target} {rule.path}\n"
        roles.setdefault(rule.role, []).append(text + (f"    when: {rule.when}\n" if rule.when else ""))
    targets = "".join(f"  t{number}: {{url: https://t{number}.example}}\n" for number in range(TARGETS))
    files = {"gateway.yaml": "issuers:\n  - dev: true\n", "targets.yaml": "targets:\n" + targets}
    files |= {f"roles/{role}.yaml": f"role: {role}\nrules:\n" + "".join(texts) for role, texts in roles.items()}
    return {name: text.encode() for name, text in files.items()}


def load_cedar(rules: Sequence[Rule]) -> Engine:
    """Policies and entities are parsed once. Its `*` goes beyond a `/`, which no request here does."""
    policies = cedarpy.PolicySet.from_str("\n".join(map(cedar_policy, rules)))
    agents = [
        {"uid": {"type": "Agent", "id": role}, "attrs": {}, "parents": [{"type": "Role", "id": role}]}
        for role in sorted({rule.role for rule in rules})
    ]
    entities = cedarpy.Entities.from_json_str(json.dumps(agents))

    def prepare(request: Request) -> Callable[[], Any]:
        question = {
            "principal": {"type": "Agent", "id": request.role},
            "action": {"type": "Action", "id": "GET"},
            "resource": {"type": "Target", "id": request.target},
            "context": {"path": request.path, "body": BODY},
        }
        return partial(cedarpy.is_authorized, question, policies, entities)

    return Engine("cedar", prepare, lambda result: bool(result.allowed))


def cedar_policy(rule: Rule) -> str:
    effect = "permit" if rule.verdict == "allow" else "forbid"
    scope = f'principal in Role::"{rule.role}", action == Action::"GET", resource == Target::"{rule.target}"'
    when = f'context.path like "{rule.path.replace("{id}", "*")}"'
    if rule.when:
        when += " && " + rule.when.replace("body.", "context.body.")
    return f"{effect}({scope}) when {{ {when} }};"


CASBIN_MODEL = """
[request_definition]
r = role, target, verb, path, body
[policy_definition]
p = role, target, verb, path, when, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.role == p.role && r.target == p.target && r.verb == p.verb && keyMatch3(r.path, p.path){condition}
"""


def load_casbin(rules: Sequence[Rule], condition: bool) -> Engine:
    """Its FastEnforcer, with the policies indexed by role and target: the faster of its two."""
    indexed = [0, 1]
    model = casbin.FastModel(indexed)
    model.load_model_from_text(CASBIN_MODEL.format(condition=" && eval(p.when)" if condition else ""))
    enforcer = casbin.FastEnforcer(model, cache_key_order=indexed)
    for rule in rules:
        when = rule.when.replace("body.", "r.body.") if rule.when else "True"
        model.add_policy("p", "p", [rule.role, rule.target, "GET", rule.path, when, rule.verdict])

    def prepare(request: Request) -> Callable[[], Any]:
        return partial(enforcer.enforce, request.role, request.target, "GET", request.path, BODY)

    return Engine("casbin", prepare, bool)


def require_agreement(engines: Sequence[Engine], request: Request, *, allowed: bool) -> None:
    """Ends the run where an engine does not give the verdict that the rules mean."""
    for engine in engines:
        if engine.allows(engine.prepare(request)()) is not allowed:
            sys.exit(
                f"scripts/bench: {engine.name} should {'allow' if allowed else 'deny'} {request}: nothing to compare"
            )


def take_turns[K](turns: Mapping[K, Iterator[tuple[float, int]]]) -> tuple[dict[K, float], dict[K, int]]:
    """The median of each one's microseconds a decision, and the decisions made."""
    taken: dict[K, list[tuple[float, int]]] = {key: [] for key in turns}
    for _ in range(TURNS):
        for key, turn in turns.items():
            taken[key] += islice(turn, 1)
    micros = {key: median(seconds / count for seconds, count in each) * 1e6 for key, each in taken.items()}
    return micros, {key: sum(count for _, count in each) for key, each in taken.items()}


def turns_of(engine: Engine, requests: Sequence[Request]) -> Iterator[tuple[float, int]]:
    """Seconds and decisions, turn after turn, until patience is at its end. Agreeing on the first has warmed it up."""
    calls = cycle([engine.prepare(request) for request in requests])
    estimate = timed([next(calls)])
    batch = max(1, int(TURN / estimate))
    spent = 0.0
    while spent <= PATIENCE:
        elapsed = timed(list(islice(calls, batch)))
        spent += elapsed
        yield elapsed, batch


def timed(calls: Sequence[Callable[[], Any]]) -> float:
    """Seconds for all calls, the garbage collector at rest as `timeit` has it."""
    gc.disable()
    try:
        start = process_time()
        for call in calls:
            call()
        return process_time() - start
    finally:
        gc.enable()


def versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in ("lockgate", "cedarpy", "casbin")}
    return {"python": platform.python_version(), **found}


def print_json(deciding: Sequence[Deciding], loading: Sequence[Loading]) -> None:
    rows = {"deciding": list(map(asdict, deciding)), "loading": list(map(asdict, loading))}
    print(json.dumps({"versions": versions(), **rows}, indent=2))


def print_tables(deciding: Sequence[Deciding], loading: Sequence[Loading]) -> None:
    console = Console(width=110, highlight=False)
    for (layout, condition), rows in groupby(deciding, lambda each: (each.layout, each.condition)):
        console.print(decision_table(described(layout, condition), rows))
    console.print(loading_table(loading))
    console.print(", ".join(f"{name} {version}" for name, version in versions().items()))
    console.print(f"Goal of a decision: under {DECISION_GOAL[False]:.0f} us without a condition and")
    console.print(
        f"{DECISION_GOAL[True]:.0f} us with one, at most {FLAT_GOAL} times what it takes with {SIZES[0]} rules,"
    )
    console.print(f"and ahead of Cedar and Casbin. Goal of loading {SIZES[-1]:,} rules: under {LOADING_GOAL:.0f} s.")
    for what, measured in (("decisions", deciding), ("loading", loading)):
        met = sum(not each.missed for each in measured)
        console.print(f"Goals of {what}: met in {met} of {len(measured)} rows.")


def decision_table(title: str, rows: Iterable[Deciding]) -> Table:
    table = Table(title=f"Microseconds a decision: {title}")
    for heading in ("rules", "request", "lockgate", "cedar", "", "casbin", "", "timed", "goal"):
        table.add_column(heading, justify="left" if heading in ("request", "goal") else "right")
    for each in rows:
        own = each.micros["lockgate"]
        others = [cell for name in ("cedar", "casbin") for cell in (micro(each.micros[name]), ratio(each, name))]
        timed_decisions = "/".join(map(str, each.decisions.values()))
        goal = ", ".join(each.missed) or "met"
        table.add_row(f"{each.rules:,}", each.request, micro(own), *others, timed_decisions, goal)
    return table


def micro(number: float) -> str:
    return f"{number:,.1f}" if number < 1000 else f"{number:,.0f}"


def ratio(row: Deciding, name: str) -> str:
    return f"{row.micros[name] / row.micros['lockgate']:,.1f}x"


def loading_table(rows: Iterable[Loading]) -> Table:
    table = Table(title="Seconds to load")
    for heading in ("rules", "", "documents", "schema", "compile", "total", "goal"):
        table.add_column(heading, justify="left" if heading in ("", "goal") else "right")
    for each in rows:
        parts = [f"{part:.3f}" for part in (each.documents, each.schema, each.compile, each.total)]
        goal = ", ".join(each.missed) or "met"
        table.add_row(f"{each.rules:,}", described(each.layout, each.condition), *parts, goal)
    return table


def described(layout: str, condition: bool) -> str:
    return f"{LAYOUTS[layout]}, {'with' if condition else 'without'} a condition"


def progress(text: str) -> None:
    print(f"{text} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
