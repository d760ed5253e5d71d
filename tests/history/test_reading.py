"""That requests are read as the stages read them, `tests/cli/test_simulate.py` says; here is what records add."""

from __future__ import annotations

import pytest

from harness.past import generation
from lockgate.errors import Refused, RequestUnreadable
from lockgate.history.kept import LOST
from lockgate.history.reading import read, target_of
from lockgate.policy.cases import Request, url
from lockgate.policy.generation import Generation

CRM = "https://api.crm.example"
ROLES = ("support",)
JSON = ("content-type", "application/json")


def test_a_target_that_is_gone(rules: Generation) -> None:
    with pytest.raises(Refused, match="403"):
        target_of(rules, Request("GET", url("https://gone.example/")))
    with pytest.raises(RequestUnreadable):
        target_of(rules, Request("GET", url(f"{CRM}/"), (("host", "other.example"),)))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param((JSON, ("content-length", "99999999")), "413", id="too-long"),
        pytest.param((("content-type", "text/csv"),), "415", id="another-type"),
        pytest.param((("host", "api.crm.example"),), "415", id="no-type"),
    ],
)
def test_a_body_that_was_not_kept_has_to_fit_all_the_same(
    rules: Generation, headers: tuple[tuple[str, str], ...], status: str
) -> None:
    asked = Request("POST", url(f"{CRM}/v1/refunds"), headers)
    with pytest.raises(Refused, match=status):
        read(rules, target_of(rules, asked), ROLES, asked, LOST)


def test_of_what_type_a_body_was_may_not_be_known_either(rules: Generation) -> None:
    asked = Request("POST", url(f"{CRM}/v1/refunds"))
    action, facts = read(rules, target_of(rules, asked), ROLES, asked, LOST)
    assert (action.verb, facts.body) == ("POST", LOST)


def test_a_body_that_no_rule_reads_is_not_looked_into(rules: Generation) -> None:
    asked = Request("POST", url("https://wiki.example/a"), (("content-type", "text/plain"),), b"{")
    _, facts = read(rules, target_of(rules, asked), ROLES, asked)
    assert facts.body == {}


@pytest.mark.parametrize("method", ["send", "receive"])
def test_a_message_that_was_not_kept(method: str) -> None:
    rules = generation(
        {
            "gateway.yaml": "issuers:\n  - dev: true\n",
            "targets.yaml": "targets:\n  wiki: {url: https://wiki.example}\n",
            "roles/support.yaml": "role: support\nrules:\n  - id: a\n    allow: [send wiki /c, receive wiki /c]\n",
        }
    )
    asked = Request(method, url("https://wiki.example/c"))
    action, facts = read(rules, target_of(rules, asked), ROLES, asked, LOST)
    assert (action.verb, facts.body) == (method, LOST)
