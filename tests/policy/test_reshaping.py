from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from lockgate.model import Action, Decision, HttpFacts, Principal
from lockgate.policy.authorize import authorize
from lockgate.policy.generation import Generation
from lockgate.policy.reshaping import RESHAPING, listed, reshapes

NOW = datetime(2030, 6, 15, tzinfo=UTC)
MASKED = "id: masked, allow: GET crm /x, mask: {$.ssn: redact}"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "fields",
            "FIELDS",
            "$select",
            "_fields",
            "fields[customers]",
            "response-format",
            "responseFormat",
            "$expand",
        ),
        *(" jq ", "callback", "include[]", "_source_includes", "@columns", "output.format", "fields[", "\uff46ields"),
    ],
)
def test_what_may_reshape(name: str) -> None:
    assert reshapes(name)


@pytest.mark.parametrize(
    "name", ["page", "limit", "page[size]", "filter[fields]", "q", "query", "sort", "id", "", "[fields]", "fields2"]
)
def test_what_does_not(name: str) -> None:
    assert not reshapes(name)


def test_its_names_are_as_they_are_looked_up() -> None:
    assert all(name.isalnum() and reshapes(name) for name in RESHAPING)


def test_what_a_rule_takes_in_words() -> None:
    assert (listed({"b", "a"}), listed(())) == ("the parameters a, b", "no parameters")


def decide(loaded: Callable[..., Generation], rules: list[str], *names: str, **files: str) -> Decision:
    text = "role: support\nrules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules)
    generation = loaded({"roles/support.yaml": text, **{f"{name}.yaml": file for name, file in files.items()}})
    facts = HttpFacts("GET", "api.crm.example", "/x", query=dict.fromkeys(names, ("1",)))
    who = Principal("https://login.example", "agent-7", ("support",), 0.0)
    return authorize(generation.policy, who, [Action("GET", "crm", "/x")], facts, NOW)


RESHAPED = "a parameter may reshape it which no rule lists in its query"


@pytest.mark.parametrize(
    ("rules", "names", "verdict", "why"),
    [
        pytest.param([MASKED], [], "allow", None, id="none"),
        pytest.param([MASKED], ["page", "q"], "allow", None, id="others"),
        pytest.param([MASKED], ["page", "fields"], "deny", RESHAPED, id="reshaping"),
        pytest.param(["id: shown, allow: GET crm /x, show: [$.id]"], ["fields"], "deny", RESHAPED, id="show"),
        pytest.param(["id: free, allow: GET crm /x"], ["fields"], "allow", None, id="not-masked"),
        pytest.param(["id: seen, allow: GET crm /x, detect: [email]"], ["fields"], "allow", None, id="by-form-only"),
        pytest.param(["id: held, hold: GET crm /x, mask: {$.a: redact}"], ["fields"], "deny", RESHAPED, id="hold"),
        pytest.param([f"{MASKED}, query: [page]"], ["page"], "allow", None, id="listed"),
        pytest.param([f"{MASKED}, query: [page]"], ["page", "q"], "deny", None, id="not-listed"),
        pytest.param([f"{MASKED}, query: [page]"], ["Page"], "deny", None, id="listed-in-other-letter-case"),
        pytest.param([f"{MASKED}, query: []"], ["page"], "deny", None, id="none-listed"),
        pytest.param([f"{MASKED}, query: []"], [], "allow", None, id="none-listed-none-given"),
        pytest.param([f"{MASKED}, query: [fields]"], ["fields"], "allow", None, id="reshaping-and-listed"),
        pytest.param(["id: free, allow: GET crm /x, query: [page]"], ["q"], "deny", None, id="not-masked-not-listed"),
        pytest.param(
            [f"{MASKED}, query: [page]", "id: free, allow: GET crm /**"],
            ["q"],
            "deny",
            "support/masked takes the parameters page only",
            id="another-rule-does-not-open-a-masked-one",
        ),
        pytest.param(
            [MASKED, "id: free, allow: GET crm /**, query: [fields]"],
            ["fields"],
            "deny",
            RESHAPED,
            id="another-rule-does-not-list-for-a-masked-one",
        ),
        pytest.param(
            [f"{MASKED}, query: [fields]", "id: free, allow: GET crm /**"], ["fields"], "allow", None, id="joined"
        ),
        pytest.param(
            [MASKED.replace("/x", "/X"), "id: free, allow: GET crm /x"], ["fields"], "deny", RESHAPED, id="nearly-about"
        ),
        pytest.param(
            ["id: free, allow: GET crm /x, query: [page]", "id: also, allow: GET crm /**"],
            ["q"],
            "allow",
            None,
            id="union",
        ),
        pytest.param(["id: held, hold: GET crm /x, query: [page]"], ["q"], "deny", None, id="hold-that-takes-others"),
    ],
)
def test_what_is_denied(
    loaded: Callable[..., Generation], rules: list[str], names: list[str], verdict: str, why: str | None
) -> None:
    decision = decide(loaded, rules, *names)
    assert decision.verdict == verdict
    assert why is None or why in str(decision.reason)


@pytest.mark.parametrize("allowed", ["id: free, allow: GET crm /x", "id: free, allow: GET crm /x, query: [fields]"])
def test_where_the_target_masks(loaded: Callable[..., Generation], allowed: str) -> None:
    targets = "targets:\n  crm: {url: https://api.crm.example, mask: {$.ssn: redact}}\n"
    found = decide(loaded, [allowed], "fields", targets=targets, credentials="credentials: {}\n")
    assert found.verdict == ("allow" if "query" in allowed else "deny")


def test_what_a_rule_does_not_take_masks_all_the_same(loaded: Callable[..., Generation]) -> None:
    decision = decide(loaded, [f"{MASKED}, query: [page]", "id: free, allow: GET crm /**"], "q")
    assert [mask.path for mask in decision.masks] == ["$.ssn"]
    outcomes = {each.rule: (each.outcome.value, each.detail) for each in decision.considered}
    assert outcomes["support/masked"] == ("unevaluable", "its query takes the parameters page only")
