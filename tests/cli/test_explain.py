from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

CUSTOMER = "https://api.crm.example/v1/customers/7"
REFUNDS = "https://api.crm.example/v1/refunds"


@pytest.fixture
def explain(lockgate: Callable[..., object], small_rules: Path) -> Callable[..., object]:
    return lambda *arguments: lockgate("explain", "--rules", small_rules, *arguments)


@pytest.fixture
def body(tmp_path: Path) -> Callable[[str], str]:
    """The name of a file with a body in it."""

    def written(text: str) -> str:
        (tmp_path / "body").write_text(text)
        return str(tmp_path / "body")

    return written


def test_allowed(explain: Callable[..., object], small_rules: Path) -> None:
    ended = explain("--role", "support", "--at", "2030-01-01T00:00:00Z", "GET", CUSTOMER)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[:8] == [
        f"ALLOW  by support/read ({small_rules}/roles/support.yaml:4)",
        "  request      GET /v1/customers/7",
        "  target       crm, https://api.crm.example, credential crm-token",
        "  caller       dev as support, says lockgate-dev",
        "  at           2030-01-01T00:00:00Z",
        "  masked       $..ssn: redact  (targets/crm)",
        "  masked       $.email: keep_last 4  (support/read)",
        "",
    ]
    assert "CRM_TOKEN" not in ended.out


def test_held(explain: Callable[..., object], body: Callable[[str], str]) -> None:
    ended = explain("--role", "support", "--body", body('{"amount": 900}'), "POST", REFUNDS)
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[0].startswith("HOLD  by support/big ")
    assert "409 Finance decides." in lines[1]
    assert lines[2] == "  approval     by 1 of finance or audit, within 15m  (support/big)"
    assert "  not recorded $.iban" in lines
    assert "         when is false: body.amount <= 500" in lines


def test_denied_by_default(explain: Callable[..., object]) -> None:
    ended = explain("--role", "support", "GET", CUSTOMER + "/")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[0] == "DENY  no rule allows it"
    assert lines[1].startswith("  agent gets   403 No rule allows this GET. ")
    first = lines.index("rules that are not about it") + 1
    assert lines[first].startswith("  allow  support/read ")
    assert "no slash more or less" in lines[first + 1]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(
            ["GET", "https://api.crm.exmple/"], "403 No target is named for https://api.crm.exmple:443.", id="host"
        ),
        pytest.param(["GET", "https://api.crm.example/a/../b"], "the path has a dot segment", id="path"),
        pytest.param(["TRACE", CUSTOMER], "the method is none of", id="method"),
        pytest.param(["--header", "x_a: b", "GET", CUSTOMER], "an underscore", id="header"),
    ],
)
def test_refused_before_the_rules(explain: Callable[..., object], arguments: list[str], why: str) -> None:
    ended = explain("--role", "support", *arguments)
    assert ended.code == 1
    assert ended.out.startswith("UNREADABLE  refused before any rule is asked\n")
    assert why in ended.out
    found = json.loads(explain("--role", "support", "--json", *arguments).out)
    assert (found["verdict"], found["rule"], found["rules"]) == ("unreadable", None, [])
    assert why.removeprefix("403 ") in found["refusal"]["detail"]


def test_an_origin_that_is_nearly_right(explain: Callable[..., object]) -> None:
    ended = explain("--role", "support", "GET", "https://api.crm.exmple/")
    assert "  did you mean https://api.crm.example" in ended.out.splitlines()


def test_what_is_taken_off_is_said(explain: Callable[..., object]) -> None:
    ended = explain("--role", "support", "--header", "Authorization: Bearer x", "GET", CUSTOMER)
    assert ended.code == 0
    assert "  taken off    authorization: no rule and no target sees them" in ended.out.splitlines()


