"""What may be reached, and how: HTTP over TCP only, and only vetted addresses of a target the door asked for.

Every connection to the outside passes `open_connection`, which refuses what no door has asked for (default deny, below
the hooks). The addresses a name resolves to are vetted before dialling, the address that answered is checked before a
byte is sent, and the door compares it again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Generator
from typing import Any

from mitmproxy import ctx, tls
from mitmproxy.connection import Client, Server
from mitmproxy.proxy import commands, events, layer, layers, mode_specs, tunnel
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from OpenSSL import SSL

from lockgate.exchange import Dialled, Vetted, session
from lockgate.model import Target, TargetTls
from lockgate.proxy import handshake, http2, latch
from lockgate.proxy.internals import server as proxy_server
from lockgate.proxy.pool import Pool

TLS_HANDSHAKE = b"\x16"
MAX_HELLO = 16 * 1024  # bytes of a ClientHello; real ones have some 2,000
SHARED = ipaddress.ip_network("100.64.0.0/10")  # RFC 6598; private networks of some VPNs
NAT64 = ipaddress.ip_network("64:ff9b::/96")
REFUSED = "refused by the gateway"

log = logging.getLogger(__name__)


class Close(layer.Layer):
    """Answers nothing and closes: what is put where a protocol is not accepted."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, (events.Start, events.DataReceived)):
            yield commands.CloseConnection(self.context.client)


class BoundedClientTLS(layers.ClientTLSLayer):
    """mitmproxy parses a ClientHello anew with every byte that comes: a large one would take all its time."""

    def receive_handshake_data(self, data: bytes) -> Generator[commands.Command, Any, tuple[bool, str | None]]:
        if not self.client_hello_parsed and len(self.recv_buffer) + len(data) > MAX_HELLO:
            return False, "ClientHello too large"
        return (yield from super().receive_handshake_data(data))

    def receive_data(self, data: bytes) -> Generator[commands.Command, Any, None]:
        """What comes behind a handshake that failed is read by nobody: mitmproxy has nothing to read it with."""
        if self.tls is not None:
            yield from super().receive_data(data)


class Reach:
    """Which protocols are spoken, which addresses are dialled."""

    def next_layer(self, next_layer: layer.NextLayer) -> None:
        """Choose from TLS and HTTP only. What is neither meets the HTTP/1 parser, and so a readable 400."""
        next_layer.layer = choose_layer(next_layer.context, next_layer.data_client())

    async def server_connect(self, data: ServerConnectionHookData) -> None:
        """Resolve and vet before dialling; an unvetted address refuses the whole name."""
        dialled = dialled_for(data.client, data.server)
        if dialled is None or data.server.address is None:
            data.server.error = REFUSED
            return
        host, port = data.server.address
        addresses = await resolve(host, port)
        if not addresses or not all(may_dial(address, port, dialled.target) for address in addresses):
            data.server.error = REFUSED
            return
        try:
            context = await begin_tls(dialled)
        except ValueError as error:
            log.error("Target %s: %s.", dialled.target.name, error)  # noqa: TRY400 - nothing to trace
            data.server.error = REFUSED
            return
        session(data.client).vetted[data.server.id] = Vetted(dialled, addresses, context)

    def server_connected(self, data: ServerConnectionHookData) -> None:
        """The name may have resolved otherwise in between: an address that was not vetted gets no byte."""
        vetted = session(data.client).vetted.get(data.server.id)
        if not vetted or not data.server.peername or data.server.peername[0] not in vetted.addresses:
            abort(data.client, data.server)

    def tls_start_server(self, start: tls.TlsData) -> None:
        """Verify the target's own name, whatever name the agent put into its handshake."""
        server = start.conn
        vetted = session(start.context.client).vetted[server.id]
        server.sni = vetted.dialled.target.server_name
        server.alpn_offers = offers(vetted.dialled.target)
        if vetted.context is not None:
            start.ssl_conn = handshake.connect(vetted.context, server.sni, server.alpn_offers)


