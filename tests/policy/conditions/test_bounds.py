"""Loops over what can be of any length are taken only behind a bound on its size."""

from __future__ import annotations

import pytest

from lockgate.policy.conditions import compile_condition, compile_conditions
from lockgate.policy.conditions.syntax import ConditionInvalid

LISTS = {"skus": ("a", "b")}
LOOP = "body.items.all(i, i.price > 0)"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"size(body.items) <= 100 && {LOOP}", id="at-most"),
        pytest.param(f"size(body.items) < 1000 && {LOOP}", id="below"),
        pytest.param(f"size(body.items) == 3 && {LOOP}", id="exactly"),
        pytest.param(f"100 >= size(body.items) && {LOOP}", id="the-other-way-round"),
        pytest.param(f"3 == size(body.items) && {LOOP}", id="exactly-the-other-way-round"),
        pytest.param(f"2 != size(body.items) || {LOOP}", id="or-unequal-the-other-way-round"),
        pytest.param(f"body.items.size() <= 1000 && {LOOP}", id="method"),
        pytest.param(f"size(body['items']) <= 100 && {LOOP}", id="by-index"),
        pytest.param(f"has(body.items) && size(body.items) <= 9 && body.a && {LOOP}", id="in-a-chain"),
        pytest.param(f"size(body.items) <= 9 && (body.a || {LOOP})", id="deeper"),
        pytest.param(f"size(body.items) <= 9 && !({LOOP})", id="negated"),
        pytest.param(f"size(body.items) <= 9 ? {LOOP} : false", id="conditional"),
        pytest.param(f"size(body.items) > 9 ? true : {LOOP}", id="otherwise"),
        pytest.param(f"(body.a || size(body.items) > 9) ? true : {LOOP}", id="otherwise-of-or"),
        pytest.param(f"(size(body.items) <= 9 && body.a) ? {LOOP} : true", id="conditional-of-and"),
        pytest.param(f"(size(body.items) <= 9 && {LOOP}) == true", id="compared"),
        pytest.param(f"[size(body.items) <= 9 && {LOOP}] == [true]", id="in-a-list"),
        pytest.param(f"((size(body.items) > 9 || {LOOP}) ? 1 : 2) == 1", id="in-the-test-of-a-conditional"),
        pytest.param(f"size(body.items) > 9 || {LOOP}", id="or"),
        pytest.param(f"body.a || size(body.items) >= 9 || {LOOP}", id="or-in-a-chain"),
        pytest.param(f"size(body.items) != 2 || {LOOP}", id="or-unequal"),
        pytest.param(f"!(size(body.items) <= 9) || {LOOP}", id="or-negated"),
        pytest.param(f"!(size(body.items) > 9 || body.a) && {LOOP}", id="negated-or"),
        pytest.param("size(body.a[0].b) <= 9 && body.a[0].b.exists(x, x == 1)", id="an-element"),
        pytest.param("size(body) <= 9 && body.exists(name, name == 'a')", id="names-of-the-body"),
        pytest.param("size(body.items) < 9 && body.items.filter(i, i.a).map(i, i.b).all(b, b == 1)", id="derived"),
        pytest.param("(size(body.a) < 9 && size(body.b) < 9) && (body.a + body.b).all(x, x == 1)", id="joined"),
        pytest.param("size(body.a) < 9 && (body.c ? body.a : ['x']).all(x, x == 'x')", id="either"),
        pytest.param("principal.roles.exists(r, r == 'a')", id="roles"),
        pytest.param("lists.skus.exists(s, body.sku.startsWith(s))", id="named-list"),
        pytest.param("(lists.skus + principal.roles).exists(s, s == body.sku)", id="named-list-and-roles"),
        pytest.param("['a', 'b'].exists(s, body.sku == s)", id="written-out"),
        pytest.param("[body.a, body.b].all(x, x == 1)", id="written-out-of-fields"),
        pytest.param("{'a': 1}.all(name, name in body)", id="written-out-map"),
    ],
)
def test_bounded(text: str) -> None:
    assert compile_condition(text, [], LISTS).text == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(LOOP, id="bare"),
        pytest.param(f"has(body.items) && {LOOP}", id="has-is-no-bound"),
        pytest.param(f"{LOOP} && size(body.items) <= 9", id="bound-behind"),
        pytest.param(f"size(body.items) <= 9 || {LOOP}", id="or-instead-of-and"),
        pytest.param(f"size(body.items) > 9 && {LOOP}", id="and-instead-of-or"),
        pytest.param(f"size(body.items) >= 9 && {LOOP}", id="at-least"),
        pytest.param(f"size(body.items) != 9 && {LOOP}", id="unequal"),
        pytest.param(f"9 <= size(body.items) && {LOOP}", id="at-least-the-other-way-round"),
        pytest.param(f"!(size(body.items) <= 9) && {LOOP}", id="negated-bound"),
        pytest.param(f"(size(body.items) <= 9 || body.a) && {LOOP}", id="bound-hidden-behind-or"),
        pytest.param(f"size(body.items) <= 9 && body.a || {LOOP}", id="and-within-or"),
        pytest.param(f"(size(body.items) <= 9 ? true : true) && {LOOP}", id="bound-in-a-conditional"),
        pytest.param(f"size(body.items) <= 9 ? true : {LOOP}", id="the-other-outcome"),
        pytest.param(f"(size(body.items) <= 9 && body.a) ? true : {LOOP}", id="the-other-outcome-of-and"),
        pytest.param(f"size(body.items) <= 1001 && {LOOP}", id="too-far"),
        pytest.param(f"size(body.items) <= 9.5 && {LOOP}", id="decimal"),
        pytest.param(f"size(body.items) <= body.n && {LOOP}", id="bound-from-the-agent"),
        pytest.param(f"size(body.item) <= 9 && {LOOP}", id="another-field"),
        pytest.param(f"size(body.items[0]) <= 9 && {LOOP}", id="an-element-of-it"),
        pytest.param(f"size(body) <= 9 && {LOOP}", id="what-it-lies-in"),
        pytest.param(f"size(body.items) + 1 <= 9 && {LOOP}", id="arithmetic"),
        pytest.param(f"[size(body.items) <= 9] == [true] && {LOOP}", id="bound-in-a-list"),
        pytest.param(f"[size(body.items) <= 9, {LOOP}] == [true, true]", id="beside-in-a-list"),
        pytest.param(f"size(body.items.filter(i, i.ok)) <= 9 && {LOOP}", id="bound-on-a-part"),
        pytest.param("body.items.filter(i, i.ok).all(i, i.a)", id="derived"),
        pytest.param("size(body.items.map(i, i.a)) <= 9", id="in-the-bound-itself"),
        pytest.param("size(body.a[0].b) <= 9 && body.a[1].b.all(x, x == 1)", id="another-element"),
        pytest.param("size(body.a) <= 9 && (body.a + body.b).all(x, x == 1)", id="joined-with-a-long-one"),
        pytest.param("(body.c ? ['x'] : body.a).all(x, x == 'x')", id="either"),
        pytest.param("body.c ? body.a.all(x, x == 1) : false", id="in-a-conditional"),
        pytest.param("{'a': body.a}['a'].all(x, x == 1)", id="out-of-a-map"),
        pytest.param("[body.a][0].all(x, x == 1)", id="out-of-a-list"),
        pytest.param("request.query_all.tag.all(t, t == 'a')", id="parameters"),
        pytest.param("principal.claims.groups.exists(g, g == 'a')", id="claims"),
        pytest.param("principal.claims.lists.exists(g, g == 'a')", id="a-claim-called-lists"),
        pytest.param("body.lists.exists(g, g == 'a')", id="a-field-called-lists"),
        pytest.param("body.principal.roles.exists(g, g == 'a')", id="a-field-called-roles"),
    ],
)
def test_unbounded(text: str) -> None:
    with pytest.raises(ConditionInvalid, match=r"which (the agent|a token) can make long: write size\("):
        compile_condition(text, [], LISTS)


