from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import perf_counter

import pytest

from lockgate.cli.main import COMMANDS
from lockgate.policy import cases

ROOT = Path(__file__).parents[2]
MODELS = (cases.Test, cases.Caller, cases.Asked, cases.Answered, cases.Expected)

READ = "request: GET https://api.crm.example/v1/customers/7"
REFUND = "request: {method: POST, url: https://api.crm.example/v1/refunds, body: {amount: %s}}"


@pytest.fixture
def test(lockgate: Callable[..., object], small_rules: Path) -> Callable[..., object]:
    """Runs `lockgate test` on the small rules with these tests, each the keys beside its name."""

    def ran(*tests: str, arguments: tuple[str, ...] = ()) -> object:
        (small_rules / "tests").mkdir(exist_ok=True)
        text = "".join(f"  - name: t{number}\n    {keys}\n" for number, keys in enumerate(tests))
        (small_rules / "tests" / "a.yaml").write_text(f"tests:\n{text}")
        return lockgate("test", small_rules, *arguments)

    return ran


PASSING = (
    f"principal: support\n    {READ}\n    expect: {{verdict: allow, rule: support/read}}",
    f"principal: support\n    {REFUND % 9}\n    expect: allow",
    f"principal: support\n    {REFUND % 900}\n    expect: {{verdict: hold, rule: support/big}}",
    f"principal: support\n    {READ}/secrets\n    expect: {{verdict: deny, rule: guardrails/secrets}}",
    f"principal: support\n    {READ}/x\n    expect: {{verdict: deny, rule: none}}",
    f"principal: support\n    {READ}/../x\n    expect: unreadable",
    "principal: support\n    request: GET https://api.crm.example/v1/old\n    at: 2019-12-31\n    expect: allow",
    "principal: reader\n    request: GET https://wiki.example/a\n    expect: allow",
)


def test_all_is_well(test: Callable[..., object]) -> None:
    ended = test(*PASSING, arguments=("--strict",))
    assert ended.code == 1
    assert ended.out.splitlines()[0] == "8 passed, 0 failed"
    listed = "principal: support\n    request: GET https://api.crm.example/v1/customers?all=2\n    expect: allow"
    assert test(*PASSING, listed, arguments=("--strict",)) == (0, "9 passed, 0 failed\nevery rule is reached (7)\n", "")


def test_rules_that_no_test_reaches(test: Callable[..., object], small_rules: Path) -> None:
    ended = test(PASSING[0])
    assert ended.code == 0
    assert ended.out.splitlines()[2:] == [
        "rules that no test reaches (14% of 7 are reached)",
        f"  {small_rules}/guardrails.yaml:2: deny guardrails/secrets",
        f"  {small_rules}/roles/reader.yaml:3: allow reader/wiki",
        f"  {small_rules}/roles/support.yaml:7: allow support/small",
        f"  {small_rules}/roles/support.yaml:11: hold support/big",
        f"  {small_rules}/roles/support.yaml:17: allow support/old",
        f"  {small_rules}/roles/support.yaml:20: allow support/list",
    ]
    assert test(PASSING[0], arguments=("--strict",)).code == 1


@pytest.mark.parametrize(
    ("keys", "fault", "why"),
    [
        pytest.param(
            f"principal: support\n    {REFUND % 900}\n    expect: allow",
            "expected allow, got hold by support/big",
            "support/small (roles/support.yaml:7): when is false: body.amount <= 500",
            id="verdict",
        ),
        pytest.param(
            f"principal: support\n    {READ}\n    expect: {{verdict: allow, rule: support/list}}",
            "expected allow by support/list, got allow by support/read",
            "support/list (roles/support.yaml:20): /v1/customers does not fit /v1/customers/7",
            id="rule",
        ),
        pytest.param(
            f"principal: reader\n    {READ}\n    expect: {{verdict: allow, rule: support/read}}",
            "expected allow by support/read, got deny by none",
            "support/read is no rule of reader",
            id="rule-of-another-role",
        ),
        pytest.param(
            f"principal: support\n    {READ}/secrets\n    expect: {{verdict: deny, rule: none}}",
            "expected deny by none, got deny by guardrails/secrets",
            "guardrails/secrets (guardrails.yaml:2): it matches",
            id="no-rule",
        ),
        pytest.param(
            f"principal: reader\n    {READ}\n    expect: hold",
            "expected hold, got deny by none",
            "there is no hold among the rules of reader",
            id="no-such-verdict",
        ),
        pytest.param(
            "principal: support\n    request: GET https://api.crm.exmple/\n    expect: deny",
            "expected deny, got unreadable: No target is named for https://api.crm.exmple:443.",
            None,
            id="unknown-host",
        ),
        pytest.param(
            f"principal: support\n    {READ}\n    response: {{body: {{email: ann@mail.example, ssn: 1}}}}\n"
            '    expect: {verdict: allow, body: {email: "[redacted]mple", ssn: 1}}',
            'allow as expected, but of the answer $.ssn: expected 1, got "[redacted]"',
            None,
            id="unmasked",
        ),
    ],
)
def test_failures(test: Callable[..., object], small_rules: Path, keys: str, fault: str, why: str | None) -> None:
    ended = test(PASSING[0], keys)
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[0] == f"{small_rules}/tests/a.yaml:6: t1: {fault}"
    assert lines[1] == (f"    {why}" if why else "")
    assert "1 passed, 1 failed" in lines


