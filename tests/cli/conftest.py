"""A small rules directory for the commands that only read rules, and a way to run them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from lockgate.cli.main import main

RULES = {
    "gateway.yaml": "issuers:\n  - dev: true\n",
    "credentials.yaml": 'credentials:\n  crm-token: {bearer: "env:CRM_TOKEN", hosts: [api.crm.example]}\n',
    "targets.yaml": (
        "targets:\n"
        "  crm:\n    url: https://api.crm.example\n    credential: crm-token\n    mask: {$..ssn: redact}\n"
        "  wiki: {url: https://wiki.example}\n"
        "  vault: {url: https://vault.example}\n"
    ),
    "guardrails.yaml": "rules:\n  - id: secrets\n    deny: any crm|vault /**/secrets\n",
    "roles/reader.yaml": "role: reader\nrules:\n  - id: wiki\n    allow: GET wiki /**\n",
    "roles/support.yaml": (
        "role: support\nextends: [reader]\nrules:\n"
        "  - id: read\n    allow: GET crm /v1/customers/{id}\n    mask: {$.email: {keep_last: 4}}\n"
        "  - id: small\n    allow: POST crm /v1/refunds\n    when: body.amount <= 500\n    redact_request: [$.iban]\n"
        "  - id: big\n    hold: POST crm /v1/refunds\n    when: body.amount > 500\n"
        "    approvers: [finance, audit]\n    timeout: 15m\n    reason: Finance decides.\n"
        "  - id: old\n    allow: GET crm /v1/old\n    expires: 2020-01-31\n"
        '  - id: list\n    allow: GET crm /v1/customers\n    show: [$.items]\n    unless: request.query.all == "1"\n'
    ),
}


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def small_rules(tmp_path: Path) -> Path:
    directory = tmp_path / "rules"
    for name, text in RULES.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


@pytest.fixture
def lockgate(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command line."""

    def ran(*arguments: object) -> Ended:
        code = main([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return ran
