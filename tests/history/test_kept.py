from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from harness.past import Asked
from lockgate.errors import Unevaluable
from lockgate.history.kept import EPOCH, LOST, Case, Kept, Losses, NotKept, as_kept, case_of, marked
from lockgate.history.reading import read, target_of
from lockgate.history.records import Past
from lockgate.model import Form, HttpFacts
from lockgate.policy.generation import Generation

CRM = "https://api.crm.example"
JSON = (("content-type", "application/json"),)


@pytest.fixture
def facts(rules: Generation) -> Callable[[Case], HttpFacts]:
    def facts(case: Case) -> HttpFacts:
        target = target_of(rules, case.request)
        _, found = read(rules, target, case.principal.roles, case.request, case.body)
        return as_kept(case, found)

    return facts


def test_what_was_kept_is_what_was_asked(case: Callable[..., Case], facts: Callable[[Case], HttpFacts]) -> None:
    found = case(Asked("POST", f"{CRM}/v1/refunds?a=1&a=2", b'{"amount": 5}', (*JSON, ("x-a", "b"))))
    assert found.principal.roles == ("support",)
    assert found.at == datetime(2026, 11, 1, 12, tzinfo=UTC)
    read = facts(found)
    assert (read.method, read.host, read.path) == ("POST", "api.crm.example", "/v1/refunds")
    assert read.query == {"a": ("1", "2")}
    assert read.headers["x-a"] == ("b",)
    assert read.body == {"amount": 5}


def test_what_stands_for_a_secret_is_not_a_value(case: Callable[..., Case], facts: Callable[[Case], HttpFacts]) -> None:
    body = b'{"amount": 5, "token": "s", "deep": [{"password": "x"}], "note": "me"}'
    found = case(Asked("POST", f"{CRM}/v1/refunds?code=4&b=1", body, (*JSON, ("x-api-key", "k"))))
    read = facts(found)
    assert read.body == {"amount": 5, "token": LOST, "deep": [{"password": LOST}], "note": LOST}
    assert read.query == {"code": (LOST,), "b": ("1",)}
    assert read.headers["x-api-key"] == (LOST,)
    lost = {path for path in found.losses.paths if path[-1] in ("token", "password", "note", "code", "x-api-key")}
    assert ("body", "token") in lost
    assert ("body", "deep", "password") in lost
    assert {("request", "query", "code"), ("request", "query_all", "code"), ("request", "headers", "x-api-key")} < lost


def test_what_an_agent_wrote_itself_is_a_value(case: Callable[..., Case], facts: Callable[[Case], HttpFacts]) -> None:
    found = facts(case(Asked("GET", "https://wiki.example/a?n=[redacted]", fields=(("x-a", "[redacted]"),))))
    assert (found.query, found.headers["x-a"]) == ({"n": ("[redacted]",)}, ("[redacted]",))


@pytest.mark.parametrize("name", ["content-length", "content-encoding", "transfer-encoding", "expect"])
def test_framing_is_not_kept(case: Callable[..., Case], facts: Callable[[Case], HttpFacts], name: str) -> None:
    headers = facts(case(Asked("POST", f"{CRM}/v1/refunds", b"{}", JSON))).headers
    with pytest.raises(Unevaluable):
        headers[name]
    with pytest.raises(Unevaluable):
        _ = name in headers
    assert "x-none" not in headers


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"truncated": {"request": 9999}}, id="truncated"),
        pytest.param({"withheld": {"request": "it cannot be decoded"}}, id="withheld"),
        pytest.param({"recorded": "headers"}, id="headers"),
        pytest.param({"recorded": "digest"}, id="digest"),
    ],
)
def test_a_body_that_is_not_whole_is_none(
    case: Callable[..., Case], facts: Callable[[Case], HttpFacts], said: dict[str, object]
) -> None:
    found = case(Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 5}', JSON), **said)
    assert facts(found).body is LOST
    assert ("body",) in found.losses.paths


