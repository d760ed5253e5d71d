"""Bounds of an HTTP/2 connection, frame by frame. What whole proxies do with it: tests/e2e/test_http2.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import h2.config
import h2.connection
import h2.events
import pytest
from h2.errors import ErrorCodes
from h2.exceptions import DenialOfServiceError, ProtocolError
from h2.settings import SettingCodes
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, SettingsFrame
from mitmproxy import http, options
from mitmproxy.connection import Server
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import RequestHeaders
from mitmproxy.test import tflow, tutils

from lockgate.errors import LockgateError
from lockgate.proxy import http2
from lockgate.proxy.http2 import Allowance, BoundedH2Connection, BoundedHttp2Client, Standing, to_origin_form
from lockgate.proxy.latch import Shut

HEAD = [(":method", "POST"), (":scheme", "https"), (":authority", "crm.example"), (":path", "/")]


class Pair:
    """A peer's connection, and ours, with bytes carried from one to the other."""

    def __init__(self, *, ours_is_client: bool = False) -> None:
        self.ours = BoundedH2Connection(h2.config.H2Configuration(client_side=ours_is_client, header_encoding=False))
        self.peer = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=not ours_is_client, validate_outbound_headers=False)
        )
        self.ours.initiate_connection()
        self.peer.initiate_connection()
        self.carry()

    def carry(self) -> list[h2.events.Event]:
        """What comes of all that either has to say: the events on our side."""
        found: list[h2.events.Event] = []
        while (sent := self.peer.data_to_send()) or self.ours._data_to_send:
            found += self.ours.receive_data(sent)
            self.peer.receive_data(self.ours.data_to_send())
        return found

    def frames(self, *frames: Frame) -> list[h2.events.Event]:
        return self.ours.receive_data(b"".join(frame.serialize() for frame in frames))


@pytest.fixture
def pair() -> Pair:
    return Pair()


def settings(values: dict[int, int]) -> SettingsFrame:
    frame = SettingsFrame(0)
    frame.settings = values
    return frame


# What a peer may do for nothing


def test_an_allowance_is_spent_and_comes_back_with_time() -> None:
    now = [0.0]
    allowance = Allowance(2, 1.0, lambda: now[0])
    allowance.spend()
    allowance.spend()
    with pytest.raises(DenialOfServiceError):
        allowance.spend()
    now[0] = 1.0
    allowance.spend()
    with pytest.raises(DenialOfServiceError):
        allowance.spend()


def test_an_allowance_never_grows_beyond_its_burst() -> None:
    now = [0.0]
    allowance = Allowance(2, 1.0, lambda: now[0])
    now[0] = 1000.0
    allowance.earn(1000)
    allowance.spend()
    allowance.spend()
    with pytest.raises(DenialOfServiceError):
        allowance.spend()


def test_a_client_that_uploads_may_ping_as_often_as_it_sends(pair: Pair) -> None:
    pair.peer.send_headers(1, HEAD)
    pair.carry()
    ping = PingFrame(0, opaque_data=b"12345678")
    for _ in range(200):
        pair.frames(DataFrame(1, b"x" * 1024), ping)
    assert pair.ours._idle._left > http2.IDLE_FRAMES[0] - 10


def test_what_is_told_of_our_settings(pair: Pair) -> None:
    told = pair.peer.remote_settings
    assert told.max_concurrent_streams == http2.MAX_STREAMS
    assert told.max_header_list_size == http2.MAX_HEAD
    assert told.initial_window_size == http2.STREAM_WINDOW
    assert told.max_frame_size == http2.MAX_FRAME
    assert pair.peer.outbound_flow_control_window == http2.CONNECTION_WINDOW


def test_a_target_may_not_push() -> None:
    assert Pair(ours_is_client=True).peer.remote_settings.enable_push == 0


# What it may make us keep


def test_a_table_of_any_size_may_be_allowed_but_is_not_filled(pair: Pair) -> None:
    pair.frames(settings({SettingCodes.HEADER_TABLE_SIZE: 2**32 - 1}))
    assert pair.ours.encoder.header_table_size == http2.MAX_TABLE
    pair.peer.local_settings[SettingCodes.HEADER_TABLE_SIZE] = 2**32 - 1
    pair.peer.local_settings.acknowledge()
    pair.peer.decoder.max_allowed_table_size = 2**32 - 1
    pair.peer.send_headers(1, HEAD, end_stream=True)
    pair.carry()
    pair.ours.send_headers(1, [(b":status", b"200"), (b"x", b"y")], end_stream=True)
    pair.carry()  # which the peer can read


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([settings(dict.fromkeys(range(100, 133), 1))], id="settings"),
        pytest.param([HeadersFrame(1, b"x" * 16000), *[ContinuationFrame(1, b"x" * 16000)] * 4], id="header-block"),
    ],
)
def test_more_than_is_kept_ends_the_connection(pair: Pair, frames: Sequence[Frame]) -> None:
    with pytest.raises(DenialOfServiceError):
        pair.frames(*frames)


def test_a_frame_may_not_be_larger_than_was_told(pair: Pair) -> None:
    with pytest.raises(ProtocolError):
        pair.frames(DataFrame(1, b"x" * (http2.MAX_FRAME + 1)))


def test_a_frame_is_too_large_before_it_has_come(pair: Pair) -> None:
    with pytest.raises(ProtocolError):
        pair.ours.receive_data(DataFrame(1, b"x" * 20000).serialize()[:9])