def test_what_to_write() -> None:
    with pytest.raises(ConditionInvalid) as caught:
        compile_condition("body.ok && body.items.all(i, i.ok)", [])
    assert caught.value.offset == 21
    assert caught.value.message == (
        "all goes through body.items, which the agent can make long:"
        " write size(body.items) <= 100 && body.items.all(...);"
        " or size(body.items) > 100 || body.items.all(...) where a longer one must count as true, as in a deny"
        " (1000 at most)"
    )


@pytest.mark.parametrize(
    ("gone_through", "named"),
    [
        pytest.param("(body.a + body.b)", "body.b", id="right"),
        pytest.param("(body.b + body.a)", "body.b", id="left"),
        pytest.param("(body.b + ['x'])", "body.b", id="left-of-what-is-written-out"),
        pytest.param("(body.c ? body.b : ['x'])", "body.b", id="then"),
        pytest.param("(body.c ? ['x'] : body.b)", "body.b", id="otherwise"),
    ],
)
def test_the_longer_of_two_is_named(gone_through: str, named: str) -> None:
    with pytest.raises(ConditionInvalid, match=rf"goes through {named}, .* write size\({named}\) <= 100"):
        compile_condition(f"size(body.a) <= 9 && {gone_through}.all(x, x == 1)", [])


