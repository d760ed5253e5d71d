from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.past import Asked
from lockgate.errors import RulesNotKept
from lockgate.history.again import Judge
from lockgate.history.changes import Change, change, lost_of
from lockgate.history.records import Past
from lockgate.model import Decision, Mask, Show, Verdict
from lockgate.policy.generation import Generation

CRM = "https://api.crm.example"
JSON = (("content-type", "application/json"),)
READ = Asked("GET", f"{CRM}/v1/customers/7")
BIG = Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 600}', JSON)
SMALL = Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 5, "note": "x"}', JSON)
GONE = Asked("GET", "https://gone.example/")

Changing = Callable[..., Change | None]


@pytest.fixture(scope="module")
def changing(rules: Generation, remembered: Callable[..., Past], changed: Callable[..., Generation]) -> Changing:
    """What becomes of a request where a text of the rules is replaced."""
    then = Judge(rules)

    def changing(asked: Asked, *replaced: str, **said: Any) -> Change | None:
        now = Judge(changed(*replaced)) if replaced else then
        return change(remembered(asked, **said), now, lambda _: then)

    return changing


@pytest.mark.parametrize("asked", [READ, BIG, SMALL, GONE, Asked("DELETE", f"{CRM}/v1"), replace(BIG, approved=True)])
def test_under_the_same_rules_nothing_changes(changing: Changing, asked: Asked) -> None:
    found = changing(asked)
    assert found is not None
    assert (found.flips, found.widens, found.unmasked, found.masked, found.unknown) == (False, False, (), (), ())
    assert found.matched == found.matching


@pytest.mark.parametrize(
    ("asked", "replaced", "then", "now"),
    [
        pytest.param(READ, ("allow: GET crm /v1/c", "allow: PUT crm /v1/c"), "allow", "deny", id="allow-deny"),
        pytest.param(READ, ("allow: GET crm /v1/c", "hold: GET crm /v1/c"), "allow", "hold", id="allow-hold"),
        pytest.param(
            BIG, ("    when: body.amount > 500\n", "    when: body.amount > 900\n"), "hold", "deny", id="hold-deny"
        ),
        pytest.param(BIG, ("hold: POST", "allow: POST"), "hold", "allow", id="hold-allow"),
        pytest.param(replace(BIG, approved=True), ("hold: POST", "allow: POST"), "hold", "allow", id="approved-allow"),
        pytest.param(
            Asked("DELETE", f"{CRM}/v1"),
            ("deny: DELETE crm", "allow: DELETE crm /v1"),
            "deny",
            "allow",
            id="deny-allow",
        ),
        pytest.param(Asked("DELETE", f"{CRM}/v1"), ("deny: DELETE", "hold: DELETE"), "deny", "hold", id="deny-hold"),
        pytest.param(GONE, ("wiki.example", "gone.example", "targets.yaml"), "refused", "allow", id="refused-allow"),
        pytest.param(
            Asked("GET", "https://wiki.example/a"),
            ("wiki.example", "gone.example", "targets.yaml"),
            "allow",
            "refused",
            id="allow-refused",
        ),
        pytest.param(
            Asked("GET", f"{CRM}/v1", roles=("other",)),
            ("  - id: wiki\n", "  - id: wiki2\n", "roles/reader.yaml"),
            "deny",
            "deny",
            id="no-role",
        ),
    ],
)
def test_flips(changing: Changing, asked: Asked, replaced: tuple[str, ...], then: str, now: str) -> None:
    found = changing(asked, *replaced)
    assert found is not None
    assert (found.then, found.now, found.unknown) == (then, now, ())
    assert found.flips is (then != now)
    assert found.widens is (now == "allow" and then != now)


@pytest.mark.parametrize(
    ("replaced", "unmasked", "masked"),
    [
        pytest.param(("$..ssn: redact", "$..ssn: drop"), (), ("$..ssn drop",), id="stronger"),
        pytest.param(("$..ssn: redact", "$..ssn: hash"), ("$..ssn redact",), (), id="weaker"),
        pytest.param(("$..ssn: redact", "$.ssn: redact"), ("$..ssn redact",), (), id="narrower"),
        pytest.param(("$..ssn: redact", "$..*: redact"), (), ("$..* redact",), id="wider"),
        pytest.param(("    mask: {$..ssn: redact}\n", ""), ("$..ssn redact",), (), id="gone"),
        pytest.param(("{id}\n", "{id}\n    show: [$.id]\n"), (), ("show $.id",), id="shown-alone"),
        pytest.param(("{id}\n", "{id}\n    redact_request: [query.a]\n"), (), ("record query.a",), id="recorded-less"),
    ],
)
def test_masks(
    changing: Changing, replaced: tuple[str, str], unmasked: tuple[str, ...], masked: tuple[str, ...]
) -> None:
    found = changing(READ, *replaced)
    assert found is not None
    assert (found.flips, found.unmasked, found.masked) == (False, unmasked, masked)
    assert found.widens is bool(unmasked)


