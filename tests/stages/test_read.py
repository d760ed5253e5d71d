from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Callable
from typing import Any

import pytest
from mitmproxy import http

from lockgate.errors import Refused
from lockgate.exchange import Exchange, Message, exchange
from lockgate.identity.presented import Presented
from lockgate.model import Action, Form, Unreadable
from lockgate.policy.generation import Generation
from lockgate.refusals import TOKEN_INSIDE, Refusal
from lockgate.stages import read
from lockgate.stages.read import Read

JSON = ("Content-Type", "application/json")
LIMIT = 600 * 1024  # of the target `plain`
Identified = Callable[..., http.HTTPFlow]


async def whole(flow: http.HTTPFlow) -> http.HTTPFlow:
    """The flow, read head and body."""
    stage = Read()
    stage.requestheaders(flow)
    await stage.request(flow)
    return flow


def by_head(flow: http.HTTPFlow) -> Refusal:
    """How a request is refused by its head."""
    with pytest.raises(Refused) as refused:
        Read().requestheaders(flow)
    return refused.value.refusal


async def by_body(flow: http.HTTPFlow) -> Refusal:
    """How a request is refused whose head is good."""
    stage = Read()
    stage.requestheaders(flow)
    with pytest.raises(Refused) as refused:
        await stage.request(flow)
    assert exchange(flow).actions == ()
    return refused.value.refusal


