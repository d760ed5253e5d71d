from __future__ import annotations

import os

import pytest

from lockgate.credentials.sources import resolve
from lockgate.errors import SecretUnavailable
from lockgate.model import SecretSource

SOURCE = SecretSource("env", "LOCKGATE_TEST_SECRET")


@pytest.mark.parametrize("value", ["12345678", "!~\"'\\:/?#[]@%{}", "x" * 8192])
def test_read(monkeypatch, value):
    monkeypatch.setenv(SOURCE.name, value)
    assert resolve(SOURCE) == value


def test_not_set(monkeypatch):
    monkeypatch.delenv(SOURCE.name, raising=False)
    with pytest.raises(SecretUnavailable, match="env:LOCKGATE_TEST_SECRET: not set"):
        resolve(SOURCE)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("1234567", "shorter than 8", id="short"),
        pytest.param("x" * 8193, "longer than 8192", id="long"),
        pytest.param("correct horse", "space", id="space"),
        pytest.param("correct-horse\n", "control character", id="newline"),
        pytest.param("correct-horse\r\nX-Admin: 1", "control character", id="header-injection"),
        pytest.param("correct-horse\x7f", "control character", id="delete"),
        pytest.param("correct-hörse", "outside ASCII", id="umlaut"),
    ],
)
def test_refused_without_its_value(monkeypatch, value, message):
    monkeypatch.setenv(SOURCE.name, value)
    with pytest.raises(SecretUnavailable, match=message) as caught:
        resolve(SOURCE)
    assert str(caught.value).startswith("env:LOCKGATE_TEST_SECRET: ")
    assert not value or value not in repr(caught.value)
    assert caught.value.__context__ is None


def test_bytes_outside_utf8(monkeypatch):
    monkeypatch.setitem(os.environb, SOURCE.name.encode(), b"correct-\xff-horse")
    with pytest.raises(SecretUnavailable, match="outside ASCII"):
        resolve(SOURCE)