def test_what_is_denied_now_unmasks_nothing(changing: Changing) -> None:
    found = changing(READ, "allow: GET crm /v1/customers/{id}\n    mask: {$..ssn: redact}\n", "allow: PUT crm /x\n")
    assert found is not None
    assert (found.now, found.unmasked) == ("deny", ())


def test_a_fact_that_was_not_kept_is_no_flip(changing: Changing) -> None:
    found = changing(SMALL, "body.note != null", "body.note != 'x'")
    assert found is not None
    assert (found.flips, found.unknown) == (False, ("body.note",))


def test_without_the_rules_that_decided_masks_are_not_known(remembered: Callable[..., Past], rules: Generation) -> None:
    def gone(_: str) -> Judge:
        raise RulesNotKept("pruned")

    found = change(remembered(READ), Judge(rules), gone)
    assert found is not None
    assert (found.then, found.now, found.unknown) == ("allow", "allow", ("rules",))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"verdict": "allow", "rule": None, "considered": []}, id="newly-allowed-is-hidden"),
        pytest.param({"verdict": "<script>", "rule": None, "considered": []}, id="no-verdict"),
        pytest.param({"considered": 3}, id="nothing"),
    ],
)
def test_who_edits_a_verdict_hides_no_flip(changing: Changing, said: dict[str, Any]) -> None:
    """What the record says is not what its rules say: it counts as unknown, not as the same."""
    found = changing(Asked("DELETE", f"{CRM}/v1"), "deny: DELETE crm", "allow: DELETE crm /v1", decision=said)
    assert found is not None
    assert found.unknown == ("decision",)


def test_what_rules_have_no_say_in_is_left_out(changing: Changing) -> None:
    assert changing(READ, principal=None) is None
    assert changing(READ, decision=None, refusal={"status": 403, "detail": "This access has been revoked."}) is None


def test_who_asked_has_to_be_known(changing: Changing) -> None:
    who = {"issuer": "i", "subject": "[redacted]", "roles": ["support"]}
    found = changing(READ, principal=who)
    assert found is not None
    assert (found.unknown, found.roles) == (("principal",), ("support",))


def masked(*masks: Mask, shows: tuple[Show, ...] = ()) -> Decision:
    return Decision(Verdict.ALLOW, masks=masks, shows=shows)


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        pytest.param(Mask("$.a", "keep_last", 4), Mask("$.a", "keep_last", 2), (), id="keeps-less"),
        pytest.param(Mask("$.a", "keep_last", 4), Mask("$.a", "keep_last", 6), ("$.a keep_last 4",), id="keeps-more"),
        pytest.param(Mask("$.a", "keep_last", 4), Mask("$.a", "keep_first", 4), ("$.a keep_last 4",), id="keeps-other"),
        pytest.param(Mask("$.a", "hash"), Mask("$.a", "keep_last", 4), ("$.a hash",), id="hash-to-kept"),
        pytest.param(Mask("$.a", "keep_last", 4), Mask("$.a", "hash"), ("$.a keep_last 4",), id="kept-to-hash"),
        pytest.param(Mask("$.a.b", "redact"), Mask("$.a", "nullify"), (), id="above"),
        pytest.param(Mask("", "detect", "card"), Mask("", "detect", "iban"), ("detect card",), id="detect"),
        pytest.param(
            Mask("", "detect", "card"), Mask("$..*", "redact"), ("detect card",), id="detect-is-another-matter"
        ),
        pytest.param(Mask("$.a", "redact", rule="x"), Mask("$.a", "redact", rule="y"), (), id="of-another-rule"),
    ],
)
def test_what_takes_the_place_of_a_mask(before: Mask, after: Mask, lost: tuple[str, ...]) -> None:
    assert lost_of(masked(before), masked(after)) == lost


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        pytest.param(("$.a", "$.b"), ("$.a",), (), id="less"),
        pytest.param(("$.a",), ("$.a", "$.b"), ("show $.a",), id="more"),
        pytest.param(("$.a",), ("$.a.b",), (), id="below"),
        pytest.param(("$.a.b",), ("$.a",), ("show $.a.b",), id="above"),
    ],
)
def test_what_takes_the_place_of_a_show(before: tuple[str, ...], after: tuple[str, ...], lost: tuple[str, ...]) -> None:
    assert lost_of(masked(shows=(Show(before),)), masked(shows=(Show(after),))) == lost
