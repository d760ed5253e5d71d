from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from lockgate.bodies.json import Float
from lockgate.errors import RulesInvalid
from lockgate.model import Principal
from lockgate.policy.cases import Answer, Case, Request, Response, Url, read, url
from lockgate.policy.generation import Generation
from lockgate.policy.rules import Policy

GET = "request: GET https://api.crm.example/v1"


@pytest.fixture
def policy(loaded: Callable[..., Generation]) -> Policy:
    return loaded().policy


@pytest.fixture
def case(policy: Policy) -> Callable[[str], Case]:
    """The one case of a file with these keys beside its name."""

    def made(keys: str) -> Case:
        (found,) = read({"tests/a.yaml": f"tests:\n  - name: it\n    {keys}\n".encode()}, policy)
        return found

    return made


def test_the_short_forms(case: Callable[[str], Case]) -> None:
    assert case(f"principal: support\n    {GET}\n    expect: deny") == Case(
        name="it",
        file="tests/a.yaml",
        line=2,
        principal=Principal(
            "lockgate-dev", "dev", ("support",), float("inf"), claims={"iss": "lockgate-dev", "sub": "dev"}
        ),
        request=Request("GET", Url("https", "api.crm.example", 443, "/v1")),
        verdict="deny",
    )


def test_the_long_forms(case: Callable[[str], Case]) -> None:
    found = case(
        "principal: {roles: [support], subject: ann, issuer: idp, claims: {dept: sales, level: 3}}\n"
        "    request: {method: POST, url: 'https://api.crm.example', headers: {x-a: [b, c]}, body: {a: [1, true]}}\n"
        "    at: 2030-01-01T00:00:00Z\n"
        "    response: {status: 404, headers: {content-type: text/plain}, raw: gone}\n"
        "    expect: {verdict: allow, rule: support/read, answer: withheld}"
    )
    assert found.principal.claims == {"iss": "idp", "sub": "ann", "dept": "sales", "level": 3}
    assert found.request == Request(
        "POST",
        Url("https", "api.crm.example", 443, "/"),
        (("x-a", "b"), ("x-a", "c"), ("content-type", "application/json")),
        b'{"a":[1,true]}',
    )
    assert found.at == datetime(2030, 1, 1, tzinfo=UTC)
    assert found.response == Response(404, (("content-type", "text/plain"),), b"gone")
    assert (found.rule, found.answer) == ("support/read", Answer("withheld"))


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        pytest.param("answer: withheld", Answer("withheld"), id="withheld"),
        pytest.param("answer: refused", Answer("refused"), id="refused"),
        pytest.param("raw: gone", Answer("raw", "gone"), id="text"),
        pytest.param("raw: ''", Answer("raw", ""), id="empty-text"),
        pytest.param("body: {a: 1}", Answer("json", {"a": 1}), id="document"),
        pytest.param("rule: support/read", None, id="whatever"),
    ],
)
def test_what_the_agent_gets(case: Callable[[str], Case], expected: str, answer: Answer | None) -> None:
    found = case(
        f"principal: support\n    {GET}\n    response: {{raw: ''}}\n    expect: {{verdict: allow, {expected}}}"
    )
    assert found.answer == answer
    assert found.response == Response(200, (), b"")


