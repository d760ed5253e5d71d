from __future__ import annotations

import pytest

from lockgate.credentials.places import AWS, Places, places_of
from lockgate.model import AwsKeys, HmacKey, SecretSource

SOURCE = SecretSource("env", "KEY")
HMAC = HmacKey(SOURCE, "{body}", (("X-Signature", "{signature}"), ("X-Time", "{timestamp}")))


@pytest.mark.parametrize(
    ("kind", "members", "places"),
    [
        ("bearer", {}, Places(frozenset({"authorization"}))),
        ("basic", {"user": "gateway"}, Places(frozenset({"authorization"}))),
        ("header", {"field": "X-Api-Key"}, Places(frozenset({"x-api-key"}))),
        ("query", {"field": "Key"}, Places(parameters=frozenset({"key"}))),
        ("aws", {"source": AwsKeys(SOURCE, SOURCE, "eu-central-1", "s3")}, AWS),
        ("hmac", {"source": HMAC}, Places(frozenset({"x-signature", "x-time"}))),
    ],
)
def test_each_kind(spec, kind, members, places):
    assert places_of(spec(kind, **members)) == places


def test_header_fields():
    places = Places(frozenset({"x-key", "x-time"}))
    headers = ((b"x-key", b"1"), (b"a", b"b"), (b"X-KEY", b"2"), (b"\xff", b"c"), (b"X-Time", b"3"), (b"x-keys", b"d"))
    assert places.strip("/?x-key=1", headers) == ("/?x-key=1", ((b"a", b"b"), (b"\xff", b"c"), (b"x-keys", b"d")))


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/a", "/a"),
        ("/a?b=c", "/a?b=c"),
        ("/a?api_keys=1", "/a?api_keys=1"),
        ("/a?api_key=1", "/a"),
        ("/a?api_key", "/a"),
        ("/a?b=c&API_KEY=1&d=%20", "/a?b=c&d=%20"),
        ("/a?%61pi_key=1&b", "/a?b"),
        ("/a?b=1;api_key=2;c=3", "/a?b=1;c=3"),
        ("/a?+api_key=2", "/a"),
        ("/a?sig=1&api_key=2&b=c&Sig=3", "/a?b=c"),
        ("/a;api_key=1", "/a;api_key=1"),
        ("/a?b=?api_key=1", "/a?b=?api_key=1"),
        ("/a?b=%zz&c=d+e", "/a?b=%zz&c=d+e"),
    ],
)
def test_parameters(path, kept):
    places = Places(parameters=frozenset({"api_key", "sig"}))
    assert places.strip(path, ()) == (kept, ())
    assert places.strip_path(path) == kept


def test_no_parameters_leave_every_path_as_it_is():
    assert Places(frozenset({"a"})).strip_path("/a?&&a=1&=;") == "/a?&&a=1&=;"


def test_what_an_aws_client_signs_with_goes():
    headers = tuple(
        (name, b"x")
        for name in (b"Authorization", b"X-Amz-Date", b"X-Amz-Security-Token", b"x-amz-content-sha256", b"x-amz-acl")
    )
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA&X-Amz-Date=1&X-Amz-Expires=9&X-Amz-SignedHeaders=h"
    path = f"/b/k?prefix=a&{query}&X-Amz-Signature=0&X-Amz-Security-Token=t&list-type=2"
    assert AWS.strip(path, headers) == ("/b/k?prefix=a&list-type=2", ((b"x-amz-acl", b"x"),))
