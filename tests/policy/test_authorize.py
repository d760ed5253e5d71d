"""The decision, as a table: what wins, what a condition without an answer does, and that order means nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.model import Action, Decision, HttpFacts, Mask, Outcome, Principal, Show, Unreadable, Verdict
from lockgate.policy.authorize import authorize
from lockgate.policy.conditions import compile_condition
from lockgate.policy.generation import Generation
from lockgate.policy.index import PathIndex
from lockgate.policy.patterns import parse
from lockgate.policy.rules import GUARDRAILS, Entry, Policy, Rule

NOW = datetime(2030, 6, 15, 14, 30, tzinfo=UTC)


def decide(
    generation: Generation,
    verb: str = "POST",
    path: str = "/v1/refunds",
    body: Any = None,
    roles: tuple[str, ...] = ("support",),
) -> Decision:
    facts = HttpFacts(verb, "api.crm.example", path, body={} if body is None else body)
    principal = Principal("https://login.example", "agent-7", roles, 0.0)
    return authorize(generation.policy, principal, [Action(verb, "crm", path)], facts, NOW)


def support(*rules: str) -> dict[str, str]:
    return {"roles/support.yaml": "role: support\nrules: [" + ", ".join(f"\n  {{{rule}}}" for rule in rules) + "]\n"}


Loaded = Callable[..., Generation]
LISTING = {
    "targets.yaml": "targets: {crm: {url: https://api.crm.example, methods: [PURGE]}}\n",
    "credentials.yaml": None,
}


@pytest.mark.parametrize(
    ("rules", "verdict", "rule"),
    [
        pytest.param(["id: a, allow: any crm /**"], "deny", None, id="any-is-the-ordinary-ones"),
        pytest.param(["id: a, allow: PURGE crm /**"], "allow", "support/a", id="named"),
        pytest.param(
            ["id: a, allow: PURGE crm /**", "id: d, deny: any crm /v1/**"], "deny", "support/d", id="any-of-a-deny"
        ),
        pytest.param(
            ["id: a, allow: PURGE crm /**", "id: h, hold: any crm /v1/**"], "hold", "support/h", id="any-of-a-hold"
        ),
        pytest.param(
            [
                "id: a, allow: PURGE crm /**",
                "id: d, deny: GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|QUERY crm /v1/**",
            ],
            "allow",
            "support/a",
            id="every-ordinary-one-named",
        ),
    ],
)
def test_a_method_that_the_target_lists_is_named(
    loaded: Loaded, rules: list[str], verdict: str, rule: str | None
) -> None:
    decision = decide(loaded({**support(*rules), **LISTING}), "PURGE", "/v1/x")
    assert (decision.verdict, decision.rule) == (verdict, rule)


def test_a_deny_of_everything_is_about_every_method(loaded: Loaded) -> None:
    files = support("id: a, allow: PURGE crm /**")
    guardrail = {"guardrails.yaml": "rules: [{id: d, deny: any crm}]\n"}
    decision = decide(loaded({**files, **LISTING, **guardrail}), "PURGE", "/v1/x")
    assert (decision.verdict, decision.rule) == ("deny", "guardrails/d")


ALLOW = "id: allow, allow: POST crm /v1/refunds"
HOLD = "id: hold, hold: POST crm /v1/refunds"
DENY = "id: deny, deny: POST crm /v1/refunds"
NOW_AND_THEN = "when: request.host != ''"  # always true here, which loading the rules cannot know
SMALL = "when: body.amount <= 500"
LARGE = "when: body.amount > 500"


@pytest.mark.parametrize(
    ("rules", "body", "verdict", "rule"),
    [
        pytest.param([], {}, "deny", None, id="nothing-matches"),
        pytest.param([ALLOW], {}, "allow", "support/allow", id="allow"),
        pytest.param([ALLOW, HOLD], {}, "hold", "support/hold", id="hold-beats-allow"),
        pytest.param([ALLOW, f"{DENY}, {NOW_AND_THEN}"], {}, "deny", "support/deny", id="deny-beats-allow"),
        pytest.param([ALLOW, HOLD, f"{DENY}, {NOW_AND_THEN}"], {}, "deny", "support/deny", id="deny-beats-hold"),
        pytest.param([HOLD], {}, "hold", "support/hold", id="hold-alone"),
        pytest.param([f"{ALLOW}, {SMALL}"], {"amount": 5}, "allow", "support/allow", id="condition-true"),
        pytest.param([f"{ALLOW}, {SMALL}"], {"amount": 501}, "deny", None, id="condition-false"),
        pytest.param([ALLOW, f"{DENY}, {LARGE}"], {"amount": 5}, "allow", "support/allow", id="deny-does-not-apply"),
        pytest.param([ALLOW, f"{HOLD}, {LARGE}"], {"amount": 501}, "hold", "support/hold", id="hold-applies"),
        pytest.param([f"{ALLOW}, {SMALL}"], {}, "deny", None, id="allow-unevaluable-missing"),
        pytest.param([f"{ALLOW}, {SMALL}"], {"amount": "5"}, "deny", None, id="allow-unevaluable-type"),
        pytest.param([f"{ALLOW}, {SMALL}"], Unreadable("no JSON"), "deny", None, id="allow-unevaluable-body"),
        pytest.param([ALLOW, f"{DENY}, {LARGE}"], {}, "deny", "support/deny", id="deny-unevaluable-denies"),
        pytest.param([ALLOW, f"{HOLD}, {LARGE}"], {}, "deny", "support/hold", id="hold-unevaluable-denies"),
        pytest.param([ALLOW, f"{HOLD}, {LARGE}"], Unreadable("x"), "deny", "support/hold", id="hold-unreadable-denies"),
        pytest.param(
            [ALLOW, f"id: other, allow: POST crm /v1/refunds, {SMALL}"],
            {},
            "allow",
            "support/allow",
            id="another-allow-suffices",
        ),
        pytest.param(
            [ALLOW, f"id: e, deny: any crm, {NOW_AND_THEN}"], {}, "deny", "support/e", id="everything-at-a-target"
        ),
        pytest.param([ALLOW, "id: e, deny: any wiki"], {}, "allow", "support/allow", id="another-target"),
        pytest.param([ALLOW, "id: e, deny: GET|PUT crm"], {}, "allow", "support/allow", id="other-verbs"),
        pytest.param(
            [ALLOW, f'id: e, deny: ["GET wiki", "POST crm|wiki"], {NOW_AND_THEN}'],
            {},
            "deny",
            "support/e",
            id="second-line",
        ),
        pytest.param(
            ["id: b, allow: POST crm /**", "id: a, allow: any crm /v1/*"], {}, "allow", "support/a", id="first-by-name"
        ),
    ],
)
def test_precedence(loaded: Loaded, rules: list[str], body: Any, verdict: str, rule: str | None) -> None:
    decision = decide(loaded(support(*rules)), body=body)
    assert (decision.verdict, decision.rule) == (verdict, rule)


@pytest.mark.parametrize(
    ("rule", "path", "verdict"),
    [
        pytest.param("allow: POST crm /V1/Refunds", "/v1/refunds", "deny", id="allow-in-other-case"),
        pytest.param("allow: POST crm /v1/refunds", "/v1/refunds/", "deny", id="allow-with-slash"),
        pytest.param("deny: POST crm /V1/Refunds", "/v1/refunds", "deny", id="deny-in-other-case"),
        pytest.param("deny: POST crm /v1/refunds", "/v1/refunds/", "deny", id="deny-with-slash"),
        pytest.param("hold: POST crm /v1/refunds", "/v1/REFUNDS/", "hold", id="hold-in-other-spelling"),
    ],
)
def test_spelling(loaded: Loaded, rule: str, path: str, verdict: str) -> None:
    everything = "id: z, allow: POST crm /**"
    rules = [f"id: r, {rule}"] if rule.startswith("allow") else [f"id: r, {rule}", everything]
    assert decide(loaded(support(*rules)), path=path).verdict == verdict


def test_reasons_and_places(loaded: Loaded) -> None:
    rules = [ALLOW, f"{DENY}, {LARGE}, reason: Too much.", f"{HOLD}, when: body.currency == 'EUR'"]
    decision = decide(loaded(support(*rules)), body={"amount": 501, "currency": 5})
    assert decision.rule == "support/deny"
    assert decision.reason == "Too much."
    assert [(each.rule, each.source, each.verdict, each.outcome) for each in decision.considered] == [
        ("support/allow", "roles/support.yaml:3", Verdict.ALLOW, Outcome.MATCHED),
        ("support/deny", "roles/support.yaml:4", Verdict.DENY, Outcome.MATCHED),
        ("support/hold", "roles/support.yaml:5", Verdict.HOLD, Outcome.UNEVALUABLE),
    ]
    assert decision.considered[2].detail.startswith('body.currency and "EUR" cannot be compared')


def test_a_false_condition_was_considered(loaded: Loaded) -> None:
    decision = decide(loaded(support(f"{ALLOW}, {SMALL}")), body={"amount": 501})
    assert [each.outcome for each in decision.considered] == [Outcome.CONDITION_FALSE]


def test_what_is_not_about_the_action_was_not_considered(loaded: Loaded) -> None:
    rules = ["id: a, allow: GET crm /v1/refunds", "id: b, allow: POST wiki /v1/refunds", "id: c, allow: POST crm /x"]
    assert decide(loaded(support(*rules))).considered == ()


def test_an_unevaluable_rule_does_not_speak_in_its_own_words(loaded: Loaded) -> None:
    decision = decide(loaded(support(f"{DENY}, {LARGE}, reason: Too much.")))
    assert decision.reason == "The condition of support/deny has no certain answer for this request."


@pytest.mark.parametrize(
    ("conditions", "body", "verdict", "detail"),
    [
        pytest.param("unless: body.test", {"test": False}, "allow", "", id="unless-false"),
        pytest.param("unless: body.test", {"test": True}, "deny", "unless is true", id="unless-true"),
        pytest.param("unless: body.test", {}, "deny", "body.test is missing", id="unless-missing"),
        pytest.param("when: body.a == 1, unless: body.b == 1", {"a": 1, "b": 2}, "allow", "", id="both"),
        pytest.param("when: body.a == 1, unless: body.b == 1", {"a": 2}, "deny", "when is false", id="when-goes-first"),
        pytest.param(
            "when: body.a == 1, unless: body.b == 1", {"b": 1}, "deny", "body.a is missing", id="when-missing"
        ),
        pytest.param("when: body.a == 1, unless: body.b == 1", {"a": 1}, "deny", "body.b is missing", id="then-unless"),
        pytest.param("expires: 2030-06-15T14:30:01Z", {}, "allow", "", id="not-yet-expired"),
        pytest.param("expires: 2030-06-15T16:30:00+02:00", {}, "deny", "it expired at 2030-06-15T14:30:00", id="now"),
        pytest.param("expires: 2030-06-15", {}, "deny", "it expired at 2030-06-15T00:00:00", id="a-day-is-its-start"),
        pytest.param("expires: 2030-06-15, when: body.x", {}, "deny", "it expired at", id="expired-before-when"),
    ],
)
def test_when_unless_and_expires(loaded: Loaded, conditions: str, body: Any, verdict: str, detail: str) -> None:
    decision = decide(loaded(support(f"{ALLOW}, {conditions}")), body=body)
    assert decision.verdict == verdict
    assert decision.considered[0].detail.startswith(detail)


@pytest.mark.parametrize(
    ("conditions", "body", "verdict"),
    [
        pytest.param("unless: body.test", {"test": True}, "allow", id="exempted"),
        pytest.param("unless: body.test", {"test": False}, "deny", id="not-exempted"),
        pytest.param("unless: body.test", {"test": "true"}, "deny", id="exemption-of-another-type"),
        pytest.param("unless: body.test", {}, "deny", id="exemption-missing"),
        pytest.param("expires: 2030-06-15T14:30:01Z", {}, "deny", id="still-counts"),
        pytest.param("expires: 2030-06-15T14:30:00Z", {}, "allow", id="expired"),
    ],
)
def test_exemptions_of_a_deny(loaded: Loaded, conditions: str, body: Any, verdict: str) -> None:
    assert decide(loaded(support(ALLOW, f"{DENY}, {conditions}")), body=body).verdict == verdict


@pytest.mark.parametrize(
    ("condition", "path", "verdict"),
    [
        pytest.param("path.kind == 'keys'", "/v1/keys", "deny", id="exactly"),
        pytest.param("path.kind == 'keys'", "/v1/notes", "allow", id="another"),
        pytest.param("path.kind == 'keys'", "/v1/KEYS", "deny", id="letter-case"),
        pytest.param("path.kind in ['hooks', 'keys']", "/v1/KEYS", "deny", id="letter-case-in-a-list"),
        pytest.param("path.kind in lists.kinds", "/v1/KEYS", "deny", id="letter-case-in-a-named-list"),
        pytest.param("path.kind in lists.kinds", "/v1/notes", "allow", id="not-in-a-named-list"),
        pytest.param("path.kind.startsWith('key')", "/v1/KEYS", "deny", id="letter-case-of-a-start"),
        pytest.param("request.path == '/v1/keys'", "/v1/KEYS", "deny", id="letter-case-of-the-path"),
        pytest.param("path.kind == 'top secret'", "/v1/top%20secret", "deny", id="decoded"),
        pytest.param("path.kind.matches('^keys$')", "/v1/KEYS", "deny", id="letter-case-of-a-match"),
        pytest.param("path.kind.matches('^key')", "/v1/notes", "allow", id="no-match"),
        pytest.param("path.kind + '' == 'keys'", "/v1/KEYS", "deny", id="joined-with-nothing"),
        pytest.param("string(path.kind) == 'keys'", "/v1/KEYS", "deny", id="made-text"),
        pytest.param("path.kind in {'keys': true}", "/v1/KEYS", "deny", id="letter-case-of-a-member"),
        pytest.param("path.kind in {'keys': true}", "/v1/notes", "allow", id="no-member"),
        pytest.param("request.path == '/v1/a:b'", "/v1/a%3Ab", "deny", id="encoding-of-the-path"),
        pytest.param("request.path == '/v1/keys'", "/v1/keys/", "deny", id="slash-at-the-end"),
        pytest.param("request.path.startsWith('/v1/keys/')", "/v1/keys", "deny", id="no-slash-at-the-end"),
        pytest.param("request.path == '/v1/caf%C3%A9'", "/v1/cafe%CC%81", "deny", id="unicode-form"),
        pytest.param("path.kind != 'notes'", "/v1/NOTES", "deny", id="unequal-but-for-case"),
    ],
)
def test_a_deny_by_what_a_path_says_holds_for_its_other_spellings(
    loaded: Loaded, condition: str, path: str, verdict: str
) -> None:
    rules = ["id: a, allow: POST crm /v1/**", f'id: d, deny: "POST crm /v1/{{kind}}", when: "{condition}"']
    lists = "issuers:\n  - dev: true\nlists: {kinds: [hooks, keys]}\n"
    assert decide(loaded({**support(*rules), "gateway.yaml": lists}), path=path).verdict == verdict


def test_a_list_may_hold_both_letter_cases(loaded: Loaded) -> None:
    rule = "id: a, allow: \"POST crm /v1/{who}\", when: \"path.who in ['ANN', 'ann']\""
    assert decide(loaded(support(rule)), path="/v1/ann").verdict is Verdict.ALLOW
    assert decide(loaded(support(rule)), path="/v1/Ann").verdict is Verdict.DENY


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param("when: 'size(body.l) <= 1000 && body.l.all(x, x > 0)'", id="when"),
        pytest.param("unless: 'size(body.l) > 1000 || body.l.all(x, x > 0)'", id="unless"),
    ],
)
def test_what_takes_too_long_is_denied_whatever_else_allows_it(loaded: Loaded, condition: str) -> None:
    """Otherwise the order of rules would say which of them still had an answer."""
    rules = [f"id: a{number}, allow: POST crm /v1/*, {condition}" for number in range(60)]
    generation = loaded(support(ALLOW, *rules))
    assert decide(generation, body={"l": [1] * 10}).verdict is Verdict.ALLOW
    decision = decide(generation, body={"l": [1] * 1000})
    assert (decision.verdict, decision.rule) == (Verdict.DENY, None)
    assert decision.reason == "To decide this request takes too long."


def test_a_rule_with_two_fitting_lines_is_considered_once(loaded: Loaded) -> None:
    rule = "id: a, allow: [POST crm /v1/*, POST crm /*/refunds], mask: {$.a: drop}, redact_request: [$.b]"
    other = "id: b, allow: POST crm /v1/refunds, redact_request: [$.b]"
    decision = decide(loaded(support(rule, other)))
    assert [each.rule for each in decision.considered] == ["support/a", "support/b"]
    assert decision.masks == (Mask("$.a", "drop", None, "support/a"),)
    assert decision.redactions == ("$.b",)


def test_masks_stand_in_an_order_that_no_file_changes(loaded: Loaded) -> None:
    for kinds in ("phone, email, card", "card, email, phone"):
        decision = decide(loaded(support(f"{ALLOW}, detect: [{kinds}]")))
        assert [mask.argument for mask in decision.masks] == ["card", "email", "phone"]


@pytest.mark.parametrize(
    ("path", "masked"),
    [
        pytest.param("/v1/refunds/", True, id="by-what-it-captures"),
        pytest.param("/v1/others/", False, id="captures-something-else"),
    ],
)
def test_what_an_allow_masks_that_is_nearly_about_a_request_hangs_on_its_captures(
    loaded: Loaded, path: str, masked: bool
) -> None:
    near = "id: near, allow: 'POST crm /v1/{kind}', when: 'path.kind == \"refunds\"', mask: {$.a: drop}"
    decision = decide(loaded(support("id: a, allow: POST crm /v1/**", near)), path=path)
    assert decision.verdict is Verdict.ALLOW
    assert bool(decision.masks) is masked


def test_of_several_actions_the_rule_that_is_named_does_not_hang_on_their_order(loaded: Loaded) -> None:
    policy = loaded(
        support(f"id: a, deny: POST crm /a, {NOW_AND_THEN}", f"id: b, deny: POST crm /b, {NOW_AND_THEN}")
    ).policy
    principal = Principal("https://login.example", "agent-7", ("support",), 0.0)
    facts = HttpFacts("POST", "api.crm.example", "/a", body={})
    actions = [Action("POST", "crm", "/a"), Action("POST", "crm", "/b"), Action("POST", "crm", "/none")]
    for asked in permutations(actions):
        assert authorize(policy, principal, asked, facts, NOW).rule == "support/b"


class TestRedactions:
    """What the record of a request leaves out."""

    RULES = support(
        f"{ALLOW}, when: body.amount <= 500, redact_request: [$.card]",
        "id: other, allow: GET crm /x, redact_request: [headers.x-pin]",
        "id: elsewhere, deny: GET wiki, redact_request: [$.wiki]",
    )

    def test_of_an_allowed_request_are_those_of_the_rules_about_it(self, loaded: Loaded) -> None:
        assert decide(loaded(self.RULES), body={"amount": 5}).redactions == ("$.card",)

    def test_whatever_the_condition_says_but_not_of_expired_rules(self, loaded: Loaded) -> None:
        rules = [ALLOW, f"id: b, allow: POST crm /v1/*, {LARGE}, redact_request: [$.pin]"]
        expired = "id: c, allow: POST crm /v1/*, expires: 2020-01-01, redact_request: [$.old]"
        assert decide(loaded(support(*rules, expired)), body={"amount": 5}).redactions == ("$.pin",)

    def test_what_is_not_recorded_at_all_is_among_them(self, loaded: Loaded) -> None:
        rules = [f"{ALLOW}, record: full", f"id: b, allow: POST crm /v1/*, {LARGE}, record: digest"]
        assert decide(loaded(support(*rules)), body={"amount": 5}).redactions == ("record:digest", "record:full")

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            pytest.param("/v1/refunds", {"amount": 501}, id="condition-false"),
            pytest.param("/v1/refunds", {}, id="unevaluable"),
            pytest.param("/v1/refunds/", {"amount": 5}, id="nearly-the-path"),
        ],
    )
    def test_of_a_refused_request_are_those_of_every_rule_at_the_target(
        self, loaded: Loaded, path: str, body: Any
    ) -> None:
        decision = decide(loaded(self.RULES), path=path, body=body)
        assert decision.verdict is Verdict.DENY
        assert decision.redactions == ("$.card", "headers.x-pin")

    def test_of_somebody_without_a_role_too(self, loaded: Loaded) -> None:
        assert decide(loaded(self.RULES), roles=("unknown",)).redactions == ("$.card", "headers.x-pin")


class TestRoles:
    RULES: ClassVar = {
        **support(ALLOW),
        "roles/finance.yaml": "role: finance\nrules:\n  - {id: no, deny: POST crm /v1/refunds}\n",
        "roles/lead.yaml": "role: lead\nextends: [support]\nrules: []\n",
        "roles/chief.yaml": "role: chief\nextends: [lead, finance]\nrules: []\n",
    }

    @pytest.mark.parametrize(
        ("roles", "verdict", "rule"),
        [
            pytest.param(("support",), "allow", "support/allow", id="one"),
            pytest.param(("support", "support"), "allow", "support/allow", id="twice"),
            pytest.param(("support", "unknown"), "allow", "support/allow", id="unknown-ignored"),
            pytest.param(("support", "finance"), "deny", "finance/no", id="joined"),
            pytest.param(("finance", "support"), "deny", "finance/no", id="joined-in-other-order"),
            pytest.param(("lead",), "allow", "support/allow", id="inherited"),
            pytest.param(("chief",), "deny", "finance/no", id="inherited-twice-over"),
            pytest.param(("unknown",), "deny", None, id="unknown"),
            pytest.param((), "deny", None, id="none"),
            pytest.param(("Support",), "deny", None, id="case-matters"),
            pytest.param(("guardrails",), "deny", None, id="guardrails-is-no-role"),
        ],
    )
    def test_verdict(self, loaded: Loaded, roles: tuple[str, ...], verdict: str, rule: str | None) -> None:
        decision = decide(loaded(self.RULES), roles=roles)
        assert (decision.verdict, decision.rule) == (verdict, rule)

    def test_no_known_role_says_so(self, loaded: Loaded) -> None:
        decision = decide(loaded(self.RULES), roles=("unknown",))
        assert decision.reason == "None of the caller's roles is known here."

    def test_a_rule_that_two_roles_bring_is_considered_once(self, loaded: Loaded) -> None:
        assert len(decide(loaded(self.RULES), roles=("support", "lead")).considered) == 1


def test_guardrails_bind_every_role(loaded: Loaded) -> None:
    guardrails = (
        "rules:\n  - {id: g, deny: POST crm /v1/**, when: body.amount > 1000}\n  - {id: m, mask: {$..ssn: redact}}\n"
    )
    generation = loaded({**support(ALLOW), "guardrails.yaml": guardrails})
    assert decide(generation, body={"amount": 5}).verdict is Verdict.ALLOW
    assert decide(generation, body={"amount": 5000}).rule == "guardrails/g"
    assert decide(generation, body={}).verdict is Verdict.DENY
    assert decide(generation, body={"amount": 5}).masks == (Mask("$..ssn", "redact", None, "guardrails/m"),)


class TestMasks:
    def test_of_all_that_match_and_of_the_target(self, loaded: Loaded) -> None:
        rules = [
            f"{ALLOW}, mask: {{$.a: redact}}",
            f"{HOLD}, mask: {{$.b: drop}}",
            "id: o, allow: GET crm /x, mask: {$.c: redact}",
        ]
        targets = (
            "targets:\n"
            "  crm: {url: https://api.crm.example, mask: {$.t: nullify}}\n"
            "  wiki: {url: http://w.example, mask: {$.w: redact}}\n"
        )
        decision = decide(loaded({**support(*rules), "targets.yaml": targets}))
        assert decision.masks == (
            Mask("$.a", "redact", None, "support/allow"),
            Mask("$.b", "drop", None, "support/hold"),
            Mask("$.t", "nullify", None, "targets/crm"),
        )

    def test_shows_join_as_masks_do(self, loaded: Loaded) -> None:
        rules = [f"{ALLOW}, show: [$.a, $.b]", "id: expired, allow: any crm /**, show: $.c, expires: 2020-01-01"]
        targets = (
            "targets:\n"
            "  crm: {url: https://api.crm.example, show: [$.a]}\n"
            "  wiki: {url: http://w.example, show: [$.w]}\n"
        )
        decision = decide(loaded({**support(*rules), "targets.yaml": targets}))
        assert decision.shows == (Show(("$.a", "$.b"), "support/allow"), Show(("$.a",), "targets/crm"))
        assert decision.alters

    @pytest.mark.parametrize("path", ["/v1/Customers/7", "/v1/customers/7/", "/v1/customers%2D/7"])
    def test_of_an_allow_bind_to_other_spellings_that_another_allows(self, loaded: Loaded, path: str) -> None:
        """The target may take both for the same customer."""
        rules = [
            'id: narrow, allow: "POST crm /v1/customers/{id}", mask: {$.ssn: redact}, redact_request: [$.card]',
            "id: wide, allow: POST crm /v1/**",
        ]
        decision = decide(loaded(support(*rules)), path=path)
        assert [each.rule for each in decision.considered] == ["support/wide"]
        near = path != "/v1/customers%2D/7"
        assert [mask.path for mask in decision.masks] == (["$.ssn"] if near else [])
        assert decision.redactions == (("$.card",) if near else ())

    @pytest.mark.parametrize(
        ("body", "masked"),
        [
            pytest.param({"amount": 5}, True, id="condition-true"),
            pytest.param({"amount": 501}, False, id="condition-false"),
            pytest.param({}, True, id="condition-uncertain"),
        ],
    )
    def test_bind_unless_the_condition_is_certainly_false(self, loaded: Loaded, body: Any, masked: bool) -> None:
        rules = [ALLOW, f"id: m, allow: POST crm /v1/refunds, {SMALL}, mask: {{$.a: redact}}"]
        decision = decide(loaded(support(*rules)), body=body)
        assert decision.verdict is Verdict.ALLOW
        assert bool(decision.masks) is masked


class TestActions:
    """Several actions in one request: the most restrictive verdict."""

    RULES = support("id: read, allow: GET crm /a", "id: write, hold: POST crm /a", "id: never, deny: DELETE crm")

    def decided(self, generation: Generation, *actions: tuple[str, str]) -> Decision:
        principal = Principal("https://login.example", "agent-7", ("support",), 0.0)
        facts = HttpFacts("POST", "api.crm.example", "/batch")
        return authorize(
            generation.policy, principal, [Action(verb, "crm", path) for verb, path in actions], facts, NOW
        )

    @pytest.mark.parametrize(
        ("actions", "verdict", "rule"),
        [
            pytest.param([], "deny", None, id="none"),
            pytest.param([("GET", "/a")], "allow", "support/read", id="one"),
            pytest.param([("GET", "/a"), ("POST", "/a")], "hold", "support/write", id="hold-beats-allow"),
            pytest.param(
                [("POST", "/a"), ("GET", "/a"), ("DELETE", "/a")], "deny", "support/never", id="deny-beats-all"
            ),
            pytest.param([("GET", "/a"), ("GET", "/b")], "deny", None, id="one-that-nothing-allows"),
            pytest.param([("GET", "/b"), ("DELETE", "/a")], "deny", "support/never", id="a-rule-to-name"),
        ],
    )
    def test_verdict(self, loaded: Loaded, actions: list[tuple[str, str]], verdict: str, rule: str | None) -> None:
        generation = loaded(self.RULES)
        for order in (actions, actions[::-1]):
            decision = self.decided(generation, *order)
            assert (decision.verdict, decision.rule) == (verdict, rule)

    def test_no_action_says_so(self, loaded: Loaded) -> None:
        assert self.decided(loaded(self.RULES)).reason == "The request reads as no action."


CONDITIONS = [None, *(compile_condition(text, []) for text in ("body.a == 1", "body.a == 2", "body.b == 1", "true"))]
RULES = st.lists(
    st.builds(
        lambda name, verdict, condition: Rule(
            f"r/{name}", f"f:{name}", verdict, when=condition, masks=(Mask(f"$.{name}", "redact"),)
        ),
        st.sampled_from("abcdef"),
        st.sampled_from(list(Verdict)),
        st.sampled_from(CONDITIONS),
    ),
    max_size=5,
    unique_by=lambda rule: rule.name,
)


@given(RULES, st.randoms(use_true_random=False), st.integers(0, 5))
def test_order_means_nothing(rules: list[Rule], random: Any, guardrails: int) -> None:
    names = {rule.name for rule in rules[:guardrails]}

    def decision(order: list[Rule]) -> Decision:
        index = {("r", "crm", "GET"): PathIndex(), (GUARDRAILS, "crm", "GET"): PathIndex()}
        for rule in order:
            owner = GUARDRAILS if rule.name in names else "r"
            index[owner, "crm", "GET"].add(Entry(rule, parse("/x")))
        policy = Policy({"r": ("r",)}, {}, index, {})
        facts = HttpFacts("GET", "h", "/x", body={"a": 1})
        return authorize(policy, Principal("i", "s", ("r",), 0.0), [Action("GET", "crm", "/x")], facts, NOW)

    shuffled = list(rules)
    random.shuffle(shuffled)
    expected = decision(rules)
    assert decision(shuffled) == expected
    # The law, said again: a deny, or a deny or hold without an answer, denies.
    outcomes = {(each.verdict, each.outcome) for each in expected.considered}
    if (Verdict.DENY, Outcome.MATCHED) in outcomes or {Verdict.DENY, Verdict.HOLD} & {
        verdict for verdict, outcome in outcomes if outcome is Outcome.UNEVALUABLE
    }:
        assert expected.verdict is Verdict.DENY
    elif (Verdict.HOLD, Outcome.MATCHED) in outcomes:
        assert expected.verdict is Verdict.HOLD
    else:
        assert (expected.verdict is Verdict.ALLOW) is ((Verdict.ALLOW, Outcome.MATCHED) in outcomes)


def test_what_has_no_certain_answer_is_taken_as_it_came_out_before(loaded: Loaded) -> None:
    """Of a past request, of which not all was kept: only then, and only of the rule that is named."""
    generation = loaded(support("id: a, allow: POST crm /v1/refunds, when: body.n == 1"))
    (rule,) = generation.policy.rules["support"]
    principal, action = Principal("i", "s", ("support",), 0.0), Action("POST", "crm", "/v1/refunds")
    taken = {"support/a": rule.considered(Outcome.MATCHED, "as recorded")}

    def decided(body: Any, taken: dict[str, Any]) -> str:
        facts = HttpFacts("POST", "api.crm.example", "/v1/refunds", body=body)
        return str(authorize(generation.policy, principal, [action], facts, NOW, (), taken).verdict)

    unreadable = Unreadable("it was not kept")
    assert decided(unreadable, taken) == "allow"
    assert decided(unreadable, {}) == "deny"
    assert decided(unreadable, {"support/b": taken["support/a"]}) == "deny"
    assert decided({"n": 2}, taken) == "deny"
