"""Which connections a request may go over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mitmproxy.connection import ConnectionState, Server

from lockgate.exchange import Dialled, Session, Vetted
from lockgate.model import Target
from lockgate.proxy.pool import Dial

TARGET = Target("crm", "https", "crm.example", 443)
ADDRESS = ("crm.example", 443)


@pytest.fixture
def server() -> Server:
    return opened(ADDRESS)


def opened(address: tuple[str, int]) -> Server:
    connection = Server(address=address)
    connection.tls, connection.state = True, ConnectionState.OPEN
    return connection


def dial(server: Server, opened_for: Target | None, asked: Target = TARGET) -> Dial:
    session = Session()
    if opened_for is not None:
        session.vetted[server.id] = Vetted(Dialled(opened_for), frozenset({"192.0.2.1"}))
    return Dial(ADDRESS, True, None, dialled=Dialled(asked), session=session)


@pytest.mark.parametrize(
    ("opened_for", "matches", "outdated"),
    [
        pytest.param(TARGET, True, False, id="the-same"),
        pytest.param(replace(TARGET, name="other"), False, True, id="another-target"),
        pytest.param(replace(TARGET, http2=True), False, True, id="the-entry-as-it-was"),
        pytest.param(None, False, False, id="not-vetted"),
    ],
)
def test_a_connection_is_for_what_it_was_opened_for(
    server: Server, opened_for: Target | None, matches: bool, outdated: bool
) -> None:
    asked = dial(server, opened_for)
    assert asked.connection_spec_matches(server) is matches
    assert asked.is_outdated(server) is outdated


def test_a_connection_to_elsewhere_is_none_of_its_business() -> None:
    server = opened(("other.example", 443))
    asked = dial(server, replace(TARGET, name="other"))
    assert not asked.connection_spec_matches(server)
    assert not asked.is_outdated(server)
