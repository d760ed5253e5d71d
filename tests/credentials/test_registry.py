from __future__ import annotations

import pytest

from lockgate.credentials.registry import resolve_credential
from lockgate.errors import SecretUnavailable
from lockgate.model import SecretSource

HOST = "api.crm.example"


@pytest.mark.parametrize(
    ("kind", "members", "path", "name"),
    [
        ("bearer", {}, "/", b"Authorization"),
        ("basic", {"user": "gateway"}, "/", b"Authorization"),
        ("header", {"field": "X-Api-Key"}, "/", b"X-Api-Key"),
        ("query", {"field": "key"}, "/?key=correct-horse-battery", None),
    ],
)
def test_each_kind(spec, secret, kind, members, path, name):
    applied, headers = resolve_credential(spec(kind, **members), HOST).apply("/", ())
    assert applied == path
    assert [field for field, _ in headers] == ([name] if name else [])


def test_hosts_have_no_letter_case(spec, secret):
    assert resolve_credential(spec("bearer", hosts=("API.crm.example",)), "api.CRM.example").name == "crm-token"


@pytest.mark.parametrize(
    "host", ["evil.example", "api.crm.example.evil.example", "crm.example", "xapi.crm.example", "api.crm.example.", ""]
)
def test_another_host(spec, secret, host):
    with pytest.raises(SecretUnavailable, match="not for the host") as caught:
        resolve_credential(spec("bearer"), host)
    assert secret not in str(caught.value)


def test_no_hosts(spec, secret):
    with pytest.raises(SecretUnavailable):
        resolve_credential(spec("bearer", hosts=()), HOST)


def test_missing_secret(spec):
    with pytest.raises(SecretUnavailable, match="env:LOCKGATE_TEST_UNSET"):
        resolve_credential(spec("bearer", source=SecretSource("env", "LOCKGATE_TEST_UNSET")), HOST)


def test_a_rotated_secret_counts_at_once(spec, secret, monkeypatch):
    resolve_credential(spec("bearer"), HOST)
    monkeypatch.setenv("CRM_TOKEN", "another-secret")
    _, headers = resolve_credential(spec("bearer"), HOST).apply("/", ())
    assert headers == ((b"Authorization", b"Bearer another-secret"),)
