from __future__ import annotations

import logging
import sys

import pytest

from lockgate.proxy.logs import LOGGERS, WITHHELD, Withhold, install

SECRET = "eyJ-a-token"


def filtered(message: str, *args: object, exc_info: bool = False) -> str:
    info = None
    if exc_info:
        try:
            raise ValueError(SECRET)
        except ValueError:
            info = sys.exc_info()
    record = logging.LogRecord("mitmproxy.proxy.server", logging.INFO, __file__, 1, message, args, info)
    assert Withhold().filter(record)
    assert record.exc_info is None
    return logging.Formatter("%(message)s").format(record)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        pytest.param("client connect", "client connect", id="connect"),
        pytest.param(
            "server connect api.example:443 (10.0.0.1:443)",
            "server connect api.example:443 (10.0.0.1:443)",
            id="server",
        ),
        pytest.param(f"client connect {SECRET}", WITHHELD, id="prefix-alone-does-not-pass"),
        pytest.param(f"Unexpected data from server: b'{SECRET}'", WITHHELD, id="body"),
        pytest.param(
            f"Client closed connection before completing request headers: b'CONNECT {SECRET}'", WITHHELD, id="head"
        ),
        pytest.param(
            f"Client TLS handshake failed. The client does not trust the proxy's certificate for {SECRET}",
            "TLS with a client failed: it does not trust the gateway's CA.",
            id="untrusted",
        ),
        pytest.param(
            f"Server TLS handshake failed. Certificate verify failed: {SECRET}",
            "TLS with a target failed: its certificate does not verify, it takes none of ours, or it speaks no TLS.",
            id="target",
        ),
        pytest.param(
            f"TLS Error: [('SSL routines', '', '{SECRET}')]",
            "TLS broke off with an alert: a target does so that takes no certificate of ours.",
            id="alert",
        ),
    ],
)
def test_what_is_shown(message: str, shown: str) -> None:
    assert filtered(message) == shown


def test_arguments_are_withheld_too() -> None:
    assert filtered("peer said %s", SECRET) == WITHHELD


def test_an_exception_keeps_its_kind_and_loses_its_text() -> None:
    assert filtered("mitmproxy has crashed!", exc_info=True) == "mitmproxy has crashed! (ValueError)"
    assert filtered(f"Addon error: {SECRET}", exc_info=True) == "Fault inside mitmproxy. (ValueError)"


@pytest.mark.parametrize("name", LOGGERS)
def test_every_logger_that_may_quote_the_wire_is_filtered(name: str, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger(name)
    kept = list(logger.filters)
    try:
        install()
        logger.error("it said %s", SECRET)
    finally:
        logger.filters[:] = kept
    assert caplog.messages
    assert SECRET not in caplog.text


def test_connection_handling_speaks_through_filtered_loggers() -> None:
    assert {"mitmproxy.proxy.server", "mitmproxy.addonmanager", "mitmproxy.master", "asyncio"} < set(LOGGERS)
    assert {"tornado.access", "tornado.application", "tornado.general"} < set(LOGGERS)


@pytest.mark.parametrize("name", ["httpx", "httpcore.http11"])
def test_our_own_client_says_nothing_of_what_it_asks(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    install()
    logging.getLogger(name).info("HTTP Request: POST https://login.example/%s", SECRET)
    logging.getLogger(name).debug("receive_response_headers.complete return_value=%s", SECRET)
    assert caplog.messages == []
