from __future__ import annotations

import os
from dataclasses import replace

import pytest

from lockgate.errors import SecretUnavailable
from lockgate.model import SecretSource

SOURCE = SecretSource("env", "LOCKGATE_TEST_SECRET")


@pytest.mark.parametrize("value", ["12345678", "!~\"'\\:/?#[]@%{}", "x" * 8192])
async def test_read(monkeypatch, secrets, value):
    monkeypatch.setenv(SOURCE.name, value)
    assert await secrets.read(SOURCE) == value


async def test_not_set(monkeypatch, secrets):
    monkeypatch.delenv(SOURCE.name, raising=False)
    with pytest.raises(SecretUnavailable, match="env:LOCKGATE_TEST_SECRET: not set"):
        await secrets.read(SOURCE)


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
async def test_refused_without_its_value(monkeypatch, secrets, value, message):
    monkeypatch.setenv(SOURCE.name, value)
    with pytest.raises(SecretUnavailable, match=message) as caught:
        await secrets.read(SOURCE)
    assert str(caught.value).startswith("env:LOCKGATE_TEST_SECRET: ")
    assert not value or value not in repr(caught.value)
    assert caught.value.__context__ is None


async def test_bytes_outside_utf8(monkeypatch, secrets):
    monkeypatch.setitem(os.environb, SOURCE.name.encode(), b"correct-\xff-horse")
    with pytest.raises(SecretUnavailable, match="outside ASCII"):
        await secrets.read(SOURCE)


def test_is_read_without_waiting(monkeypatch, secrets):
    monkeypatch.setenv(SOURCE.name, "correct-horse")
    reading = secrets.read(SOURCE)
    with pytest.raises(StopIteration) as caught:
        reading.send(None)
    assert caught.value.value == "correct-horse"


PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("form", "value", "message"),
    [
        pytest.param("text", "correct horse", None, id="text-with-a-space"),
        pytest.param("text", "correct\nhorse", "control character", id="text-of-two-lines"),
        pytest.param("text", "correct-hörse", "outside ASCII", id="text-outside-ascii"),
        pytest.param("text", "horse", "shorter than 8", id="short-text"),
        pytest.param("pem", PEM, None, id="pem"),
        pytest.param("pem", PEM.replace("\n", "\r\n"), None, id="pem-of-windows"),
        pytest.param("pem", PEM.replace("\n", "\\n"), "not PEM", id="pem-in-one-line"),
        pytest.param("pem", "correct-horse", "not PEM", id="no-pem"),
        pytest.param("token", PEM, "has a space", id="pem-where-a-token-is-needed"),
    ],
)
async def test_forms(monkeypatch, secrets, form, value, message):
    monkeypatch.setenv(SOURCE.name, value)
    source = replace(SOURCE, form=form)
    if message is None:
        assert await secrets.read(source) == value
    else:
        with pytest.raises(SecretUnavailable, match=message) as caught:
            await secrets.read(source)
        assert value not in str(caught.value)
