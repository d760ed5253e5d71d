"""Rules directories to load: a small right one, and what a test changes about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lockgate.errors import Problem, RulesInvalid
from lockgate.policy.generation import Generation
from lockgate.policy.load import load

RULES = {
    "gateway.yaml": "issuers:\n  - dev: true\n",
    "targets.yaml": (
        "targets:\n"
        "  crm: {url: https://api.crm.example, credential: crm-token}\n"
        "  wiki: {url: http://wiki.internal:8080, private: true}\n"
    ),
    "credentials.yaml": 'credentials:\n  crm-token: {bearer: "env:CRM_TOKEN", hosts: [api.crm.example]}\n',
    "roles/support.yaml": "role: support\nrules:\n  - id: read\n    allow: GET crm /v1/customers/{id}\n",
}

Write = Callable[[Mapping[str, str | bytes | None]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the small rules with these files instead; None leaves a file out."""

    def written(changes: Mapping[str, str | bytes | None]) -> Path:
        directory = tmp_path / "rules"
        for name, content in {**RULES, **changes}.items():
            if content is not None:
                path = directory / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return directory

    return written


@pytest.fixture
def loaded(write: Write) -> Callable[..., Generation]:
    """The small rules with changes, loaded."""
    return lambda changes=None: load(write(changes or {}))


@pytest.fixture
def problems(write: Write) -> Callable[..., tuple[Problem, ...]]:
    """What is wrong with the small rules after changes."""

    def found(changes: Mapping[str, str | bytes | None]) -> tuple[Problem, ...]:
        with pytest.raises(RulesInvalid) as caught:
            load(write(changes))
        return caught.value.problems

    return found
