"""Requests of the past, as the stages decided and the recorder wrote them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.past import Asked, generation, states
from lockgate.history.kept import Case, case_of
from lockgate.history.records import Past, past
from lockgate.policy.generation import Generation
from lockgate.recordings.tnetstring import dumps

RULES = {
    "gateway.yaml": "issuers:\n  - dev: true\nlists: {teams: [red, blue]}\n",
    "credentials.yaml": 'credentials:\n  crm-token: {bearer: "env:CRM_TOKEN", hosts: [api.crm.example]}\n',
    "targets.yaml": (
        "targets:\n  crm: {url: https://api.crm.example, credential: crm-token}\n"
        "  wiki: {url: https://wiki.example}\n  vault: {url: https://vault.example}\n"
        "  forms: {url: https://forms.example}\n"
    ),
    "roles/reader.yaml": "role: reader\nrules:\n  - id: wiki\n    allow: GET wiki /**\n",
    "roles/support.yaml": (
        "role: support\nextends: [reader]\nrules:\n"
        "  - id: read\n    allow: GET crm /v1/customers/{id}\n    mask: {$..ssn: redact}\n"
        "  - id: small\n    allow: POST crm /v1/refunds\n    when: body.amount <= 500 && body.note != null\n"
        "    redact_request: [$.note]\n"
        "  - id: big\n    hold: POST crm /v1/refunds\n    when: body.amount > 500\n"
        "  - id: team\n    allow: GET crm /v1/teams\n    when: principal.claims.team in lists.teams\n"
        "  - id: asked\n    allow: GET crm /v1/search\n    when: request.query.q == 'x'\n"
        "    redact_request: [query.q]\n"
        "  - id: quiet\n    allow: POST vault /v1/quiet\n    when: body.a == 1 && request.query.b == '1'\n"
        "    record: digest\n"
        "  - id: form\n    allow: POST forms /f\n    when: body.amount == '5'\n"
        "  - id: no\n    deny: DELETE crm\n"
    ),
}
JSON = (("content-type", "application/json"),)


@pytest.fixture(scope="session")
def rule_texts() -> dict[str, str]:
    return dict(RULES)


@pytest.fixture(scope="session")
def rules() -> Generation:
    return generation(RULES)


@pytest.fixture(scope="session")
def changed() -> Callable[..., Generation]:
    """Other rules: the same with a text of a role's file replaced."""

    def changed(before: str, after: str, file: str = "roles/support.yaml") -> Generation:
        assert before in RULES[file]
        return generation({**RULES, file: RULES[file].replace(before, after)})

    return changed


@pytest.fixture(scope="session")
def remembered(rules: Generation) -> Callable[..., Past]:
    """The record of a request; keyword arguments replace members of what the gateway says of it."""

    def remembered(asked: Asked, **said: Any) -> Past:
        (state,) = states(rules, [asked])
        state["metadata"]["lockgate"].update(said)
        found = past(dumps(state))
        assert found is not None
        return found

    return remembered


@pytest.fixture(scope="session")
def case(rules: Generation, remembered: Callable[..., Past]) -> Callable[..., Case]:
    def case(asked: Asked, **said: Any) -> Case:
        found = case_of(remembered(asked, **said), rules.policy.claims)
        assert found is not None
        return found

    return case


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "recordings"