def test_json_is_plain_and_text_is_quoted(case: Callable[[str], Case]) -> None:
    body = """{a: 600, b: "600", c: 'true', d: null, e: no, f: True, g: 1.10, h: "", i: 012, j: -0.5, k: [x, 1]}"""
    answer = case(
        f"principal: support\n    {GET}\n    response: {{}}\n    expect: {{verdict: allow, body: {body}}}"
    ).answer
    assert answer == Answer(
        "json",
        {
            "a": 600,
            "b": "600",
            "c": "true",
            "d": None,
            "e": "no",
            "f": "True",
            "g": Float("1.10"),
            "h": "",
            "i": "012",
            "j": -0.5,
            "k": ["x", 1],
        },
    )
    assert type(answer.value["a"]) is int


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        pytest.param(
            f"principal: supprt\n    {GET}\n    expect: deny", "3:16: unknown role supprt: did you", id="role"
        ),
        pytest.param(
            f"principal: {{roles: [support, x]}}\n    {GET}\n    expect: deny",
            "3:34: unknown role x: ",
            id="second-role",
        ),
        pytest.param(
            f"principal: support\n    {GET}\n    expect: {{verdict: allow, rule: support/raed}}",
            "5:36: unknown rule support/raed: did you mean support/read?",
            id="rule",
        ),
        pytest.param(
            f"principal: support\n    {GET}\n    expect: {{verdict: allow, rule: suport/read}}",
            "unknown rule suport/read: suport has no rules; did you mean support?",
            id="rule-of-nobody",
        ),
        pytest.param(f"principal: support\n    {GET}\n    expect: alow", "5:13: a verdict is one of", id="verdict"),
        pytest.param(f"{GET}\n    expect: deny", "2:5: the key principal is missing", id="nobody"),
        pytest.param(
            "principal: support\n    request: GET\n    expect: deny", "4:14: a request is METHOD URL", id="no-url"
        ),
        pytest.param(
            "principal: support\n    request: {method: GET, url: 'https://x', bdy: {}}\n    expect: deny",
            "4:46: unknown key bdy: did you mean body?",
            id="unknown-key",
        ),
        pytest.param(
            "principal: support\n    request: {method: GET, url: 'https://x', headers: {a b: c}}\n    expect: deny",
            "not a header name",
            id="header",
        ),
        pytest.param(
            "principal: support\n    request: {method: GET, url: 'https://x', body: {a: }}\n    expect: deny",
            "4:56: the value is missing: write null",
            id="nothing",
        ),
        pytest.param(
            "principal: support\n    request: {method: GET, url: 'https://x', body: {a: 1e999}}\n    expect: deny",
            "4:56: the body is not strict JSON: a number is out of range: quote it",
            id="number",
        ),
        pytest.param(
            f"principal: support\n    {GET}\n    response: {{body: {{a: [1, 1e999]}}}}\n    expect: allow",
            "5:30: the body is not strict JSON: a number is out of range: quote it",
            id="number-of-the-response",
        ),
        pytest.param(
            f"principal: {{roles: support, claims: {{a: }}}}\n    {GET}\n    expect: allow",
            "3:45: the value is missing: write null",
            id="claim",
        ),
        pytest.param(
            f"principal: support\n    {GET}\n    response: {{}}\n    expect: {{verdict: allow, body: {{a: 1e999}}}}",
            "6:40: the body is not strict JSON: a number is out of range: quote it",
            id="number-of-the-answer",
        ),
        pytest.param(
            "principal: support\n    request: {method: GET, url: 'https://x', body: {}, raw: x}\n    expect: deny",
            "leave one of them out",
            id="two-bodies",
        ),
        pytest.param(
            f"principal: support\n    {GET}\n    response: {{status: 99}}\n    expect: allow",
            "a status is",
            id="status",
        ),
        pytest.param(
            f"principal: support\n    {GET}\n    response: {{body: {{}}}}\n    expect: deny",
            "never gets to the target: leave response out",
            id="response-to-a-denial",
        ),
        pytest.param(
            f"principal: support\n    {GET}\n    expect: {{verdict: allow, body: {{}}}}",
            "write response too",
            id="no-response",
        ),
        pytest.param(
            f"principal: support\n    {GET}\n    response: {{}}\n    expect: {{verdict: hold, raw: x, body: y}}",
            "one of body, raw and answer",
            id="two-answers",
        ),
        pytest.param(
            f"principal: support\n    {GET}\n    response: {{}}\n    expect: {{verdict: allow, answer: masked}}",
            "write withheld",
            id="unknown-answer",
        ),
        pytest.param(
            f"principal: support\n    {GET}\n    expect: {{verdict: hold, rule: none}}",
            "5:13: only a denial comes without a rule",
            id="no-rule-but-no-denial",
        ),
        pytest.param(
            f"principal: support\n    {GET}\n    expect: {{verdict: unreadable, rule: support/read}}",
            "leave rule out",
            id="rule-of-unreadable",
        ),
        pytest.param(
            f"principal: support\n    {GET}\n    at: noon\n    expect: deny", "5:9: a day or an instant", id="at"
        ),
    ],
)
def test_problems_have_their_place(policy: Policy, keys: str, told: str) -> None:
    with pytest.raises(RulesInvalid) as caught:
        read({"tests/a.yaml": f"tests:\n  - name: it\n    {keys}\n".encode()}, policy)
    (problem,) = caught.value.problems
    assert str(problem).startswith("tests/a.yaml:")
    assert told in str(problem)


def test_problems_of_all_files_at_once(policy: Policy) -> None:
    with pytest.raises(RulesInvalid) as caught:
        read({"tests/b.yaml": b"test: []\n", "tests/a.yaml": b"tests: [\n"}, policy)
    files = [problem.file for problem in caught.value.problems]
    assert files == sorted(files)
    assert set(files) == {"tests/a.yaml", "tests/b.yaml"}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param("https://a.example", Url("https", "a.example", 443, "/"), id="no-path"),
        pytest.param(
            "HTTP://a.example:8080/x//y?q=%2f", Url("http", "a.example", 8080, "/x//y?q=%2f"), id="as-written"
        ),
        pytest.param("http://a.example?q", Url("http", "a.example", 80, "/?q"), id="query-alone"),
        pytest.param("https://[2001:db8::1]:8443/", Url("https", "2001:db8::1", 8443, "/"), id="ipv6"),
    ],
)
def test_url(given: str, found: Url) -> None:
    assert url(given) == found


@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param("api.crm.example/v1", "a whole URL", id="no-scheme"),
        pytest.param("ftp://a.example/", "a whole URL", id="scheme"),
        pytest.param("https:///v1", "a whole URL", id="no-host"),
        pytest.param("https://a.example/#x", "behind a #", id="fragment"),
        pytest.param("https://u:p@a.example/", "no user or password", id="user"),
        pytest.param("https://a.example:0/", "a port is", id="port-0"),
        pytest.param("https://a.example:70000/", "a port is", id="port"),
        pytest.param("https://lockgate.invalid/whoami", "the gateway itself", id="own"),
    ],
)
def test_no_url(given: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        url(given)
