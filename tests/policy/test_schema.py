"""What text each kind of value takes; what the others are told is in test_load.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockgate.policy import schema


@pytest.mark.parametrize(
    ("read", "given", "expected"),
    [
        pytest.param(schema.size, "512B", 512, id="bytes"),
        pytest.param(schema.size, "64KB", 64_000, id="decimal-unit"),
        pytest.param(schema.size, "10 KiB", 10_240, id="space"),
        pytest.param(schema.size, "1GiB", 2**30, id="gib"),
        pytest.param(schema.duration, "30s", 30.0, id="seconds"),
        pytest.param(schema.duration, "15m", 900.0, id="minutes"),
        pytest.param(schema.duration, "90d", 7_776_000.0, id="days"),
        pytest.param(schema.flag, "true", True, id="true"),
        pytest.param(schema.flag, "false", False, id="false"),
        pytest.param(schema.host, "API.Example", "api.example", id="host-case"),
        pytest.param(schema.host, "xn--bcher-kva.example", "xn--bcher-kva.example", id="ascii-form"),
        pytest.param(schema.host, "[2001:DB8:0::1]", "2001:db8::1", id="ipv6"),
        pytest.param(schema.address, "crm.internal:443", ("crm.internal", 443), id="address"),
        pytest.param(schema.address, "[::1]:443", ("::1", 443), id="ipv6-address"),
        pytest.param(schema.strategy, "redact", ("redact", None), id="redact"),
        pytest.param(schema.strategy, {"keep_last": "4"}, ("keep_last", 4), id="keep-last"),
        pytest.param(schema.strategy, {"replace": ""}, ("replace", ""), id="replace-with-nothing"),
        pytest.param(schema.listed, "a", ["a"], id="one-is-a-list"),
        pytest.param(schema.listed, ["a", "b"], ["a", "b"], id="list"),
    ],
)
def test_taken(read: Callable[[Any], Any], given: Any, expected: Any) -> None:
    assert read(given) == expected


@pytest.mark.parametrize(
    ("read", "given"),
    [
        pytest.param(schema.size, "10", id="size-without-unit"),
        pytest.param(schema.size, "0B", id="no-size"),
        pytest.param(schema.size, "1.5MB", id="broken-size"),
        pytest.param(schema.size, "-1B", id="negative-size"),
        pytest.param(schema.duration, "1h30m", id="two-durations"),
        pytest.param(schema.duration, "30", id="duration-without-unit"),
        pytest.param(schema.flag, "yes", id="yes"),
        pytest.param(schema.flag, "True", id="capital-true"),
        pytest.param(schema.text, "  ", id="blank"),
        pytest.param(schema.text, ["a"], id="list-for-text"),
        pytest.param(schema.name, "a b", id="name-with-space"),
        pytest.param(schema.name, "a/b", id="name-with-slash"),
        pytest.param(schema.name, "-a", id="name-with-hyphen-first"),
        pytest.param(schema.host, "a.example.", id="final-dot"),
        pytest.param(schema.host, "a..example", id="empty-label"),
        pytest.param(schema.host, "-a.example", id="hyphen-first"),
        pytest.param(schema.host, "a.example:443", id="host-with-port"),
        pytest.param(schema.host, "https://a.example", id="host-with-scheme"),
        pytest.param(schema.host, "bücher.example", id="not-ascii"),
        pytest.param(schema.host, "2130706433", id="address-as-one-number"),
        pytest.param(schema.host, "0x7f.1", id="address-in-hexadecimal"),
        pytest.param(schema.host, "127.1", id="short-address"),
        pytest.param(schema.host, "010.0.0.1", id="octal-address"),
        pytest.param(schema.host, "[::1%eth0]", id="zone"),
        pytest.param(schema.host, "*.example", id="wildcard"),
        pytest.param(schema.origin, "a.example", id="no-scheme"),
        pytest.param(schema.origin, "https://", id="no-host"),
        pytest.param(schema.origin, "https://a.example/", id="slash"),
        pytest.param(schema.origin, "https://a.example?x", id="query"),
        pytest.param(schema.origin, "https://a.example#x", id="fragment"),
        pytest.param(schema.origin, "https://a.example:", id="empty-port"),
        pytest.param(schema.origin, "https://a.example:0", id="port-zero"),
        pytest.param(schema.origin, "https://a.example:99999", id="port-too-high"),
        pytest.param(schema.origin, "https://a.example:٤٤٣", id="port-in-other-digits"),
        pytest.param(schema.origin, "https://me@a.example", id="user"),
        pytest.param(schema.origin, "https://a.exa mple", id="space"),
        pytest.param(schema.origin, "https://[::1", id="open-bracket"),
        pytest.param(schema.address, "127.0.0.1", id="no-port"),
        pytest.param(schema.address, "127.0.0.1:0", id="address-port-zero"),
        pytest.param(schema.strategy, "encrypt", id="unknown-mask"),
        pytest.param(schema.strategy, {"keep_last": "x"}, id="keep-of-no-number"),
        pytest.param(schema.strategy, {"keep_last": "4", "keep_first": "4"}, id="two-masks"),
        pytest.param(schema.listed, [], id="empty-list"),
        pytest.param(schema.algorithm, "HS256", id="symmetric"),
        pytest.param(schema.algorithm, "none", id="none"),
        pytest.param(schema.header_name, "X Key", id="header-with-space"),
        pytest.param(schema.header_name, "Content-Length", id="framing-header"),
        pytest.param(schema.user, "a:b", id="colon-in-user"),
    ],
)
def test_refused(read: Callable[[Any], Any], given: Any) -> None:
    with pytest.raises(ValueError) as caught:
        read(given)
    assert str(caught.value)


@pytest.mark.parametrize(
    "given",
    ["hunter2", "env:", "env:A B", "env: A", "file:", "vault:x", "ENV:A", ["hunter2"], {"hunter2": "x"}, "env:A\n"],
)
def test_a_secret_is_never_repeated(given: Any) -> None:
    with pytest.raises(ValueError, match="a secret never stands in the rules") as caught:
        schema.source(given)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "loc", "owner"),
    [
        pytest.param(schema.Target, ("limits",), schema.Limits, id="nested"),
        pytest.param(schema.Credential, ("basic",), schema.Basic, id="optional"),
        pytest.param(schema.Rule, ("mask", "$.a"), schema.Rule, id="mapping"),
        pytest.param(schema.Gateway, (), schema.Gateway, id="itself"),
    ],
)
def test_whose_key_it_is(model: type[schema.Model], loc: tuple[str, ...], owner: type[schema.Model]) -> None:
    assert schema.owner_of(model, loc) is owner
