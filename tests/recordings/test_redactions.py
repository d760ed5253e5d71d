from __future__ import annotations

import time

import pytest

from lockgate.errors import BodyUnreadable
from lockgate.recordings.redact import Found
from lockgate.recordings.redactions import Redactions, compile_redactions

SECRET = b"s3cr3t"
BY_RULE = Redactions(("query.ssn", "query.user[pin]", "headers.x-customer", "$.ssn", "$..pin"))


@pytest.mark.parametrize(
    "name",
    [
        "ssn",
        "SSN",
        "sSn",
        "%73sn",
        "%2573sn",
        "ssn[]",
        "ssn%5B%5D",
        "ssn[0]",
        "ssn[b]",
        "ssn[b][c]",
        "SSN%5bb%5d",
        "+ssn",
        "ssn%20",
        "ssn[" + "x" * 5000 + "]",
        "user[pin]",
        "user[PIN][]",
        "user[pin][a]",
        "%75ser%5Bpin%5D",
    ],
)
def test_every_spelling_of_a_parameter(name: str) -> None:
    found = Found()
    clean = BY_RULE.target(f"/x?a=1&{name}=s3cr3t&b=2&{name}=s3cr3t".encode(), found)
    assert clean == f"/x?a=1&{name}=[redacted]&b=2&{name}=[redacted]".encode()
    assert found.names == [f"query:{name[:64].lower()}"]


@pytest.mark.parametrize(
    "target",
    ["/x", "/x?", "/x?ssn", "/x?pin=1&user=2&user[name]=3&ssnx=4", "/a%20b%25?q=ssn:1", "*", ""],
)
def test_other_targets_stay_as_they_are(target: str) -> None:
    found = Found()
    assert BY_RULE.target(target.encode(), found) == target.encode()
    assert found.names == []


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(b"/x?a=1;ssn=s3cr3t", id="semicolon"),
        pytest.param(b"/x?ssn=%zz&b=s3cr3t", id="broken-escape"),
        pytest.param(b"/x?ssn%00=s3cr3t", id="nul"),
        pytest.param(b"/x?ssn\xff=s3cr3t", id="not-ascii"),
        pytest.param(b"/x?ssn%ff=s3cr3t", id="not-utf-8"),
        pytest.param(b"/x?" + b"a=1&" * 1001 + b"ssn=s3cr3t", id="too-many"),
        pytest.param(b"/x?a=1#ssn=s3cr3t", id="fragment"),
        pytest.param(b"/x;ssn=s3cr3t", id="path-parameter"),
        pytest.param(b"/x%3Fssn=s3cr3t", id="encoded-mark"),
        pytest.param(b"/x%253Fssn=s3cr3t", id="twice-encoded-mark"),
        pytest.param(b"/x\\?ssn=s3cr3t", id="backslash"),
        pytest.param(b"/x?ssn%3Ds3cr3t", id="encoded-equals"),
        pytest.param(b"/x?ssn[a%3Ds3cr3t", id="half-a-bracket"),
    ],
)
def test_what_cannot_be_taken_apart_is_left_out_whole(target: bytes) -> None:
    clean = BY_RULE.target(target, Found())
    assert SECRET not in clean
    assert clean.startswith(b"/x")


@pytest.mark.parametrize("value", [b"https://h/p?ssn=s3cr3t", b"/p?ssn[]=s3cr3t#x", b"?%53SN=s3cr3t&a=\xff"])
def test_a_referer_does_not_repeat_it(value: bytes) -> None:
    [(name, clean)] = BY_RULE.headers([(b"Referer", value)], Found())
    assert name == b"Referer"
    assert SECRET not in clean


@pytest.mark.parametrize(
    ("body", "expected", "paths"),
    [
        pytest.param(b'{"ssn": 1, "b": 1.10}', b'{"ssn":"[redacted]","b":1.10}', ["$.ssn"], id="a-member"),
        pytest.param(b'{"SSN": 1, "Ssn": 2}', b'{"SSN":"[redacted]","Ssn":"[redacted]"}', ["$.ssn"], id="letter-case"),
        pytest.param(b'{"s\\u0073n": 1}', b'{"ssn":"[redacted]"}', ["$.ssn"], id="escaped-name"),
        pytest.param(b'[{"Pin": {"a": 1}}]', b'[{"Pin":"[redacted]"}]', ["$..pin"], id="deep"),
        pytest.param(b'{ "a": {"ssn": 1} }', b'{ "a": {"ssn": 1} }', [], id="elsewhere"),
        pytest.param(b"", b"", [], id="none"),
    ],
)
def test_bodies(body: bytes, expected: bytes, paths: list[str]) -> None:
    found = Found()
    assert BY_RULE.body(body, "application/json; charset=utf-8", found) == expected
    assert found.names == [f"body:{path}" for path in paths]


@pytest.mark.parametrize("content_type", ["", "text/json", "application/json, application/json"])
def test_bodies_not_declared_as_json(content_type: str) -> None:
    with pytest.raises(BodyUnreadable, match="not declared as JSON"):
        BY_RULE.body(b"{}", content_type, Found())


def test_without_a_path_every_body_stays() -> None:
    assert compile_redactions(("query.ssn",)).body(b"junk", "", Found()) == b"junk"


def test_long_names_take_time_by_their_length() -> None:
    started = time.perf_counter()
    BY_RULE.target(b"/x?" + b"[" * 60_000 + b"=1", Found())
    assert time.perf_counter() - started < 1