def test_of_a_digest_neither_query_nor_headers_are_kept(
    case: Callable[..., Case], facts: Callable[[Case], HttpFacts]
) -> None:
    found = case(Asked("POST", "https://vault.example/v1/quiet?b=1", b'{"a": 1}', (*JSON, ("x-a", "1"))))
    read = facts(found)
    for values in (read.query, read.headers):
        for look in (len, list, lambda each: "b" in each, lambda each: each["b"]):
            with pytest.raises(Unevaluable):
                look(values)
    assert (read.path, read.body) == ("/v1/quiet", LOST)


def test_claims_that_no_condition_read_are_not_kept(case: Callable[..., Case]) -> None:
    claims = case(Asked("GET", f"{CRM}/v1/teams", claims=(("team", "red"), ("dept", "x")))).principal.claims
    assert claims["team"] == "red"
    with pytest.raises(Unevaluable):
        _ = "dept" in claims
    with pytest.raises(Unevaluable):
        list(claims)
    absent = case(Asked("GET", f"{CRM}/v1/teams")).principal.claims
    assert "team" not in absent


def test_a_claim_that_was_redacted_is_not_kept(remembered: Callable[..., Past]) -> None:
    past = remembered(Asked("GET", f"{CRM}/v1/teams", claims=(("team", {"client_secret": "x"}),)))
    for names in (frozenset({"team"}), None):
        found = case_of(past, names)
        assert found is not None
        with pytest.raises(Unevaluable):
            found.principal.claims["team"]
        assert found.losses.has(("principal", "claims", "team"))


def test_a_record_of_version_1_says_less(remembered: Callable[..., Past]) -> None:
    past = remembered(Asked("GET", f"{CRM}/v1/teams"), version=1, decided_at=None)
    found = case_of(past)
    assert found is not None
    assert found.losses.instant
    assert found.losses.has(("principal", "claims", "team"))
    nowhen = case_of(remembered(Asked("GET", f"{CRM}/v1/teams"), decided_at=None, time="yesterday"))
    assert nowhen is not None
    assert (nowhen.at, nowhen.losses.instant) == (EPOCH, True)


@pytest.mark.parametrize(
    "who",
    [
        pytest.param({"issuer": "i", "subject": "[redacted]", "roles": ["support"]}, id="subject"),
        pytest.param({"issuer": "i", "subject": "s", "roles": ["[redacted]"]}, id="role"),
    ],
)
def test_without_who_asked_nothing_can_be_decided(remembered: Callable[..., Past], who: dict[str, object]) -> None:
    with pytest.raises(NotKept, match="principal"):
        case_of(remembered(Asked("GET", f"{CRM}/v1/teams"), principal=who))


def test_nobody_and_a_tunnel_are_no_case(remembered: Callable[..., Past]) -> None:
    assert case_of(remembered(Asked("GET", f"{CRM}/v1/teams"), principal=None)) is None


def test_names_that_were_redacted_leave_nothing_certain() -> None:
    losses = Losses()
    assert marked({"a": {"[redacted]": 1, "b": 2}, "c": [1, "[redacted]"]}, ("body",), losses) == {
        "a": LOST,
        "c": [1, LOST],
    }
    assert losses.paths == {("body", "a"), ("body", "c")}
    assert losses.has(("body",))
    assert losses.has(("body", "a", "b"))
    assert not losses.has(("body", "d"))


def test_a_form_from_which_a_part_was_taken_is_lost(
    case: Callable[..., Case], facts: Callable[[Case], HttpFacts]
) -> None:
    form = (("content-type", "application/x-www-form-urlencoded"),)
    read = facts(case(Asked("POST", "https://forms.example/f", b"amount=5&password=x", form)))
    assert read.body == Form({"amount": ("5",), "password": (LOST,)})
    parts = b'--b\r\ncontent-disposition: form-data; name="password"\r\n\r\nx\r\n--b--\r\n'
    kind = (("content-type", "multipart/form-data; boundary=b"),)
    assert facts(case(Asked("POST", "https://forms.example/f", parts, kind))).body is LOST


def test_kept_values() -> None:
    some = Kept("claim", {"a": 1}, lambda name: name in ("a", "b"), whole=False)
    assert some["a"] == 1
    assert some.get("b") is None
    with pytest.raises(Unevaluable):
        some.get("c")
    with pytest.raises(Unevaluable):
        len(some)
