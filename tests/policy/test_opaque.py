"""What cannot be said of targets whose messages are not looked into."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockgate.errors import Problem
from lockgate.policy.generation import Generation

Loaded = Callable[..., Generation]
Problems = Callable[..., tuple[Problem, ...]]

LEDGER = "  ledger: {url: https://ledger.example, grpc: true%s}\n"
NOT_MASKED = "messages of ledger are gRPC, which is not looked into: nothing is masked there, so leave it out"
NOT_READ = "messages of ledger are gRPC, which is not looked into: there is no body to read"
NOT_REDACTED = "messages of ledger are gRPC, which is not looked into: name headers.NAME, or leave it out"


def files(rule: str, *, target: str = "", guardrails: str = "") -> dict[str, str]:
    """A role with one rule, and the target that speaks gRPC."""
    found = {
        "targets.yaml": f"targets:\n  crm: {{url: https://api.crm.example}}\n{LEDGER % target}",
        "roles/support.yaml": f"role: support\nrules:\n  - {{id: r, {rule}}}\n",
    }
    return {**found, "guardrails.yaml": f"rules:\n  - {{id: g, {guardrails}}}\n"} if guardrails else found


CALL = "allow: POST ledger /bank.Ledger/Get"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(files(f"{CALL}, mask: {{$..ssn: redact}}"), NOT_MASKED, id="mask"),
        pytest.param(files(f'{CALL}, show: ["$.id"]'), NOT_MASKED, id="show"),
        pytest.param(files(f"{CALL}, detect: [jwt]"), NOT_MASKED, id="detect"),
        pytest.param(files("allow: POST crm|ledger /a/B, mask: {$..ssn: redact}"), NOT_MASKED, id="one-of-two-targets"),
        pytest.param(files(f"{CALL}, when: body.amount < 5"), NOT_READ, id="when"),
        pytest.param(files(f"{CALL}, unless: body.amount < 5"), NOT_READ, id="unless"),
        pytest.param(files("deny: POST ledger, when: body.amount < 5"), NOT_READ, id="deny"),
        pytest.param(files(f"{CALL}, redact_request: [$.card]"), NOT_REDACTED, id="redact"),
        pytest.param(files(CALL, target=", mask: {$..ssn: redact}"), NOT_MASKED, id="mask-of-the-target"),
        pytest.param(files(CALL, target=", detect: [jwt]"), NOT_MASKED, id="detect-of-the-target"),
        pytest.param(files(CALL, guardrails="mask: {$..ssn: redact}"), NOT_MASKED, id="mask-everywhere"),
        pytest.param(files(CALL, guardrails="deny: POST ledger, when: body.x == 1"), NOT_READ, id="guardrail"),
    ],
)
def test_nothing_is_said_of_messages(problems: Problems, written: dict[str, str], expected: str) -> None:
    assert [problem.message for problem in problems(written)] == [expected]


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(files(f'{CALL}, when: \'request.headers["x-tenant"] == "a"\''), id="headers"),
        pytest.param(files(f"{CALL}, redact_request: [headers.x-session]"), id="redacted-header"),
        pytest.param(files(f"{CALL}, reason: Why."), id="reason"),
        pytest.param(files("allow: POST crm /a, mask: {$..ssn: redact}, when: body.x == 1"), id="another-target"),
    ],
)
def test_the_rest_is_as_anywhere(loaded: Loaded, written: dict[str, str]) -> None:
    assert loaded(written).target_for("https", "ledger.example", 443)


@pytest.mark.parametrize("key", ["http2", "grpc"])
def test_http_2_is_over_tls(problems: Problems, key: str) -> None:
    found = problems({"targets.yaml": f"targets:\n  crm: {{url: http://api.crm.example, {key}: true}}\n"})
    assert "http2 and grpc are for https: write https in the url, or leave them out" in [one.message for one in found]
