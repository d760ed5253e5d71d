from __future__ import annotations

import pytest

from lockgate.actions.authority import canonical_host, is_address, leads_to, split
from lockgate.errors import RequestUnreadable
from lockgate.model import Target

CRM = Target("crm", "https", "api.crm.example", 443)


@pytest.mark.parametrize(
    ("host", "canonical"),
    [
        pytest.param("API.crm.Example", "api.crm.example", id="letter-case"),
        pytest.param("bücher.example", "xn--bcher-kva.example", id="international"),
        pytest.param("XN--BCHER-KVA.example", "xn--bcher-kva.example", id="a-label"),
        pytest.param("192.0.2.7", "192.0.2.7", id="ipv4"),
        pytest.param("[2001:DB8:0::7]", "2001:db8::7", id="ipv6"),
        pytest.param("2001:db8:0:0:0:0:0:7", "2001:db8::7", id="ipv6-long"),
        pytest.param("::ffff:127.0.0.1", "::ffff:127.0.0.1", id="mapped-stays-another"),
        pytest.param("api.crm.example.", "api.crm.example.", id="final-dot-stays-another"),
        pytest.param("0x7f.1", "0x7f.1", id="ipv4-in-hex-stays-another"),
        pytest.param("2130706433", "2130706433", id="ipv4-as-a-number-stays-another"),
    ],
)
def test_canonical_host(host: str, canonical: str) -> None:
    assert canonical_host(host) == canonical
    assert canonical_host(canonical) == canonical


@pytest.mark.parametrize("host", ["a..example", "a" * 64 + ".example", ".", "fe80::1%eth0", "[fe80::1%25eth0]", "a:b"])
def test_no_host(host: str) -> None:
    with pytest.raises(RequestUnreadable, match="its host is"):
        canonical_host(host)


@pytest.mark.parametrize(
    ("authority", "parts"),
    [
        pytest.param("api.crm.example", ("api.crm.example", None), id="host"),
        pytest.param("API.crm.example:8443", ("api.crm.example", 8443), id="port"),
        pytest.param("[2001:db8:0::7]:65535", ("2001:db8::7", 65535), id="ipv6"),
    ],
)
def test_split(authority: str, parts: tuple[str, int | None]) -> None:
    assert split(authority) == parts


NOT_HOST_AND_PORT = {
    "empty": "",
    "port-alone": ":443",
    "empty-port": "api.crm.example:",
    "port-0": "api.crm.example:0",
    "port-too-high": "api.crm.example:65536",
    "port-with-a-zero": "api.crm.example:0443",
    "port-signed": "api.crm.example:+443",
    "port-in-other-digits": "api.crm.example:４４３",
    "two-ports": "api.crm.example:443:443",
    "userinfo": "api.crm.example@evil.example",
    "password": "a:b@api.crm.example",
    "blank": " api.crm.example",
    "blank-within": "api.crm.example evil.example",
    "comma": "api.crm.example,evil.example",
    "path": "api.crm.example/",
    "escaped": "api%2ecrm.example",
    "full-width": "ａpi.crm.example",
    "ideographic-dot": "api。crm.example",
    "sharp-s": "straße.example",
    "zone": "[fe80::1%25eth0]",
    "bare-ipv6": "2001:db8::7",
    "half-a-bracket": "[2001:db8::7",
    "line-end": "api.crm.example\n",
}


@pytest.mark.parametrize(
    "authority", [pytest.param(authority, id=name) for name, authority in NOT_HOST_AND_PORT.items()]
)
def test_what_is_not_host_and_port(authority: str) -> None:
    with pytest.raises(RequestUnreadable):
        split(authority)
    assert not leads_to(authority, CRM)


@pytest.mark.parametrize(
    ("authority", "target", "leads"),
    [
        pytest.param("api.crm.example", CRM, True, id="host"),
        pytest.param("Api.CRM.example:443", CRM, True, id="its-own-port"),
        pytest.param("api.crm.example:80", CRM, False, id="another-port"),
        pytest.param("api.crm.example.", CRM, False, id="final-dot"),
        pytest.param("xapi.crm.example", CRM, False, id="another-host"),
        pytest.param("odd.example:8443", Target("o", "https", "odd.example", 8443), True, id="odd-port"),
        pytest.param("odd.example", Target("o", "https", "odd.example", 8443), False, id="odd-port-left-out"),
        pytest.param("plain.example", Target("p", "http", "plain.example", 80), True, id="http"),
        pytest.param("plain.example:443", Target("p", "http", "plain.example", 80), False, id="https-port-of-http"),
        pytest.param("[2001:DB8:0::7]", Target("n", "https", "2001:db8::7", 443), True, id="ipv6"),
        pytest.param("127.0.0.1", Target("n", "https", "::ffff:127.0.0.1", 443), False, id="mapped"),
        pytest.param("127.1", Target("n", "https", "127.0.0.1", 443), False, id="ipv4-short"),
        pytest.param("0x7f.0.0.1", Target("n", "https", "127.0.0.1", 443), False, id="ipv4-in-hex"),
        pytest.param("017700000001", Target("n", "https", "127.0.0.1", 443), False, id="ipv4-in-octal"),
    ],
)
def test_leads_to(authority: str, target: Target, leads: bool) -> None:
    assert leads_to(authority, target) is leads


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", True), ("2001:db8::7", True), ("a.example", False)])
def test_is_address(host: str, address: bool) -> None:
    assert is_address(host) is address