@pytest.mark.parametrize("of_ours", [True, False])
def test_trailers_of_a_stream_that_was_reset_are_not_kept(pair: Pair, of_ours: bool) -> None:
    pair.peer.send_headers(1, HEAD)
    pair.carry()
    pair.ours.send_headers(1, [(b":status", b"200")])
    pair.ours.send_data(1, b"x" * 100_000)
    pair.ours.send_trailers(1, [(b"x", b"y")])
    (pair.ours if of_ours else pair.peer).reset_stream(1)
    pair.carry()
    assert (pair.ours.stream_trailers, pair.ours.unsent(1)) == ({}, 0)


def test_parts_of_one_body_that_come_together_are_one(pair: Pair) -> None:
    pair.peer.send_headers(1, HEAD)
    pair.peer.send_headers(3, HEAD)
    pair.carry()
    events = pair.frames(DataFrame(1, b"a"), DataFrame(1, b"b"), DataFrame(3, b"c"), DataFrame(1, b"d"))
    found = [event for event in events if isinstance(event, h2.events.DataReceived)]
    assert [(event.stream_id, event.data, event.flow_controlled_length) for event in found] == [
        (1, b"ab", 2),
        (3, b"c", 1),
        (1, b"d", 1),
    ]


def test_what_the_peer_does_not_take_is_counted(pair: Pair) -> None:
    pair.peer.send_headers(1, HEAD, end_stream=True)
    pair.carry()
    pair.ours.send_headers(1, [(b":status", b"200")])
    pair.ours.send_data(1, b"x" * 100_000)
    assert pair.ours.unsent(1) == pair.ours.all_unsent == 100_000 - 65_535
    pair.ours.reset_stream(1)
    assert pair.ours.all_unsent == 0


# A target that wants no more requests


def goaway(code: ErrorCodes) -> GoAwayFrame:
    return GoAwayFrame(0, last_stream_id=1, error_code=code)


def test_a_target_that_goes_still_answers() -> None:
    pair = Pair(ours_is_client=True)
    pair.ours.send_headers(1, [(name.encode(), value.encode()) for name, value in HEAD], end_stream=True)
    pair.carry()
    (gone,) = pair.frames(goaway(ErrorCodes.NO_ERROR))
    assert isinstance(gone, h2.events.ConnectionTerminated)
    assert gone.last_stream_id == 1
    pair.peer.send_headers(1, [(":status", "200")], end_stream=True)
    assert any(isinstance(event, h2.events.ResponseReceived) for event in pair.carry())


def test_a_target_that_fails_is_left() -> None:
    pair = Pair(ours_is_client=True)
    (gone,) = pair.frames(goaway(ErrorCodes.INTERNAL_ERROR))
    assert isinstance(gone, h2.events.ConnectionTerminated)
    assert pair.ours.state_machine.state is h2.connection.ConnectionState.CLOSED


# What waits for a stream of its target's


def raises(error: Exception) -> Callable[[], None]:
    def require() -> None:
        raise error

    return require


@pytest.mark.parametrize(
    ("head", "stays"),
    [
        pytest.param(Standing(3, tutils.treq(), True, require=lambda: None), True, id="still-allowed"),
        pytest.param(Standing(3, tutils.treq(), True, require=raises(Shut("no"))), False, id="shut"),
        pytest.param(Standing(3, tutils.treq(), True, require=raises(LockgateError("no"))), False, id="refused"),
        pytest.param(RequestHeaders(3, tutils.treq(), True), False, id="nobody-can-say"),
    ],
)
def test_what_waits_is_asked_whether_it_may_still_go(head: RequestHeaders, stays: bool) -> None:
    known = options.Options()
    known.add_option("validate_inbound_headers", bool, True, "")  # which mitmproxy's addon for HTTP brings
    context = Context(tflow.tclient_conn(), known)
    context.server = Server(address=("crm.example", 443))
    client = BoundedHttp2Client(context)
    client.stream_queue[3].append(head)
    client._drop_what_may_not_go()
    assert list(client.stream_queue) == ([3] if stays else [])
    assert client._unsent == ([] if stays else [3])


# The shape of a request


def request(authority: bytes, *fields: tuple[bytes, bytes], scheme: bytes = b"https") -> http.Request:
    return tutils.treq(
        host="crm.example",
        port=443,
        scheme=scheme,
        authority=authority,
        http_version=b"HTTP/2.0",
        headers=http.Headers(fields),
    )


@pytest.mark.parametrize(
    ("authority", "fields", "hosts"),
    [
        pytest.param(b"crm.example", [], ["crm.example"], id="authority"),
        pytest.param(b"crm.example", [(b"host", b"crm.example")], ["crm.example"], id="both-the-same"),
        pytest.param(b"crm.example", [(b"host", b"CRM.example")], ["crm.example", "CRM.example"], id="both-not"),
        pytest.param(b"", [(b"host", b"crm.example")], ["crm.example"], id="host"),
        pytest.param(b"", [], [], id="neither"),
    ],
)
def test_authority_becomes_host(authority: bytes, fields: list[tuple[bytes, bytes]], hosts: list[str]) -> None:
    shaped = request(authority, *fields)
    assert to_origin_form(shaped)
    assert shaped.headers.get_all("host") == hosts
    assert (shaped.data.host, shaped.data.port, shaped.data.authority) == ("", 0, b"")


def test_only_https_is_spoken() -> None:
    assert not to_origin_form(request(b"crm.example", scheme=b"http"))
