"""A real MCP server over streamable HTTP, of the `mcp` package, which remembers every byte it got."""

from __future__ import annotations

import asyncio
import socket
import ssl
from threading import Thread
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from uvicorn.protocols.http.h11_impl import H11Protocol

TICKET = {"number": 7, "title": "Cannot log in", "reporter": {"name": "Ada", "email": "ada.marsh@customer.example"}}

tickets = MCPServer("tickets")


@tickets.tool()
def get_ticket(number: int) -> dict[str, Any]:
    """Read a ticket."""
    return {**TICKET, "number": number}


@tickets.tool()
def delete_ticket(number: int) -> dict[str, Any]:
    """Delete a ticket."""
    return {"deleted": number}


class McpServer:
    """Listens on a free port of 127.0.0.1 at `/mcp`. `plain` is all it was sent, without TLS."""

    def __init__(self, name: str, context: ssl.SSLContext) -> None:
        received: list[bytes] = []
        self._received = received

        class Recording(H11Protocol):
            def data_received(self, data: bytes) -> None:
                received.append(data)
                super().data_received(data)

        security = TransportSecuritySettings(allowed_hosts=[name])
        config = uvicorn.Config(
            tickets.streamable_http_app(transport_security=security),
            http=Recording,
            ssl_context_factory=lambda *_: context,
            log_config=None,
        )
        self._server = uvicorn.Server(config)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def plain(self) -> bytes:
        return b"".join(self._received)

    def forget(self) -> None:
        self._received.clear()

    def close(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._listener]))