def choose_layer(context: Any, data: bytes) -> layer.Layer:
    """The layer for what a client has begun to send, given the layers it came through.

    Listeners are regular or reverse HTTP (the option lock sees to that), so a connection is: optional TLS, HTTP, and
    after CONNECT once more TLS and HTTP.
    """
    client: Client = context.client
    if client.transport_protocol != "tcp":
        return Close(context)
    is_tls = data[:1] == TLS_HANDSHAKE
    stack = tunnel.LayerStack()
    if len(context.layers) == 1 and isinstance(context.layers[0], layers.modes.HttpProxy):
        if is_tls:
            stack /= BoundedClientTLS(context)
        stack /= Pool(context, HTTPMode.regular)
    elif len(context.layers) == 1 and isinstance(client.proxy_mode, mode_specs.ReverseMode):
        if client.proxy_mode.scheme == "https":
            stack /= layers.ServerTLSLayer(context)
        if is_tls:
            stack /= BoundedClientTLS(context)
        stack /= Pool(context, HTTPMode.transparent)
    elif is_tls and not isinstance(context.layers[-1], layers.ClientTLSLayer):
        stack /= layers.ServerTLSLayer(context)
        stack /= BoundedClientTLS(context)
    else:
        stack /= Pool(context, HTTPMode.transparent)
    return stack[0]


def offers(target: Target) -> tuple[bytes, ...]:
    """The protocols that a target is offered in the handshake (ALPN)."""
    if target.grpc:
        return (http2.ALPN,)
    return (http2.ALPN, handshake.HTTP1) if target.http2 else (handshake.HTTP1,)


def dialled_for(client: Client, server: Server) -> Dialled | None:
    """For what a door asked for this connection; None when no door did."""
    if server.address is None or server.via or server.transport_protocol != "tcp":
        return None
    dialled = session(client).dials.get(server.id)
    return dialled if dialled and server.tls == (dialled.target.scheme == "https") else None


async def begin_tls(dialled: Dialled) -> SSL.Context | None:
    """What TLS with a target begins with; None where it is as with any other. Raises ValueError where it cannot be."""
    tls = dialled.target.tls
    if dialled.target.scheme == "http" or (tls == TargetTls(server_name=tls.server_name) and not dialled.certificate):
        return None
    trusted = ctx.options.ssl_verify_upstream_trusted_ca
    return await asyncio.to_thread(handshake.make_context, tls, dialled.certificate, trusted)


async def resolve(host: str, port: int) -> frozenset[str]:
    """Every address of `host`; none where it does not resolve."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset(str(address[4][0]) for address in found)


def may_dial(address: str, port: int, target: Target) -> bool:
    """Whether an address may be dialled for a target: public, or private where the target says so; never our own."""
    ip = unwrap(ipaddress.ip_address(address))
    reserved = ip.is_reserved and isinstance(ip, ipaddress.IPv4Address)  # of IPv6 that says ::1 too
    if ip.is_unspecified or ip.is_multicast or reserved:
        return False
    if port in own_ports() and is_own(str(ip)):
        return False
    if ip.is_global and not (isinstance(ip, ipaddress.IPv6Address) and (ip.is_reserved or ip.is_site_local)):
        return True
    return target.private and (ip.is_private or ip.is_link_local or ip.is_loopback or ip in SHARED)


def unwrap(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address inside an IPv6 one that only carries it (mapped, NAT64, 6to4), else the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip.ipv4_mapped:
        return ip.ipv4_mapped
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.sixtofour or ip


served: set[int] = set()  # ports that the gateway itself serves something at, beside what mitmproxy does


def own_ports() -> set[int]:
    """The ports this gateway listens on."""
    ports = served | {address[1] for address in ctx.master.addons.get("proxyserver").listen_addrs()}
    if "web_port" in ctx.options:
        ports.add(ctx.options.web_port)
    return ports


def is_own(address: str) -> bool:
    """Whether this machine has the address: only then can a socket be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def abort(client: Client, server: Server) -> None:
    """Cut a server connection at the socket, before anything is written to it."""
    handler = ctx.master.addons.get("proxyserver").connections[client.id]
    handler.transports[server].writer.transport.abort()


def install(unguarded: Callable[..., Any] = proxy_server.ConnectionHandler.open_connection) -> None:
    """Make every connection to the outside ask whether a door wanted it, hooks or no hooks."""

    async def open_connection(self: Any, command: commands.OpenConnection) -> None:
        if latch.closed() or dialled_for(self.client, command.connection) is None:
            command.connection.error = REFUSED
            await self.server_event(events.OpenConnectionCompleted(command, REFUSED))
            return
        http2.reading.set(command.connection)
        # mitmproxy's own limit is five: what is asked for on a sixth stream would wait for one of them to be closed.
        self.max_conns.setdefault(command.connection.address, asyncio.Semaphore(http2.MAX_STREAMS))
        try:
            await unguarded(self, command)  # until the connection is closed
        finally:
            held = session(self.client)
            for known in (held.dials, held.vetted, held.carries):
                known.pop(command.connection.id, None)

    proxy_server.ConnectionHandler.open_connection = open_connection  # type: ignore[method-assign]