def test_json_has_every_rule(explain: Callable[..., object], body: Callable[[str], str]) -> None:
    arguments = ["--role", "support", "--role", "reader", "--at", "2030-01-01", "--json", "--subject", "ann"]
    ended = explain(*arguments, "--body", body('{"amount": 9}'), "POST", REFUNDS)
    found = json.loads(ended.out)
    rules = found.pop("rules")
    assert len(found.pop("generation")) == 64
    assert found == {
        "verdict": "allow",
        "rule": "support/small",
        "refusal": None,
        "principal": {"issuer": "lockgate-dev", "subject": "ann", "roles": ["support", "reader"]},
        "at": "2030-01-01T00:00:00Z",
        "request": {"method": "POST", "path": "/v1/refunds", "unseen_headers": []},
        "target": {
            "name": "crm",
            "origin": "https://api.crm.example",
            "credential": "crm-token",
            "client_cert": None,
        },
        "masks": [{"path": "$..ssn", "kind": "redact", "argument": None, "rule": "targets/crm"}],
        "shows": [],
        "redactions": ["$.iban"],
    }
    assert [(each["rule"], each["outcome"], each["decides"]) for each in rules] == [
        ("support/small", "matched", True),
        ("support/big", "condition-false", False),
        ("guardrails/secrets", "other-path", False),
        ("support/list", "other-verb", False),
        ("support/old", "other-verb", False),
        ("support/read", "other-verb", False),
        ("reader/wiki", "other-target", False),
    ]
    assert rules[1]["approval"] == {
        "approvers": ["finance", "audit"],
        "quorum": 1,
        "timeout": 900.0,
        "require_reason": False,
        "max_grant": 0.0,
    }


def test_a_long_rest_is_folded(explain: Callable[..., object], small_rules: Path) -> None:
    many = "".join(f"  - id: r{number}\n    allow: GET wiki /{number}\n" for number in range(20))
    (small_rules / "roles" / "many.yaml").write_text(f"role: many\nrules:\n{many}")
    folded = explain("--role", "many", "GET", "https://wiki.example/x").out
    assert "and 13 more: --all names them" in folded
    assert "many/r19" not in folded
    assert "many/r19" in explain("--role", "many", "--all", "GET", "https://wiki.example/x").out


def test_body_from_standard_input(explain: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'{"amount": 1}')))
    assert explain("--role", "support", "--body", "-", "POST", REFUNDS).code == 0


def test_a_body_is_what_its_header_says(explain: Callable[..., object], body: Callable[[str], str]) -> None:
    ended = explain(
        "--role", "support", "--header", "content-type: text/plain", "--body", body('{"amount": 1}'), "POST", REFUNDS
    )
    assert ended.code == 1
    assert "415 The body is not taken: this target takes application/json, " in ended.out


def test_claims_and_issuer(explain: Callable[..., object], small_rules: Path) -> None:
    condition = 'principal.claims.dept == "sales" && principal.issuer == "idp" && principal.claims.level > 2'
    text = f"role: sales\nrules:\n  - id: r\n    allow: GET wiki /a\n    when: |\n      {condition}\n"
    (small_rules / "roles" / "sales.yaml").write_text(text)
    asked = ["--role", "sales", "--claim", 'dept="sales"', "--claim", "level=3", "GET", "https://wiki.example/a"]
    assert explain("--issuer", "idp", *asked).code == 0
    assert explain(*asked).code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--role", "suport", "GET", CUSTOMER], "unknown role suport: did you mean support?", id="role"),
        pytest.param(["GET", CUSTOMER], "--role", id="no-role"),
        pytest.param(["--role", "support", "GET", "/v1"], "a whole URL is needed here", id="url"),
        pytest.param(["--role", "support", "--header", "x", "GET", CUSTOMER], "'x-source: batch'", id="header"),
        pytest.param(
            ["--role", "support", "--claim", "dept=sales", "GET", CUSTOMER], "text has quotes", id="claim-text"
        ),
        pytest.param(["--role", "support", "--claim", "dept", "GET", CUSTOMER], "NAME=JSON", id="claim"),
        pytest.param(
            ["--role", "support", "--claim", "a=1", "--claim", "a=2", "GET", CUSTOMER], "a is given twice", id="claims"
        ),
        pytest.param(["--role", "support", "--at", "noon", "GET", CUSTOMER], "a day or an instant", id="at"),
        pytest.param(["--role", "support", "--body", "/no/such", "GET", CUSTOMER], "/no/such", id="body"),
    ],
)
def test_wrong_use(explain: Callable[..., object], arguments: list[str], message: str) -> None:
    ended = explain(*arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert message in ended.err


def test_rules_with_errors(lockgate: Callable[..., object], tmp_path: Path) -> None:
    ended = lockgate("explain", "--rules", tmp_path, "--role", "x", "GET", CUSTOMER)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