def plain(identified: Identified, *fields: tuple[str, str], method: str = "GET", body: bytes = b"") -> http.HTTPFlow:
    return identified(method, "http://plain.example/v1/x", body, fields)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was worked on off the loop."""
    found: list[str] = []
    to_thread = asyncio.to_thread

    async def noted(work: Callable[..., Any], *arguments: Any) -> Any:
        found.append(getattr(work, "func", work).__name__)
        return await to_thread(work, *arguments)

    monkeypatch.setattr(asyncio, "to_thread", noted)
    return found


# The head

UNREADABLE: dict[str, tuple[Callable[[http.HTTPFlow], object], str]] = {
    "http3": (lambda flow: setattr(flow.request, "http_version", "HTTP/3"), "it is not HTTP/1.1 or HTTP/2"),
    "http09": (lambda flow: setattr(flow.request, "http_version", "HTTP/0.9"), "it is not HTTP/1.1"),
    "authority-form": (lambda flow: setattr(exchange(flow), "form", "authority"), "target form"),
    "no-form": (lambda flow: setattr(exchange(flow), "form", ""), "target form"),
    "folded": (lambda flow: flow.request.headers.update({"x": "a\r\n b"}), "control character"),
    "nul": (lambda flow: flow.request.headers.update({"x": "a\0b"}), "control character"),
    "bare-lf": (lambda flow: flow.request.headers.update({"x": "a\nb"}), "control character"),
    "unit-separator": (lambda flow: flow.request.headers.update({"x": "a\x1fb"}), "control character"),
    "backspace": (lambda flow: flow.request.headers.update({"x": "a\x08b"}), "control character"),
    "delete": (lambda flow: flow.request.headers.update({"x": "a\x7fb"}), "control character"),
    "connection-names-a-field": (lambda flow: flow.request.headers.update({"connection": "x-a"}), "Connection header"),
    "connection-among-others": (
        lambda flow: flow.request.headers.update({"connection": "close, X-A"}),
        "Connection header",
    ),
    "connection-second-line": (
        lambda flow: flow.request.headers.set_all("connection", ["close", "authorization"]),
        "Connection header",
    ),
    "coding": (lambda flow: flow.request.headers.update({"transfer-encoding": "gzip, chunked"}), "Transfer-Encoding"),
    "coding-identity": (lambda flow: flow.request.headers.update({"transfer-encoding": "identity"}), "Transfer-Encod"),
    "coding-twice": (
        lambda flow: flow.request.headers.set_all("transfer-encoding", ["chunked", "chunked"]),
        "Transfer-Encoding",
    ),
}


@pytest.mark.parametrize(("spoil", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_head_that_means_two_things(
    identified: Identified, spoil: Callable[[http.HTTPFlow], object], reason: str
) -> None:
    flow = plain(identified)
    spoil(flow)
    refusal = by_head(flow)
    assert refusal.status == 400
    assert reason in refusal.detail
    assert refusal.close
    assert exchange(flow).target is None


@pytest.mark.parametrize("name", ["upgrade", "http2-settings"])
def test_nothing_is_upgraded(identified: Identified, name: str) -> None:
    refusal = by_head(plain(identified, (name, "x")))
    assert (refusal.status, refusal.detail) == (403, "Upgrades (h2c, and others but WebSocket) are not accepted.")


@pytest.mark.parametrize(
    "field",
    [
        ("Connection", "close"),
        ("Connection", "Keep-Alive"),
        ("Connection", "TE , close"),
        ("Connection", ""),
        ("Connection", "close, keep-alive, te,"),
        ("Transfer-Encoding", " Chunked"),
        ("X", "a\tb"),
        ("X", "é"),
    ],
)
def test_what_only_looks_odd_goes_on(identified: Identified, field: tuple[str, str]) -> None:
    Read().requestheaders(plain(identified, field))


def test_http_1_0_goes_on(identified: Identified) -> None:
    flow = plain(identified)
    flow.request.http_version = "HTTP/1.0"
    Read().requestheaders(flow)


@pytest.mark.parametrize(
    ("url", "reverse", "form"),
    [
        pytest.param("http://plain.example/v1/x", False, "absolute", id="proxy"),
        pytest.param("https://secure.example/v1/x", False, "origin", id="tunnel"),
        pytest.param("http://plain.example/v1/x", True, "origin", id="reverse"),
    ],
)
def test_each_way_has_its_form(identified: Identified, url: str, reverse: bool, form: str) -> None:
    flow = identified("GET", url, reverse=reverse)
    other = {"absolute": "origin", "origin": "absolute"}[form]
    exchange(flow).form = other
    assert by_head(flow).status == 400
    exchange(flow).form = form
    Read().requestheaders(flow)


# A tunnel


@pytest.mark.parametrize(
    "hosts",
    [
        pytest.param(["secure.example:443"], id="host-and-port"),
        pytest.param(["Secure.Example"], id="host"),
        pytest.param([], id="none"),
    ],
)
def test_a_tunnel_leads_where_its_host_field_says(identified: Identified, hosts: list[str]) -> None:
    flow = identified("GET", "https://secure.example/")
    flow.request.headers.set_all("host", hosts)
    Read().http_connect(flow)


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [
        pytest.param(["odd.example"], "its Host header is not its destination", id="another"),
        pytest.param(["secure.example:8443"], "its Host header is not its destination", id="another-port"),
        pytest.param(["secure.example."], "its Host header is not its destination", id="final-dot"),
        pytest.param(["secure.example"] * 2, "its Host header is not its destination", id="twice"),
        pytest.param(["secure.example", "odd.example"], "its Host header is not its destination", id="two"),
        pytest.param(["secure.example,odd.example"], "its authority is not host:port", id="comma"),
        pytest.param([""], "its authority is not host:port", id="empty"),
    ],
)
def test_a_tunnel_that_may_lead_elsewhere(identified: Identified, hosts: list[str], reason: str) -> None:
    flow = identified("GET", "https://secure.example/")
    flow.request.headers.set_all("host", hosts)
    with pytest.raises(Refused) as refused:
        Read().http_connect(flow)
    assert (refused.value.refusal.status, refused.value.refusal.close) == (400, True)
    assert reason in refused.value.refusal.detail


# The target


@pytest.mark.parametrize(
    ("url", "name"),
    [
        pytest.param("https://api.crm.example/v1/x", "crm", id="https"),
        pytest.param("http://plain.example/v1/x", "plain", id="http"),
        pytest.param("https://odd.example:8443/v1/x", "odd", id="port"),
        pytest.param("https://203.0.113.7/v1/x", "numbered", id="address"),
    ],
)
def test_the_target_is_that_of_the_origin(identified: Identified, generation: Generation, url: str, name: str) -> None:
    flow = identified("GET", url)
    Read().requestheaders(flow)
    assert exchange(flow).target is generation.targets[name][0]


@pytest.mark.parametrize(
    "url",
    [
        "https://unknown.example/v1/x",
        "https://sub.api.crm.example/v1/x",
        "https://api.crm.example:8443/v1/x",
        "http://api.crm.example/v1/x",
        "http://plain.example:8080/v1/x",
    ],
)
def test_what_no_target_names_is_denied(identified: Identified, url: str) -> None:
    flow = identified("GET", url)
    refusal = by_head(flow)
    assert refusal.status == 403
    assert refusal.detail.startswith("No target is named for ")
    assert exchange(flow).target is None


def test_a_denial_quotes_only_so_much_of_a_host(identified: Identified) -> None:
    flow = plain(identified)
    flow.request.host = "a." * 1000 + "example"
    assert len(by_head(flow).detail) < 400


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example"])
def test_a_host_that_is_no_name(identified: Identified, host: str) -> None:
    flow = plain(identified)
    flow.request.host = host
    refusal = by_head(flow)
    assert refusal.status == 400
    assert "its host is no name" in refusal.detail


def test_a_host_is_read_in_lower_case_and_sent_as_the_target_is_named(identified: Identified) -> None:
    flow = plain(identified)
    flow.request.host = "PLAIN.example"
    Read().requestheaders(flow)
    assert (flow.request.host, flow.request.headers["host"]) == ("plain.example", "plain.example")


def test_letter_case_of_a_tunnels_host_means_nothing(identified: Identified) -> None:
    flow = identified("GET", "https://secure.example/v1/x")
    flow.request.host = "SECURE.example"
    Read().requestheaders(flow)


def test_a_tunnel_carries_tls(identified: Identified) -> None:
    flow = plain(identified)
    exchange(flow).session.tunnel = ("plain.example", 80)
    exchange(flow).form = "origin"
    refusal = by_head(flow)
    assert (refusal.status, refusal.detail) == (403, "A tunnel must carry TLS.")


@pytest.mark.parametrize(
    ("url", "sni"),
    [
        pytest.param("https://secure.example/v1/x", "odd.example", id="another"),
        pytest.param("https://secure.example/v1/x", None, id="none"),
        pytest.param("https://203.0.113.7/v1/x", "secure.example", id="a-name-for-an-address"),
        pytest.param("https://203.0.113.7/v1/x", "203.0.113.7", id="an-address"),
    ],
)
def test_tls_is_with_the_host_of_the_connect(identified: Identified, url: str, sni: str | None) -> None:
    flow = identified("GET", url)
    flow.client_conn.sni = sni
    refusal = by_head(flow)
    assert refusal.status == 400
    assert "TLS server name" in refusal.detail


def test_letter_case_of_a_server_name_means_nothing(identified: Identified) -> None:
    flow = identified("GET", "https://secure.example/v1/x")
    flow.client_conn.sni = "Secure.EXAMPLE"
    Read().requestheaders(flow)


@pytest.mark.parametrize("url", ["https://secure.example/v1/x", "http://plain.example/v1/x"])
@pytest.mark.parametrize(
    "hosts",
    [
        pytest.param([], id="none"),
        pytest.param(["odd.example"], id="another"),
        pytest.param([""], id="empty"),
        pytest.param(["{}", "{}"], id="twice"),
        pytest.param(["{}", "odd.example"], id="and-another"),
        pytest.param(["{}:8443"], id="another-port"),
        pytest.param(["{}:"], id="no-port"),
        pytest.param(["{}."], id="with-a-dot"),
        pytest.param(["user@{}"], id="with-a-user"),
    ],
)
def test_a_host_field_that_is_not_the_destination(identified: Identified, url: str, hosts: list[str]) -> None:
    flow = identified("GET", url)
    flow.request.headers.set_all("host", [host.format(flow.request.host) for host in hosts])
    refusal = by_head(flow)
    assert refusal.status == 400
    assert "its Host header is not its destination" in refusal.detail


@pytest.mark.parametrize(
    ("url", "host", "sent"),
    [
        pytest.param("https://secure.example/v1/x", "secure.example", "secure.example", id="bare"),
        pytest.param("https://secure.example/v1/x", "Secure.Example", "secure.example", id="letter-case"),
        pytest.param("https://secure.example/v1/x", "secure.example:443", "secure.example", id="own-port"),
        pytest.param("http://plain.example/v1/x", "plain.example:80", "plain.example", id="own-port-of-http"),
        pytest.param("https://odd.example:8443/v1/x", "odd.example:8443", "odd.example:8443", id="odd-port"),
        pytest.param("https://[2001:db8::7]/v1/x", "[2001:DB8::7]", "[2001:db8::7]", id="ipv6"),
        pytest.param("https://[2001:db8::7]/v1/x", "[2001:db8::7]:443", "[2001:db8::7]", id="ipv6-own-port"),
    ],
)
def test_a_host_field_that_is_the_destination(identified: Identified, url: str, host: str, sent: str) -> None:
    flow = identified("GET", url)
    flow.request.headers["host"] = host
    Read().requestheaders(flow)
    assert flow.request.headers.get_all("host") == [sent]


def test_an_odd_port_must_be_in_the_host_field(identified: Identified) -> None:
    flow = identified("GET", "https://odd.example:8443/v1/x")
    flow.request.headers["host"] = "odd.example"
    assert by_head(flow).status == 400


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1:8080"], ["secure.example", "odd.example"]])
def test_a_reverse_listener_leads_to_one_target_whatever_the_host_field(
    identified: Identified, hosts: list[str]
) -> None:
    flow = identified("GET", "https://secure.example/v1/x", reverse=True)
    flow.request.headers.set_all("host", hosts)
    Read().requestheaders(flow)
    assert flow.request.headers.get_all("host") == ["secure.example"]


def test_unidentified_nothing_is_read(identified: Identified) -> None:
    flow = plain(identified)
    exchange(flow).generation = None
    with pytest.raises(AssertionError):
        Read().requestheaders(flow)
    assert exchange(flow).target is None


# What is taken out of the head

STRIPPED = [
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authenticate",
    "TE",
    "Trailer",
    "X-Forwarded-For",
    "X-Forwarded",
    "x-forwarded-host",
    "X-Original-Host",
    "X-Original",
    "X-Rewrite-Path",
    "X-Client-IP",
    "X-Client",
    "X-Cluster-Client-IP",
    "Forwarded",
    "X-Real-IP",
    "True-Client-IP",
    "X-HTTP-Host-Override",
    "X-Host",
    "Via",
]
KEPT = [
    "Accept",
    "Forwarded-By-Post",
    "X-Forward",
    "X-Clients",
    "X-Originality",
    "X-Hostname",
    "Viaduct",
    "My-Via",
    "Trailers",
    "X-Api-Key",
]


@pytest.mark.parametrize("name", STRIPPED)
def test_what_is_between_hops_or_speaks_for_the_agent_goes(identified: Identified, name: str) -> None:
    flow = plain(identified, (name, "x"), ("X-Other", "y"))
    Read().requestheaders(flow)
    assert name not in flow.request.headers
    assert flow.request.headers["x-other"] == "y"


def test_the_connection_field_goes(identified: Identified) -> None:
    flow = plain(identified, ("Connection", "close"))
    Read().requestheaders(flow)
    assert "connection" not in flow.request.headers


@pytest.mark.parametrize("name", KEPT)
def test_other_fields_stay(identified: Identified, name: str) -> None:
    flow = plain(identified, (name, "x"))
    Read().requestheaders(flow)
    assert flow.request.headers[name] == "x"


def test_what_stands_where_the_credential_will_goes(identified: Identified) -> None:
    flow = identified("GET", "https://header.example/v1/x", fields=[("x-api-KEY", "mine"), ("X-Other", "y")])
    Read().requestheaders(flow)
    assert "x-api-key" not in flow.request.headers
    assert flow.request.headers["x-other"] == "y"


def test_what_stands_where_the_credential_will_in_the_query_goes(identified: Identified) -> None:
    flow = identified("GET", "https://query.example/v1/x?a=b&KEY=mine&keys=c")
    Read().requestheaders(flow)
    assert flow.request.path == "/v1/x?a=b&keys=c"


# What AWS's clients put around a body

STREAMING = ("X-Amz-Content-SHA256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
CODED = ("Content-Encoding", "aws-chunked")
ANNOUNCED = ("X-Amz-Trailer", "x-amz-checksum-crc32")
FRAMED = b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n"


@pytest.fixture(scope="module")
def signing(make_generation: Callable[..., Generation]) -> Generation:
    keys = 'access_key_id: "env:A", secret_access_key: "env:B", region: eu-central-1, service: s3'
    return make_generation(
        credentials=f"credentials: {{s3: {{aws: {{{keys}}}, hosts: [secure.example]}}}}\n",
        targets="targets: {secure: {url: https://secure.example, credential: s3}}\n",
        **{"roles/support": "role: support\nrules:\n  - id: put\n    allow: PUT secure /k\n"},
    )


def upload(identified: Identified, generation: Generation, *fields: tuple[str, str], body: bytes) -> http.HTTPFlow:
    flow = identified("PUT", "https://secure.example/k?X-Amz-Signature=mine", body, fields)
    exchange(flow).generation = generation
    return flow


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((STREAMING, CODED, ANNOUNCED), id="as-clients-say-it"),
        pytest.param((STREAMING, ANNOUNCED), id="by-the-hash"),
        pytest.param((CODED, ANNOUNCED), id="by-the-coding"),
        pytest.param((STREAMING, ANNOUNCED, ("X-Amz-Decoded-Content-Length", "3")), id="with-its-length"),
    ],
)
async def test_the_framing_comes_off(
    identified: Identified, signing: Generation, fields: tuple[tuple[str, str], ...]
) -> None:
    flow = await whole(upload(identified, signing, *fields, body=FRAMED))
    headers = {name.lower() for name in flow.request.headers}
    assert flow.request.path == "/k"
    assert flow.request.raw_content == b"abc"
    assert flow.request.headers["content-length"] == "3"
    assert flow.request.headers["x-amz-checksum-crc32"] == "NSRBwg=="
    assert not {"content-encoding", "x-amz-trailer", "x-amz-decoded-content-length", "x-amz-content-sha256"} & headers


async def test_another_coding_below_the_framing_comes_off_too(identified: Identified, signing: Generation) -> None:
    packed = gzip.compress(b"abc")
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    flow = await whole(upload(identified, signing, STREAMING, ("Content-Encoding", "gzip,aws-chunked"), body=body))
    assert flow.request.raw_content == b"abc"
    assert "content-encoding" not in flow.request.headers


async def test_a_large_framing_comes_off_beside_the_loop(
    identified: Identified, signing: Generation, threads: list[str]
) -> None:
    content = b"x" * (read.LARGE + 1)
    body = b"%x\r\n%b\r\n0;chunk-signature=%b\r\n\r\n" % (len(content), content, b"0" * 64)
    flow = await whole(upload(identified, signing, STREAMING, body=body))
    assert flow.request.raw_content == content
    assert threads == ["decode", "read"]  # the framing, then the body


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        pytest.param((STREAMING, ANNOUNCED), b"abc", id="unframed"),
        pytest.param((STREAMING,), FRAMED, id="not-announced"),
        pytest.param((STREAMING, ("X-Amz-Trailer", "host")), b"0\r\nhost:evil\r\n\r\n", id="not-a-checksum"),
        pytest.param((STREAMING, ANNOUNCED, ("X-Amz-Checksum-Crc32", "AAAA")), FRAMED, id="a-checksum-twice"),
        pytest.param((STREAMING, ANNOUNCED, ("X-Amz-Decoded-Content-Length", "4")), FRAMED, id="another-length"),
        pytest.param((STREAMING, ANNOUNCED, ("X-Amz-Decoded-Content-Length", "3, 3")), FRAMED, id="two-lengths"),
        pytest.param((STREAMING, ANNOUNCED, ("X-Amz-Decoded-Content-Length", "9" * 5000)), FRAMED, id="long-length"),
    ],
)
async def test_a_framing_that_cannot_be_read(
    identified: Identified, signing: Generation, fields: tuple[tuple[str, str], ...], body: bytes
) -> None:
    refusal = await by_body(upload(identified, signing, *fields, body=body))
    assert refusal.status == 400
    assert "aws-chunked" in refusal.detail


async def test_no_other_target_takes_the_framing(identified: Identified) -> None:
    assert (await by_body(plain(identified, STREAMING, CODED, ANNOUNCED, method="PUT", body=FRAMED))).status == 415


@pytest.mark.parametrize("host", ["header", "api.crm", "secure"])
def test_another_targets_query_stays(identified: Identified, host: str) -> None:
    flow = identified("GET", f"https://{host}.example/v1/x?key=mine&x-api-key=mine&=&")
    Read().requestheaders(flow)
    assert flow.request.path == "/v1/x?key=mine&x-api-key=mine&=&"


@pytest.mark.parametrize("host", ["query", "api.crm", "secure"])
def test_another_targets_fields_stay(identified: Identified, host: str) -> None:
    flow = identified("GET", f"https://{host}.example/v1/x", fields=[("X-Api-Key", "mine"), ("Key", "mine")])
    Read().requestheaders(flow)
    assert (flow.request.headers["x-api-key"], flow.request.headers["key"]) == ("mine", "mine")


# How large


@pytest.mark.parametrize("length", [LIMIT + 1, 10**30])
def test_too_large_by_its_own_word(identified: Identified, length: int) -> None:
    refusal = by_head(plain(identified, ("Content-Length", str(length))))
    assert refusal.status == 413
    assert refusal.close
    assert str(LIMIT) in refusal.detail


@pytest.mark.parametrize("length", [str(LIMIT), "", "x"])
def test_not_too_large_by_its_own_word(identified: Identified, length: str) -> None:
    Read().requestheaders(plain(identified, ("Content-Length", length)))


async def test_too_large_once_decoded(identified: Identified) -> None:
    body = gzip.compress(b"x" * (LIMIT + 1))
    refusal = await by_body(plain(identified, ("Content-Encoding", "gzip"), method="POST", body=body))
    assert refusal.status == 413
    assert refusal.close


# The body


@pytest.mark.parametrize(
    ("codings", "body", "status"),
    [
        pytest.param(["compress"], b"x", 415, id="unknown"),
        pytest.param(["gzip, gzip"], gzip.compress(gzip.compress(b"x")), 415, id="twice"),
        pytest.param(["gzip", "gzip"], gzip.compress(gzip.compress(b"x")), 415, id="two-lines"),
        pytest.param(["gzip"], b"x", 400, id="damaged"),
    ],
)
async def test_a_body_that_cannot_be_decoded(
    identified: Identified, codings: list[str], body: bytes, status: int
) -> None:
    fields = [("Content-Encoding", coding) for coding in codings]
    refusal = await by_body(plain(identified, *fields, method="POST", body=body))
    assert refusal.status == status
    assert refusal.detail.startswith("The body cannot be decoded: ")


async def test_a_body_is_sent_on_decoded(identified: Identified) -> None:
    body = gzip.compress(b"plain text")
    flow = await whole(plain(identified, JSON, ("Content-Encoding", "gzip"), method="POST", body=body))
    assert flow.request.raw_content == b"plain text"
    assert "content-encoding" not in flow.request.headers
    assert flow.request.headers.get_all("content-length") == ["10"]


async def test_a_body_is_sent_on_in_one_piece(identified: Identified) -> None:
    fields = [JSON, ("Transfer-Encoding", "chunked"), ("Expect", "100-continue")]
    flow = plain(identified, *fields, method="POST", body=b"text")
    del flow.request.headers["content-length"]
    await whole(flow)
    assert flow.request.headers.get_all("content-length") == ["4"]
    assert "transfer-encoding" not in flow.request.headers
    assert "expect" not in flow.request.headers


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        pytest.param("POST", b"", "0", id="post"),
        pytest.param("PUT", b"", "0", id="put"),
        pytest.param("PATCH", b"", "0", id="patch"),
        pytest.param("GET", b"", None, id="get"),
        pytest.param("DELETE", b"", None, id="delete"),
        pytest.param("DELETE", b"{}", "2", id="delete-with-body"),
    ],
)
async def test_its_length_is_said_where_one_is_expected(
    identified: Identified, method: str, body: bytes, length: str | None
) -> None:
    flow = await whole(plain(identified, JSON, method=method, body=body))
    assert flow.request.headers.get("content-length") == length


async def test_a_length_that_is_none_goes(identified: Identified) -> None:
    flow = await whole(plain(identified, ("Content-Length", "0")))
    assert "content-length" not in flow.request.headers


async def test_a_body_that_was_not_received_is_none(identified: Identified) -> None:
    flow = plain(identified)
    flow.request.raw_content = None
    assert (await whole(flow)).request.raw_content == b""


async def test_trailers_are_refused(identified: Identified) -> None:
    flow = plain(identified, method="POST", body=b"x")
    flow.request.trailers = http.Headers(x="y")
    refusal = await by_body(flow)
    assert refusal.status == 400
    assert "trailers" in refusal.detail


@pytest.mark.parametrize("coded", [False, True])
async def test_the_callers_token_in_a_body_is_refused_and_taken_out(
    identified: Identified, presented: Presented, coded: bool
) -> None:
    text = b'{"token": "' + presented.token.encode() + b'"}'
    fields = [("Content-Encoding", "gzip")] if coded else []
    flow = plain(identified, *fields, method="POST", body=gzip.compress(text) if coded else text)
    assert await by_body(flow) is TOKEN_INSIDE
    assert flow.request.raw_content == b'{"token": "[redacted]"}'


@pytest.mark.parametrize("missing", ["generation", "principal", "presented"])
async def test_nothing_is_read_of_nobodys_request(identified: Identified, missing: str) -> None:
    flow = plain(identified)
    Read().requestheaders(flow)
    setattr(exchange(flow), missing, None)
    with pytest.raises(AssertionError):
        await Read().request(flow)
    assert exchange(flow).actions == ()


@pytest.mark.parametrize("method", ["get", "Post", "PROPFIND", "MOVE"])
async def test_methods_that_the_target_does_not_take(identified: Identified, method: str) -> None:
    refusal = await by_body(plain(identified, method=method))
    assert refusal.status == 400
    assert "the method is none of" in refusal.detail


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_body_that_is_not_expected(identified: Identified, method: str) -> None:
    refusal = await by_body(plain(identified, JSON, method=method, body=b"{}"))
    assert (refusal.status, refusal.close) == (400, True)
    assert f"it is a {method} with a body" in refusal.detail


# What it reads


async def test_what_a_target_lists_and_a_lenient_path(
    identified: Identified, make_generation: Callable[..., Generation]
) -> None:
    targets = "targets: {plain: {url: http://plain.example, methods: [PROPFIND], paths: lenient}}\n"
    flow = plain(identified, method="PROPFIND")
    role = {"roles/support": "role: support\nrules: []\n"}
    exchange(flow).generation = make_generation(targets=targets, credentials="credentials: {}\n", **role)
    flow.request.path = "/v1//x;y/..%2fz?a=%2e%2e"
    await whole(flow)
    assert exchange(flow).actions == (Action("PROPFIND", "plain", "/v1/z"),)
    assert (flow.request.method, flow.request.path) == ("PROPFIND", "/v1/z?a=%2e%2e")


async def test_the_action_the_facts_and_the_one_path_that_is_sent(identified: Identified) -> None:
    fields = [("X-One", "1"), ("x-one", "2")]
    flow = await whole(identified("GET", "http://plain.example/v1/%7Ejo%c3%a9?a=b%20c", fields=fields))
    found = exchange(flow)
    assert found.actions == (Action("GET", "plain", "/v1/~jo%C3%A9"),)
    assert flow.request.path == "/v1/~jo%C3%A9?a=b%20c"
    assert found.facts is not None
    assert (found.facts.method, found.facts.host, found.facts.path) == ("GET", "plain.example", "/v1/~jo%C3%A9")
    assert found.facts.query == {"a": ("b c",)}
    assert found.facts.headers["x-one"] == ("1", "2")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/../x"), ("GET", "/v1//x"), ("GET", "/v1;x"), ("TRACE", "/v1/x"), ("GET", "*")]
)
async def test_what_cannot_be_read_in_one_way(identified: Identified, method: str, path: str) -> None:
    flow = plain(identified, method=method)
    flow.request.path = path
    refusal = await by_body(flow)
    assert refusal.status == 400
    assert refusal.close


def refund(identified: Identified, *fields: tuple[str, str], body: bytes = b'{"amount": 7}') -> http.HTTPFlow:
    """A request whose body rules read."""
    return identified("POST", "http://plain.example/refunds", body, fields)


async def document(flow: http.HTTPFlow) -> Any:
    found = exchange(await whole(flow))
    assert found.facts is not None
    return found.facts.body


async def test_the_document_that_rules_read(identified: Identified) -> None:
    assert await document(refund(identified, JSON)) == {"amount": 7}


async def test_the_document_is_read_as_decoded(identified: Identified) -> None:
    body = gzip.compress(b'{"amount": 7}')
    assert await document(refund(identified, JSON, ("Content-Encoding", "gzip"), body=body)) == {"amount": 7}


async def test_no_body_is_an_empty_document(identified: Identified) -> None:
    assert await document(refund(identified, body=b"")) == {}


async def test_a_body_that_no_rule_reads_is_not_parsed(identified: Identified) -> None:
    assert await document(plain(identified, JSON, method="POST", body=b"{damaged")) == {}


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        pytest.param([("Content-Type", "application/json; charset=utf-16")], b'{"amount": 7}', id="another-charset"),
        pytest.param([JSON], b'{"amount": 7, "amount": 8}', id="two-meanings"),
        pytest.param([JSON], b"{", id="damaged"),
    ],
)
async def test_a_document_that_cannot_be_read_is_no_document(
    identified: Identified, fields: list[tuple[str, str]], body: bytes
) -> None:
    assert isinstance(await document(refund(identified, *fields, body=body)), Unreadable)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([], id="undeclared"),
        pytest.param([("Content-Type", "text/plain")], id="another-type"),
        pytest.param([JSON, JSON], id="declared-twice"),
    ],
)
async def test_what_is_of_no_type_that_rules_read_is_refused(
    identified: Identified, fields: list[tuple[str, str]]
) -> None:
    refusal = await by_body(refund(identified, *fields))
    assert refusal.status == 415
    assert "The body is not taken: " in refusal.detail


async def test_a_form_that_asks_for_another_method_is_refused(identified: Identified) -> None:
    form = ("Content-Type", "application/x-www-form-urlencoded")
    refusal = await by_body(plain(identified, form, method="POST", body=b"a=1&_method=DELETE"))
    assert refusal.status == 400
    assert "_method" in refusal.detail


async def test_a_form_is_what_rules_read(identified: Identified) -> None:
    form = ("Content-Type", "application/x-www-form-urlencoded")
    assert await document(refund(identified, form, body=b"amount=7")) == Form({"amount": ("7",)})


async def test_a_large_body_is_worked_on_off_the_loop(identified: Identified, threads: list[str]) -> None:
    text = b'{"amount": 7, "filler": "' + b"x" * read.LARGE + b'"}'
    assert (await document(refund(identified, JSON, body=text)))["amount"] == 7
    assert threads == ["read"]


async def test_an_encoded_body_is_decoded_off_the_loop(identified: Identified, threads: list[str]) -> None:
    text = b'{"amount": 7, "filler": "' + os.urandom(read.LARGE_ENCODED).hex().encode() + b'"}'
    body = gzip.compress(text)
    assert (await document(refund(identified, JSON, ("Content-Encoding", "gzip"), body=body)))["amount"] == 7
    assert threads == ["decode"]


async def test_a_large_body_that_cannot_be_decoded(identified: Identified) -> None:
    flow = plain(identified, ("Content-Encoding", "gzip"), method="POST", body=b"x" * (read.LARGE + 1))
    assert (await by_body(flow)).status == 400


async def test_a_small_body_is_not_worth_a_thread(identified: Identified, threads: list[str]) -> None:
    await document(refund(identified, JSON))
    assert threads == []


# When the rules change while the body comes


async def test_the_head_is_read_again_under_other_rules(
    identified: Identified, make_generation: Callable[..., Generation]
) -> None:
    flow = identified("GET", "https://secure.example/v1/x?key=mine")
    found = exchange(flow)
    Read().requestheaders(flow)
    found.generation = later = make_generation(
        credentials='credentials: {key: {query: {name: key, value: "env:X"}, hosts: [secure.example]}}\n',
        targets="targets: {secure: {url: https://secure.example, credential: key}}\n",
        **{"roles/support": "role: support\nrules: []\n"},
    )
    await Read().request(flow)
    assert found.target is later.targets["secure"][0]
    assert flow.request.path == "/v1/x"


async def test_a_target_may_be_gone_meanwhile(
    identified: Identified, make_generation: Callable[..., Generation]
) -> None:
    flow = plain(identified)
    Read().requestheaders(flow)
    exchange(flow).generation = make_generation(
        targets="targets: {other: {url: https://other.example}}\n",
        **{"roles/support": "role: support\nrules: []\n"},
    )
    with pytest.raises(Refused) as refused:
        await Read().request(flow)
    assert refused.value.refusal.status == 403


async def test_under_the_same_rules_the_head_is_read_once(
    identified: Identified, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = plain(identified)
    stage = Read()
    stage.requestheaders(flow)
    monkeypatch.setattr(stage, "requestheaders", None)
    await stage.request(flow)


async def test_a_request_whose_target_was_not_found_is_not_read(identified: Identified) -> None:
    """Whatever skipped the first look at the head, the second is not skipped too."""
    flow = plain(identified)
    flow.request.headers["host"] = "odd.example"
    with pytest.raises(Refused) as refused:
        await Read().request(flow)
    assert refused.value.refusal.status == 400


HANDSHAKE = (
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Extensions", "permessage-deflate"),
    ("Origin", "https://app.example"),
)


async def test_what_opens_a_websocket(identified: Identified) -> None:
    flow = await whole(plain(identified, *HANDSHAKE))
    found = exchange(flow)
    assert found.actions == (Action("ws", "plain", "/v1/x"),)
    assert found.facts is not None
    assert {"connection", "upgrade", "sec-websocket-extensions"}.isdisjoint(found.facts.headers)
    assert found.facts.headers["origin"] == ("https://app.example",)
    sent = flow.request.headers
    assert (sent.get_all("connection"), sent.get_all("upgrade")) == (["Upgrade"], ["websocket"])
    assert "sec-websocket-extensions" not in sent
    assert "content-length" not in sent
    Read().requestheaders(flow)  # once more, as where the rules have changed
    assert exchange(flow).websocket


async def message(identified: Identified, content: bytes, *, from_agent: bool = True, is_text: bool = True) -> Exchange:
    """A message of an open WebSocket, read."""
    opened = exchange(await whole(plain(identified, *HANDSHAKE)))
    flow = plain(identified)
    found = exchange(flow)
    found.opened, found.message = opened, Message(from_agent, is_text, content)
    await Read().ws_message(flow)
    return found


async def test_a_message_is_about_what_opened_it(identified: Identified) -> None:
    found = await message(identified, b'{"a": 1}')
    assert found.actions == (Action("send", "plain", "/v1/x"),)
    assert found.facts is not None
    assert (found.facts.body, found.facts.headers["origin"]) == ({"a": 1}, ("https://app.example",))
    assert found.target is not None
    found = await message(identified, b"\xff", from_agent=False, is_text=False)
    assert found.actions == (Action("receive-binary", "plain", "/v1/x"),)


@pytest.mark.parametrize("content", [b"hello", b'{"a": "header.claims.signature-of-forty-characters-at-least"}'])
async def test_a_message_that_is_not_read(identified: Identified, content: bytes) -> None:
    with pytest.raises(Refused):
        await message(identified, content)


def test_a_target_of_http_2_opens_no_websocket(
    identified: Identified, make_generation: Callable[..., Generation]
) -> None:
    flow = identified("GET", "https://secure.example/v1/x", b"", HANDSHAKE)
    targets = "targets: {secure: {url: https://secure.example, http2: true}}\n"
    role = {"roles/support": "role: support\nrules:\n  - id: r\n    allow: ws secure /v1/**\n"}
    exchange(flow).generation = make_generation(targets=targets, credentials="credentials: {}\n", **role)
    refusal = by_head(flow)
    assert refusal.status == 403
    assert "HTTP/1.1 only" in refusal.detail