@pytest.mark.parametrize(
    ("gone_through", "who"),
    [
        pytest.param("body.items", "the agent", id="body"),
        pytest.param("request.query_all.tag", "the agent", id="parameters"),
        pytest.param("body.principal", "the agent", id="a-field-called-principal"),
        pytest.param("principal.claims.groups", "a token", id="claims"),
    ],
)
def test_who_can_make_it_long(gone_through: str, who: str) -> None:
    with pytest.raises(ConditionInvalid, match=f"goes through {gone_through}, which {who} can make long"):
        compile_condition(f"{gone_through}.all(x, x == 'a')", [])


ANY = "body.items.exists(i, i.secret)"
SHORT, LONG = "size(body.items) <= 100", "size(body.items) > 100"


@pytest.mark.parametrize(
    ("when", "unless", "permits"),
    [
        pytest.param(f"{SHORT} && {ANY}", None, True, id="allow"),
        pytest.param(f"{LONG} || {ANY}", None, False, id="deny"),
        pytest.param(None, f"{LONG} || {ANY}", True, id="allow-unless"),
        pytest.param(None, f"{SHORT} && {ANY}", False, id="deny-unless"),
        pytest.param(f"!({LONG} || {ANY})", None, True, id="allow-negated"),
        pytest.param(f"!({SHORT} && {ANY})", None, False, id="deny-negated"),
        pytest.param(f"body.a && ({SHORT} && {ANY})", None, True, id="allow-within"),
    ],
)
def test_a_longer_list_permits_nothing_more(when: str | None, unless: str | None, permits: bool) -> None:
    compile_conditions(when, unless, [], permits=permits)
    with pytest.raises(ConditionInvalid, match="does not get past this"):
        compile_conditions(when, unless, [], permits=not permits)


@pytest.mark.parametrize("permits", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{SHORT} ? {ANY} : false", id="conditional"),
        pytest.param(f"{LONG} ? false : {ANY}", id="the-other-outcome"),
        pytest.param(f"({SHORT} && {ANY}) == true", id="compared"),
        pytest.param(f"({LONG} || {ANY}) != false", id="compared-or"),
        pytest.param(f"(({SHORT} && {ANY}) ? 1 : 2) == 1", id="test-of-a-conditional"),
        pytest.param(f"[{SHORT} && {ANY}][0]", id="in-a-list"),
        pytest.param(f"[{SHORT} && {ANY}].exists(x, x)", id="gone-through"),
        pytest.param(f"!(({SHORT} && {ANY}) == body.a)", id="negated"),
    ],
)
def test_a_bound_whose_outcome_may_permit_more_does_not_count(text: str, permits: bool) -> None:
    with pytest.raises(ConditionInvalid, match="a longer one does not get past"):
        compile_conditions(text, None, [], permits=permits)


def test_what_to_write_before_a_part_whose_outcome_may_permit_more() -> None:
    with pytest.raises(ConditionInvalid) as caught:
        compile_conditions(f"({SHORT} && {ANY}) == true", None, [], permits=False)
    assert caught.value.message == (
        "exists goes through body.items, which the agent can make long:"
        " write size(body.items) <= 100 && ..., or in a deny or hold size(body.items) > 100 || ...,"
        " before all of the comparison, call or ?: that this stands in, so that a longer one does not get past it"
        " (1000 at most)"
    )


@pytest.mark.parametrize(
    "inner", [f"({ANY}) == true", f"({ANY} ? 1 : 2) == 1", f"body.a ? {ANY} : false", f"[{ANY}] == [true]"]
)
def test_a_bound_before_the_whole_part_counts(inner: str) -> None:
    compile_conditions(f"{SHORT} && ({inner})", None, [], permits=True)
    compile_conditions(f"{LONG} || ({inner})", None, [], permits=False)


def test_what_to_write_in_a_deny() -> None:
    with pytest.raises(ConditionInvalid, match=r"write size\(body.items\) > 100 \|\| body.items.exists"):
        compile_conditions(f"{SHORT} && {ANY}", None, [], permits=False)
