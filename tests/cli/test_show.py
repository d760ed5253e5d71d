from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def show(lockgate: Callable[..., object], small_rules: Path) -> Callable[..., object]:
    return lambda *arguments: lockgate("show", "--rules", small_rules, *arguments)


def test_which_roles_there_are(show: Callable[..., object]) -> None:
    ended = show()
    assert ended == (0, "reader   1 allow\nsupport  4 allow, 1 hold; extends reader\n", "")
    assert json.loads(show("--json").out)["roles"][1] == {
        "role": "support",
        "extends": ["reader"],
        "rules": {"allow": 4, "hold": 1, "deny": 0},
    }


def test_no_roles(show: Callable[..., object], small_rules: Path) -> None:
    for path in (small_rules / "roles").iterdir():
        path.unlink()
    assert show().out == "there are no roles: write roles/NAME.yaml\n"


def test_all_that_a_role_may_do(show: Callable[..., object], small_rules: Path) -> None:
    ended = show("--role", "support")
    assert (ended.code, ended.err) == (0, "")
    assert (
        ended.out
        == f"""\
support, with what is inherited from reader

crm
  at           https://api.crm.example
  credential   crm-token
  masked       $..ssn: redact  (targets/crm)

  allow  GET /v1/customers
         support/list  {small_rules}/roles/support.yaml:20
         unless request.query.all == "1"
         shown only $.items

  allow  GET /v1/customers/{{id}}
         support/read  {small_rules}/roles/support.yaml:4
         masked $.email: keep_last 4
         less deny any /**/secrets  (guardrails/secrets)

  allow  GET /v1/old
         support/old  {small_rules}/roles/support.yaml:17
         expired 2020-01-31T00:00:00Z

  allow  POST /v1/refunds
         support/small  {small_rules}/roles/support.yaml:7
         when body.amount <= 500
         not recorded $.iban
         less hold POST /v1/refunds  (support/big)

  hold   POST /v1/refunds
         support/big  {small_rules}/roles/support.yaml:11
         when body.amount > 500
         approval by 1 of finance or audit, within 15m
         reason Finance decides.

  deny   any /**/secrets
         guardrails/secrets  {small_rules}/guardrails.yaml:2

wiki
  at           https://wiki.example
  credential   none

  allow  GET /**
         reader/wiki (inherited)  {small_rules}/roles/reader.yaml:3

nothing is allowed at vault
"""
    )


def test_several_roles_are_joined(show: Callable[..., object]) -> None:
    found = json.loads(show("--role", "reader", "--role", "support", "--json").out)
    assert (found["roles"], found["inherited"]) == (["reader", "support"], [])
    assert [target["target"] for target in found["targets"]] == ["crm", "wiki"]


def test_json(show: Callable[..., object]) -> None:
    crm, wiki = json.loads(show("--role", "support", "--json").out)["targets"]
    assert {key: value for key, value in crm.items() if key != "lines"} == {
        "target": "crm",
        "origins": ["https://api.crm.example"],
        "credential": "crm-token",
        "client_cert": None,
        "masks": [{"path": "$..ssn", "kind": "redact", "argument": None, "rule": "targets/crm"}],
        "shows": [],
        "redactions": [],
    }
    assert crm["lines"][1] == {
        "verdict": "allow",
        "line": "GET crm /v1/customers/{id}",
        "rule": "support/read",
        "source": "roles/support.yaml:4",
        "inherited": False,
        "when": None,
        "unless": None,
        "query": None,
        "expires": None,
        "expired": False,
        "reason": None,
        "approval": None,
        "masks": [{"path": "$.email", "kind": "keep_last", "argument": 4, "rule": "support/read"}],
        "shows": [],
        "redactions": [],
        "cut_by": [{"verdict": "deny", "line": "any crm|vault /**/secrets", "rule": "guardrails/secrets"}],
    }
    assert crm["lines"][2]["expired"] is True
    assert wiki["lines"][0]["inherited"] is True


def test_wrong_use(show: Callable[..., object]) -> None:
    ended = show("--role", "suport")
    assert ended == (2, "", "lockgate: unknown role suport: did you mean support?\n")
