"""HTTP/2 to agents: the same laws and doors, stream by stream."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable

import h2.settings
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from harness.expect import eventually, leaks
from harness.gateway import Gateway, identity
from harness.gateway import head as head_of
from harness.h2 import H2, Stream, tunnel
from harness.issuer import Issuer
from harness.rules import CRM, LEEWAY, PLAIN
from harness.upstream import RecordingUpstream
from harness.wire import Incomplete, start_tls

JSON = ("content-type", "application/json")
GET = [(":method", "GET"), (":scheme", "https"), (":authority", CRM), (":path", "/v1/customer")]
# None: what was still on its way there had the system throw away what was on its way back.
ENDED = (ErrorCodes.ENHANCE_YOUR_CALM, ErrorCodes.PROTOCOL_ERROR, ErrorCodes.FRAME_SIZE_ERROR, None)
POST = [(":method", "POST"), *GET[1:]]


def head(**pseudo: str) -> list[tuple[str, str]]:
    """The head of a good request with some pseudo-header fields changed; one that is empty is left out."""
    return [(name, value) for name, old in GET if (value := pseudo.get(name[1:], old))]


def outcome(client: H2, stream_id: int) -> Stream | None:
    """What became of a stream; None where the connection was ended."""
    try:
        return client.whole(stream_id)
    except Incomplete:
        assert client.closed
        return None


MALFORMED = [
    pytest.param(head(authority="plain.example"), id="another-authority"),
    pytest.param(head(authority=f"{CRM}:444"), id="another-port"),
    pytest.param(head(authority=f"{CRM}@plain.example"), id="userinfo"),
    pytest.param([*head(), ("host", "plain.example")], id="another-host"),
    pytest.param([*head(), ("host", "plain.example"), ("host", CRM)], id="two-hosts"),
    pytest.param(head(authority=""), id="no-authority"),
    pytest.param(head(scheme="http"), id="scheme-http"),
    pytest.param(head(scheme="ftp"), id="scheme-ftp"),
    pytest.param(head(scheme=""), id="no-scheme"),
    pytest.param(head(path=""), id="no-path"),
    pytest.param([*GET[:3], (":path", "")], id="empty-path"),
    pytest.param(head(path="*"), id="asterisk"),
    pytest.param(head(path="http://plain.example/v1/customer"), id="absolute-path"),
    pytest.param(head(path="v1/customer"), id="relative-path"),
    pytest.param(head(path="/v1/customer HTTP/1.1"), id="space-in-path"),
    pytest.param(head(path="/v1/customer\r\nx: y"), id="crlf-in-path"),
    pytest.param(head(path="/v1/x/../customer"), id="dots-in-path"),
    pytest.param(head(path="/v1/customer#x"), id="fragment"),
    pytest.param(head(method=""), id="no-method"),
    pytest.param(head(method="GET /v1/other HTTP/1.1\r\nx:"), id="crlf-in-method"),
    pytest.param(head(method="CONNECT"), id="connect"),
    pytest.param([(":method", "CONNECT"), (":authority", CRM)], id="plain-connect"),
    pytest.param([*head(method="CONNECT"), (":protocol", "websocket")], id="extended-connect"),
    pytest.param([*head(), (":protocol", "websocket")], id="protocol"),
    pytest.param([*head(), (":status", "200")], id="status"),
    pytest.param([*head(), (":other", "x")], id="unknown-pseudo"),
    pytest.param([*head(), (":path", "/v1/other")], id="path-twice"),
    pytest.param([*head(), (":method", "POST")], id="method-twice"),
    pytest.param([*GET[:3], ("x", "y"), GET[3]], id="pseudo-behind"),
    pytest.param([*head(), ("X-Name", "y")], id="upper-case"),
    pytest.param([*head(), ("x y", "y")], id="space-in-name"),
    pytest.param([*head(), ("x:y", "y")], id="colon-in-name"),
    pytest.param([*head(), ("", "y")], id="empty-name"),
    pytest.param([*head(), ("x", "y\r\nz: 1")], id="crlf-in-value"),
    pytest.param([*head(), ("x", "y\nz: 1")], id="lf-in-value"),
    pytest.param([*head(), ("x", "y\0z")], id="nul-in-value"),
    pytest.param([*head(), ("x", "y\x01")], id="control-in-value"),
    pytest.param([*head(), ("x", " y")], id="blank-before-value"),
    pytest.param([*head(), ("connection", "close")], id="connection"),
    pytest.param([*head(), ("keep-alive", "timeout=5")], id="keep-alive"),
    pytest.param([*head(), ("proxy-connection", "keep-alive")], id="proxy-connection"),
    pytest.param([*head(), ("transfer-encoding", "chunked")], id="transfer-encoding"),
    pytest.param([*head(), ("upgrade", "h2c")], id="upgrade"),
    pytest.param([*head(), ("http2-settings", "AAMAAABk")], id="http2-settings"),
    pytest.param([*head(), ("te", "gzip")], id="te"),
    pytest.param([*head(), ("content-length", "5")], id="length-without-body"),
    pytest.param([*head(), ("content-length", "+0")], id="odd-length"),
    pytest.param([*head(), ("content-length", "0"), ("content-length", "0")], id="two-lengths"),
    pytest.param([*head(), ("proxy-authorization", "Bearer x")], id="second-identity"),
    pytest.param([*head(), ("x", "y" * 70000)], id="header-list-too-large"),
    pytest.param([*head(), *((f"x-{number}", "y") for number in range(300))], id="too-many-fields"),
]


@pytest.mark.parametrize("fields", MALFORMED)
def test_a_malformed_head_reaches_no_target(
    gateway: Gateway, crm: RecordingUpstream, token: str, fields: list[tuple[str, str]]
) -> None:
    watch = crm.watch()
    with tunnel(gateway, token) as client:
        stream = outcome(client, client.send(fields))
    assert stream is None or stream.reset is not None or stream.status in (400, 403), stream
    assert watch.raw == b""


def denied(client: H2) -> Stream:
    """A refusal on a stream of its own: the connection lives on."""
    stream = client.ask("DELETE", "/v1/customer")
    assert stream.status == 403, stream
    return stream


def settings(values: dict[int, int]) -> SettingsFrame:
    frame = SettingsFrame(0)
    frame.settings = values
    return frame


def reset(stream_id: int) -> RstStreamFrame:
    return RstStreamFrame(stream_id, error_code=ErrorCodes.CANCEL)


FLOODS = [
    pytest.param(lambda client: [PingFrame(0, opaque_data=b"12345678")] * 6000, id="ping"),
    pytest.param(lambda client: [settings({})] * 6000, id="settings"),
    pytest.param(lambda client: [settings(dict.fromkeys(range(100, 200), 1))], id="many-settings"),
    pytest.param(
        lambda client: [PriorityFrame(1, stream_weight=number % 200) for number in range(6000)], id="priority"
    ),
    pytest.param(lambda client: [WindowUpdateFrame(0, window_increment=1)] * 6000, id="window"),
    pytest.param(lambda client: [ExtensionFrame(type=0xEE, flag_byte=0, stream_id=0)] * 6000, id="unknown-frames"),
    pytest.param(lambda client: [DataFrame(client.send(POST, end=False), b"")] * 6000, id="empty-data"),
    pytest.param(lambda client: [DataFrame(client.send(POST, end=False), b"x")] * 6000, id="small-data"),
    pytest.param(
        lambda client: [HeadersFrame(1, b""), *[ContinuationFrame(1, b"")] * 100], id="continuations-without-content"
    ),
    pytest.param(
        lambda client: [HeadersFrame(1, b"x" * 16000), *[ContinuationFrame(1, b"x" * 16000)] * 5], id="continuations"
    ),
    pytest.param(lambda client: [HeadersFrame(1, b"\x3f\xe1\xff\xff\xff\x0f")], id="table-size"),
    pytest.param(lambda client: [DataFrame(1, b"x" * 20000)], id="frame-too-large"),
]


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_ends_its_connection(gateway: Gateway, token: str, flood: Callable[[H2], list[Frame]]) -> None:
    with tunnel(gateway, token) as client:
        frames = flood(client)
        client.takes = False
        client.frame(*frames)
        client.until(lambda: client.closed)
    assert client.goaway in ENDED


def test_streams_opened_and_reset_end_the_connection(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    """CVE-2023-44487."""
    watch = crm.watch()
    with tunnel(gateway, token) as client:
        for _ in range(300):
            stream_id = client.connection.get_next_available_stream_id()
            client.connection.send_headers(stream_id, [(":method", "DELETE"), *GET[1:]], end_stream=True)
            client.connection.reset_stream(stream_id, ErrorCodes.CANCEL)
        client.flush()
        client.until(lambda: client.closed)
    assert client.goaway in ENDED
    assert watch.raw == b""


def test_streams_that_we_are_made_to_reset_end_the_connection(gateway: Gateway, token: str) -> None:
    """CVE-2025-8671: a window beyond its bound is an error of the stream."""
    with tunnel(gateway, token) as client:
        for _ in range(300):
            stream_id = client.connection.get_next_available_stream_id()
            client.connection.send_headers(stream_id, POST)
            client.frame(WindowUpdateFrame(stream_id, window_increment=2**31 - 1))
        client.until(lambda: client.closed)
    assert client.goaway in ENDED


def test_more_streams_than_are_taken_end_the_connection(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    watch = crm.watch()
    with tunnel(gateway, token) as client:
        client.until(lambda: client.connection.remote_settings.max_concurrent_streams == 100)
        client.connection.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
        client.connection.remote_settings.acknowledge()
        for _ in range(101):
            client.send(POST, end=False)
        client.until(lambda: client.closed)
    assert watch.raw == b""


def test_a_refusal_ends_its_own_stream_only(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    watch = crm.watch()
    with tunnel(gateway, token) as client:
        open_stream = client.send([*POST, JSON], b'{"name": ', end=False)
        assert b"support/no-delete" in denied(client).body
        unreadable = client.ask("GET", "/v1/x/../customer")
        elsewhere = client.ask("GET", "/v1/customer", host="plain.example")
        client.data(open_stream, b'"Ann"}', end=True)
        finished = client.whole(open_stream)
        assert client.ask("GET", "/v1/customer").status == 200
    assert [unreadable.status, elsewhere.status, finished.status] == [400, 400, 200]
    assert [seen.method for seen in watch.requests] == ["POST", "GET"]
    assert watch.requests[0].body == b'{"name": "Ann"}'
    assert leaks(finished.body) == []


def test_what_is_masked_is_gone_and_the_credential_is_added(
    gateway: Gateway, crm: RecordingUpstream, token: str
) -> None:
    watch = crm.watch()
    with tunnel(gateway, token) as client:
        fields = [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers"), ("x-forwarded-for", "10.0.0.1")]
        stream = client.ask("GET", "/v1/customer?x=1", *fields)
    assert stream.status == 200
    assert leaks(stream.body) == []
    (seen,) = watch.requests
    assert seen.target == "/v1/customer?x=1"
    assert {name for name, _ in seen.headers} == {"host", "accept-encoding", "authorization"}
    assert token.encode() not in watch.plain


def test_streams_side_by_side_get_their_own_answers(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    watch = crm.watch()
    with tunnel(gateway, token) as client:
        asked = {client.request("POST", "/open/echo", JSON, body=b'{"n": %d}' % number): number for number in range(20)}
        for stream_id, number in asked.items():
            assert json.loads(json.loads(client.whole(stream_id).body)["body"]) == {"n": number}
        before = watch.connections
        assert client.ask("GET", "/v1/customer").status == 200
    assert watch.connections == before, "a connection that is free is used again"


@pytest.mark.parametrize("body", [b"", b"{}"], ids=["alone", "behind-a-body"])
def test_trailers_of_an_agent_are_refused(gateway: Gateway, crm: RecordingUpstream, token: str, body: bytes) -> None:
    watch = crm.watch()
    with tunnel(gateway, token) as client:
        stream_id = client.send(POST, body, end=False)
        client.connection.send_headers(stream_id, [("x-secret", token)], end_stream=True)
        client.flush()
        stream = client.whole(stream_id)
        denied(client)
    assert stream.status == 400
    assert b"trailers" in stream.body
    assert watch.raw == b""


@pytest.mark.parametrize("length", [3, 5, 0])
def test_a_length_that_is_not_the_bodys_reaches_no_target(
    gateway: Gateway, crm: RecordingUpstream, token: str, length: int
) -> None:
    watch = crm.watch()
    with tunnel(gateway, token) as client:
        stream = outcome(client, client.send([*POST, ("content-length", str(length))], b"{ }\n"))
    assert stream is None or stream.reset is not None
    assert watch.raw == b""


def test_a_body_beyond_the_limit_is_refused_readably(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    watch = crm.watch()
    with tunnel(gateway, token) as client:
        announced = client.send([*POST, ("content-length", "2000000")], b"x", end=False)
        grown = client.send(POST, b"x" * 1_200_000)
        assert client.whole(grown).status == 413
        client.connection.reset_stream(announced, ErrorCodes.CANCEL)
        client.flush()
        denied(client)
    assert watch.raw == b""


def test_a_body_without_end_is_cut_off_with_an_answer(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    watch = crm.watch()
    with tunnel(gateway, token) as client:
        stream_id = client.send(POST, end=False)
        stream = client.streams[stream_id]
        for _ in range(20):
            if stream.status:
                break
            client.data(stream_id, b"x" * 1024 * 1024)
        client.until(lambda: stream.reset is not None)
        denied(client)
    assert (stream.status, stream.ended, stream.reset) == (413, True, ErrorCodes.NO_ERROR)
    assert watch.raw == b""


def test_a_connection_whose_token_ends_soon_is_closed_once_nothing_is_under_way(
    gateway: Gateway, crm: RecordingUpstream, issuer: Issuer
) -> None:
    with tunnel(gateway, issuer.token("support", exp=int(time.time()) + 20)) as client:
        under_way = client.send([*POST, JSON], b'{"name": ', end=False)
        assert client.ask("GET", "/v1/customer").status == 200
        client.data(under_way, b'"Ann"}', end=True)
        assert client.whole(under_way).status == 200
        client.until(lambda: client.closed)
    assert client.goaway == ErrorCodes.NO_ERROR


def test_a_stream_that_outlasts_its_token_reaches_no_target(
    gateway: Gateway, crm: RecordingUpstream, issuer: Issuer
) -> None:
    watch = crm.watch()
    ends = int(time.time()) + 2
    with tunnel(gateway, issuer.token("support", exp=ends - LEEWAY)) as client:
        late = client.send([*POST, JSON], b'{"name": ', end=False)
        eventually(lambda: time.time() > ends, "the token ends")
        client.data(late, b'"Ann"}', end=True)
        assert client.whole(late).status == 401
        client.until(lambda: client.closed)
    assert watch.raw == b""


def test_an_agent_that_goes_has_its_streams_ended(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    watch = crm.watch()
    with tunnel(gateway, token) as client:
        client.send([*POST, JSON], b'{"name": ', end=False)
        client.frame(GoAwayFrame(0, last_stream_id=0, error_code=ErrorCodes.NO_ERROR))
        client.until(lambda: client.closed)
    assert watch.raw == b""


# HTTP/2 without TLS, or over TLS that did not agree on it

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize()


@pytest.mark.parametrize("where", ["proxy", "tunnel", "tls"])
def test_prior_knowledge_is_refused(
    gateway: Gateway, crm: RecordingUpstream, plain: RecordingUpstream, token: str, where: str
) -> None:
    watches = [crm.watch(), plain.watch()]
    wire = gateway.dial() if where == "proxy" else gateway.connect(token)[0]
    if where == "tls":
        wire = start_tls(wire, CRM, str(gateway.ca))
    with wire:
        wire.send(PREFACE)
        assert b"HTTP/2" not in wire.rest(2)
    assert [watch.raw for watch in watches] == [b"", b""]


def test_an_upgrade_is_refused(gateway: Gateway, plain: RecordingUpstream, token: str) -> None:
    watch = plain.watch()
    fields = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"]
    with gateway.dial() as wire:
        reply = wire.ask(head_of("GET", f"http://{PLAIN}/v1/json", PLAIN, *identity(token), *fields))
    assert reply.status in (400, 403)
    assert watch.raw == b""


# Real clients


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(gateway: Gateway, token: str) -> None:
    command = ["curl", "-sS", "--http2", "--proxy", gateway.proxy, "--proxy-header"]
    command += [
        f"Proxy-Authorization: Bearer {token}",
        "--cacert",
        str(gateway.ca),
        "-w",
        "%{http_version} %{http_code} ",
    ]
    urls = [f"https://{CRM}/v1/json", f"https://{CRM}/nowhere"]
    ran = subprocess.run(
        [*command, *urls, "-o", "-", "-o", "-"], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.count("2 200 ") == 1
    assert ran.stdout.count("2 403 ") == 1
    assert leaks(ran.stdout.encode()) == []


NODE = """
const [port, token, ca, authority] = process.argv.slice(1);
const asked = require("http").request({port, method: "CONNECT", path: authority + ":443",
  headers: {host: authority + ":443", "proxy-authorization": "Bearer " + token}}).end();
asked.on("connect", (reply, socket) => {
  const secure = require("tls").connect({socket, servername: authority, ALPNProtocols: ["h2"],
    ca: require("fs").readFileSync(ca)});
  const client = require("http2").connect("https://" + authority, {createConnection: () => secure});
  const ask = (headers) => new Promise((resolve, reject) => {
    const stream = client.request(headers);
    let status, body = "";
    stream.on("response", (found) => status = found[":status"]);
    stream.on("data", (part) => body += part);
    stream.on("error", reject);
    stream.on("end", () => resolve([status, body]));
  });
  Promise.all([ask({":path": "/v1/json"}), ask({":method": "DELETE", ":path": "/v1/json"}), ask({":path": "/v1/json"})])
    .then((answers) => { console.log(JSON.stringify(answers)); client.close(); });
});
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_node(gateway: Gateway, token: str) -> None:
    command = ["node", "-e", NODE, str(gateway.port), token, str(gateway.ca), CRM]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.stderr == ""
    assert [status for status, _ in json.loads(ran.stdout)] == [200, 403, 200]
    assert leaks(ran.stdout.encode()) == []
