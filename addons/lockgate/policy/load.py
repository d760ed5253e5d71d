"""The files of a rules directory to a Generation, or to all of its errors at once."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from lockgate.errors import Problem, RulesInvalid
from lockgate.model import GatewayConfig
from lockgate.policy import config, documents
from lockgate.policy.checked import Checked, check
from lockgate.policy.compile import compile_policy
from lockgate.policy.credentials import specs_of
from lockgate.policy.documents import Document
from lockgate.policy.files import read_files
from lockgate.policy.generation import Generation
from lockgate.policy.lineage import RoleFile
from lockgate.policy.rules import GUARDRAILS
from lockgate.policy.schema import Model
from lockgate.policy.schema.credentials import Credential, Credentials
from lockgate.policy.schema.gateway import Gateway, Issuer
from lockgate.policy.schema.rules import Guardrail, Guardrails, Role, Rule
from lockgate.policy.schema.targets import Target, Targets

REQUIRED = ("gateway.yaml", "targets.yaml")
OPTIONAL = ("credentials.yaml", "guardrails.yaml")
RESERVED = (GUARDRAILS, "targets")  # they stand where a role does, in the names of rules and masks


def load(directory: Path) -> Generation:
    """The generation that `directory` holds, read once. Raises RulesInvalid with every problem, in order of place."""
    directory = Path(os.path.normpath(directory.absolute()))
    return assemble(read_files(directory), directory)


def identify(files: Mapping[str, bytes]) -> str:
    """The generation's name: SHA-256 over every path and content, each with its length, sorted by path."""
    digest = sha256()
    for name, content in sorted(files.items()):
        for part in (name.encode(), content):
            digest.update(b"%d:" % len(part) + part)
    return digest.hexdigest()


def assemble(files: Mapping[str, bytes], directory: Path) -> Generation:
    """Parse, check and compile the content of a rules directory. Raises RulesInvalid."""
    with without_collection():
        return assembled(files, directory)


@contextmanager
def without_collection() -> Iterator[None]:
    """Ten thousand rules are a million objects, and hardly one of them garbage: to look for it takes half the time.

    What was made is then as old to the collector as what has lasted long, so it is not looked through as new either.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()
        if enabled:
            gc.enable()


def assembled(files: Mapping[str, bytes], directory: Path) -> Generation:
    problems = Problems()
    problems.extend(strays(files))
    read: dict[str, Document] = {}
    for name in sorted(files):
        if is_rules(name):
            try:
                read[name] = documents.read(name, files[name])
            except RulesInvalid as error:
                problems.extend(error.problems)
    gateway = gateway_of(read, directory, problems)
    credentials = file(read, "credentials.yaml", Credentials, "credentials", Credential, problems)
    targets = file(read, "targets.yaml", Targets, "targets", Target, problems)
    guardrails = file(read, "guardrails.yaml", Guardrails, "rules", Guardrail, problems)
    roles = roles_of(files, read, problems)
    specs = specs_of(credentials, directory, problems) if credentials else {}
    names: frozenset[str] | None = credentials.names if credentials else frozenset()
    if "credentials.yaml" in files and credentials is None:
        names = None  # it cannot be read
    origins = config.targets(targets, directory, credentials, names, problems) if targets else {}
    policy, notes = compile_policy(roles, guardrails, targets, gateway.lists if gateway else None, problems)
    if problems or gateway is None:
        raise RulesInvalid(ordered(problems))
    return Generation(identify(files), dict(files), gateway, origins, specs, policy, tuple(ordered(notes)))


def is_rules(name: str) -> bool:
    folder, _, base = name.rpartition("/")
    return name in REQUIRED + OPTIONAL or (folder == "roles" and base.endswith(".yaml"))


def strays(files: Mapping[str, bytes]) -> list[Problem]:
    """Files that are missing, and files that look like rules, in whatever letter case, and would be ignored."""
    missing = [Problem(name, 1, 1, "the file is missing") for name in REQUIRED if name not in files]
    unknown = [
        Problem(name, 1, 1, f"not a rules file: known are {', '.join(REQUIRED + OPTIONAL)} and roles/NAME.yaml")
        for name in files
        if name.lower().endswith((".yaml", ".yml")) and not is_rules(name)
    ]
    return missing + unknown


def file[F: Model, E: Model](
    read: Mapping[str, Document], name: str, whole: type[F], key: str, entry: type[E], problems: list[Problem]
) -> Checked[F, E] | None:
    return check(read[name], whole, key, entry, problems) if name in read else None


def gateway_of(read: Mapping[str, Document], directory: Path, problems: list[Problem]) -> GatewayConfig | None:
    checked = file(read, "gateway.yaml", Gateway, "issuers", Issuer, problems)
    return config.gateway(checked, directory, problems) if checked else None


def roles_of(
    files: Mapping[str, bytes], read: Mapping[str, Document], problems: list[Problem]
) -> dict[str, RoleFile | None]:
    """Every role by the name of its file; None where the file cannot be read."""
    found: dict[str, RoleFile | None] = {}
    for path in sorted(files):
        if not path.startswith("roles/") or not is_rules(path):
            continue
        name = path.removeprefix("roles/").removesuffix(".yaml")
        checked = file(read, path, Role, "rules", Rule, problems)
        if name in RESERVED:
            problems.append(Problem(path, 1, 1, f"no role can be called {name}: rename the file and its role"))
        elif checked and checked.model and checked.model.role != name:
            message = f"the file is named {name}.yaml: write role: {name}, or rename the file"
            problems.append(checked.document.problem(("role",), message))
        found[name] = checked
    return found


class Problems(list[Problem]):
    """What is wrong, as it is found. Raises RulesInvalid once one file has more than are told of it."""

    def __init__(self) -> None:
        super().__init__()
        self.of_file: Counter[str] = Counter()

    def append(self, problem: Problem) -> None:
        super().append(problem)
        self.of_file[problem.file] += 1
        if self.of_file[problem.file] > 2 * documents.MAX_PROBLEMS:  # of reading it, and of what it says
            raise RulesInvalid(ordered(self))

    def extend(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.append(problem)


def ordered(problems: Iterable[Problem]) -> list[Problem]:
    """By place, each once, and of each file no more than are told of one."""
    by_place = sorted(set(problems), key=lambda each: (each.file, each.line, each.column, each.message))
    return [
        problem
        for _, of_file in groupby(by_place, key=lambda each: each.file)
        for problem in documents.limited(list(of_file))
    ]
