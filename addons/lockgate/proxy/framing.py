"""Chunked bodies with trailers are an error of whoever sent them: mitmproxy itself stalls the connection on them."""

from __future__ import annotations

import h11
from h11._readers import ChunkedReader, ContentLengthReader, Http10Reader
from h11._receivebuffer import ReceiveBuffer

from lockgate.proxy.internals import http1


class NoTrailers(ChunkedReader):
    """h11's reader of chunked bodies, which refuses trailer fields."""

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        event = super().__call__(buf)
        if isinstance(event, h11.EndOfMessage) and event.headers:
            raise h11.RemoteProtocolError("trailer fields are not accepted")
        return event


def make_body_reader(expected_size: int | None) -> NoTrailers | Http10Reader | ContentLengthReader:
    """In place of mitmproxy's, with the same meaning: None is chunked, -1 is until the connection closes."""
    if expected_size is None:
        return NoTrailers()
    return Http10Reader() if expected_size == -1 else ContentLengthReader(expected_size)


def install() -> None:
    """Replace mitmproxy's choice of body reader."""
    http1.make_body_reader = make_body_reader