@pytest.mark.parametrize(
    ("response", "expect"),
    [
        pytest.param("{body: {ssn: 1, a: [2]}}", '{verdict: allow, body: {ssn: "[redacted]", a: [2]}}', id="masked"),
        pytest.param('{raw: "{\\"ssn\\": 1}"}', '{verdict: allow, raw: \'{"ssn":"[redacted]"}\'}', id="raw-json"),
        pytest.param(
            "{status: 502, raw: x, headers: {content-type: text/plain}}",
            "{verdict: allow, answer: withheld}",
            id="withheld",
        ),
        pytest.param(
            "{raw: x, headers: {content-type: text/plain}}", "{verdict: allow, answer: refused}", id="refused"
        ),
    ],
)
def test_answers(test: Callable[..., object], response: str, expect: str) -> None:
    ended = test(f"principal: support\n    {READ}\n    response: {response}\n    expect: {expect}")
    assert ended.out.startswith("1 passed, 0 failed")


def test_json(test: Callable[..., object]) -> None:
    found = json.loads(test(PASSING[0], f"principal: support\n    {READ}\n    expect: deny", arguments=("--json",)).out)
    assert (found["passed"], found["failed"]) == (1, 1)
    assert found["tests"][1] == {
        "name": "t1",
        "file": "tests/a.yaml",
        "line": 6,
        "passed": False,
        "expected": {"verdict": "deny", "rule": None},
        "got": {"verdict": "allow", "rule": "support/read"},
        "fault": "expected deny, got allow by support/read",
        "why": "guardrails/secrets (guardrails.yaml:2): /**/secrets does not fit /v1/customers/7",
    }
    assert (found["rules"]["total"], found["rules"]["reached"]) == (7, 1)
    assert {"rule": "support/big", "source": "roles/support.yaml:11"} in found["rules"]["unreached"]


def test_errors_in_tests_have_their_place(test: Callable[..., object], small_rules: Path) -> None:
    ended = test(f"principal: suport\n    {READ}\n    expect: allow", f"principal: support\n    {READ}\n    expect: no")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        f"lockgate: {small_rules}/tests/a.yaml:3:16: unknown role suport: did you mean support?",
        f"lockgate: {small_rules}/tests/a.yaml:9:13: a verdict is one of allow, hold, deny, unreadable",
    ]


def test_no_tests(lockgate: Callable[..., object], small_rules: Path) -> None:
    ended = lockgate("test", small_rules)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert f"there are no tests in {small_rules}/tests: write {small_rules}/tests/NAME.yaml" in ended.err


def test_a_file_that_would_be_passed_over(test: Callable[..., object], small_rules: Path) -> None:
    (small_rules / "tests" / "more").mkdir(parents=True)
    (small_rules / "tests" / "more" / "b.yml").write_text("tests: []\n")
    ended = test(PASSING[0])
    assert ended.code == 2
    assert "tests/more/b.yml:1:1: tests stand in files named .yaml: rename it" in ended.err


def test_a_thousand_tests_are_fast(test: Callable[..., object]) -> None:
    started = perf_counter()
    ended = test(*(PASSING * 125))
    assert ended.out.startswith("1000 passed, 0 failed")
    assert perf_counter() - started < 10


def test_the_tests_in_the_docs_pass(lockgate: Callable[..., object], tmp_path: Path) -> None:
    """A reader who copies them beside the examples has tests that pass."""
    page = (ROOT / "docs" / "testing-rules.md").read_text()
    (written,) = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    shutil.copytree(ROOT / "examples" / "rules", tmp_path / "rules", ignore=shutil.ignore_patterns("tests"))
    (tmp_path / "rules" / "tests").mkdir()
    (tmp_path / "rules" / "tests" / "support.yaml").write_text(written)
    ended = lockgate("test", tmp_path / "rules")
    assert (ended.code, ended.out.splitlines()[0]) == (0, f"{written.count('- name:')} passed, 0 failed")


@pytest.mark.parametrize("command", ["check", "explain", "show", "test"])
def test_every_option_and_key_is_in_the_docs(command: str) -> None:
    page = (ROOT / "docs" / "testing-rules.md").read_text()
    code = " ".join(re.findall(r"^```.*?^```|`[^`\n]+`", page, flags=re.MULTILINE | re.DOTALL))
    found = getattr(import_module(COMMANDS[command]), command)
    options = {option for each in found.params for option in each.opts if option.startswith("--")}
    keys = {name for model in MODELS for name in model.model_fields}
    missing = {word for word in options | keys if not re.search(rf"(?<![\w-]){word}(?![\w-])", code)}
    assert missing == set()
