"""What hosts, origins and URLs are taken; what the others are told is in test_wrong_files.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockgate.policy.schema import addresses


@pytest.mark.parametrize(
    ("read", "given", "expected"),
    [
        pytest.param(addresses.host, "API.Example", "api.example", id="host-case"),
        pytest.param(addresses.host, "xn--bcher-kva.example", "xn--bcher-kva.example", id="ascii-form"),
        pytest.param(addresses.host, "[2001:DB8:0::1]", "2001:db8::1", id="ipv6"),
        pytest.param(addresses.address, "crm.internal:443", ("crm.internal", 443), id="address"),
        pytest.param(addresses.address, "[::1]:443", ("::1", 443), id="ipv6-address"),
    ],
)
def test_taken(read: Callable[[Any], Any], given: Any, expected: Any) -> None:
    assert read(given) == expected


@pytest.mark.parametrize(
    ("read", "given"),
    [
        pytest.param(addresses.host, "a.example.", id="final-dot"),
        pytest.param(addresses.host, "a..example", id="empty-label"),
        pytest.param(addresses.host, "-a.example", id="hyphen-first"),
        pytest.param(addresses.host, "a.example:443", id="host-with-port"),
        pytest.param(addresses.host, "https://a.example", id="host-with-scheme"),
        pytest.param(addresses.host, "bücher.example", id="not-ascii"),
        pytest.param(addresses.host, "2130706433", id="address-as-one-number"),
        pytest.param(addresses.host, "0x7f.1", id="address-in-hexadecimal"),
        pytest.param(addresses.host, "127.1", id="short-address"),
        pytest.param(addresses.host, "010.0.0.1", id="octal-address"),
        pytest.param(addresses.host, "[::1%eth0]", id="zone"),
        pytest.param(addresses.host, "*.example", id="wildcard"),
        pytest.param(addresses.origin, "a.example", id="no-scheme"),
        pytest.param(addresses.origin, "https://", id="no-host"),
        pytest.param(addresses.origin, "https://a.example/", id="slash"),
        pytest.param(addresses.origin, "https://a.example?x", id="query"),
        pytest.param(addresses.origin, "https://a.example#x", id="fragment"),
        pytest.param(addresses.origin, "https://a.example:", id="empty-port"),
        pytest.param(addresses.origin, "https://a.example:0", id="port-zero"),
        pytest.param(addresses.origin, "https://a.example:99999", id="port-too-high"),
        pytest.param(addresses.origin, "https://a.example:٤٤٣", id="port-in-other-digits"),
        pytest.param(addresses.origin, "https://me@a.example", id="user"),
        pytest.param(addresses.origin, "https://a.exa mple", id="space"),
        pytest.param(addresses.origin, "https://[::1", id="open-bracket"),
        pytest.param(addresses.address, "127.0.0.1", id="no-port"),
        pytest.param(addresses.address, "127.0.0.1:0", id="address-port-zero"),
    ],
)
def test_refused(read: Callable[[Any], Any], given: Any) -> None:
    with pytest.raises(ValueError) as caught:
        read(given)
    assert str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        "https://login.example/oauth2/token",
        "https://10.0.0.7:8200",
        "https://[2001:db8::1]:8200/prefix/",
        "http://127.0.0.1:8200",
        "http://127.8.8.8/token",
        "http://[::1]:8080/token",
        "http://localhost/token",
    ],
)
def test_a_service_that_gives_out_secrets(given: str) -> None:
    assert addresses.service(given) == given


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("http://login.example/token", id="no-tls"),
        pytest.param("http://10.0.0.7/token", id="no-tls-on-the-network"),
        pytest.param("http://localhost.example/token", id="like-localhost"),
        pytest.param("http://127.0.0.1.example/token", id="like-loopback"),
        pytest.param("http://2130706433/token", id="loopback-as-one-number"),
        pytest.param("ftp://localhost/token", id="another-scheme"),
        pytest.param("login.example/token", id="no-scheme"),
        pytest.param("https:///token", id="no-host"),
        pytest.param("https://me:hunter2@login.example/token", id="password"),
        pytest.param("https://@login.example/token", id="empty-user"),
        pytest.param("https://login.example\\@evil.example/token", id="backslash"),
        pytest.param("https://login.example/token?key=hunter2", id="query"),
        pytest.param("https://login.example/token#hunter2", id="fragment"),
        pytest.param("https://login.example/token?", id="empty-query"),
        pytest.param("https://login.example:0/token", id="port-zero"),
        pytest.param("https://login.example:/token", id="empty-port"),
        pytest.param("https://login.example/to ken", id="space"),
        pytest.param("https://login.example/to\nken", id="newline"),
        pytest.param("https://login.example/é", id="not-ascii"),
        pytest.param("", id="nothing"),
        pytest.param(["https://login.example"], id="list"),
    ],
)
def test_a_service_refused_without_repeating_it(given: Any) -> None:
    with pytest.raises(ValueError) as caught:
        addresses.service(given)
    assert "hunter2" not in str(caught.value)
