"""`lockgate recordings serve`: recorded answers to recorded requests, to test an agent without a target."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.netutil import bind_sockets

from lockgate.bodies.encodings import decode
from lockgate.bodies.visible import visible
from lockgate.cli.recordings.rows import report_damage, states
from lockgate.errors import BodyUnreadable
from lockgate.recordings.playback import Asked, Playback, Recorded, TooMuch, Unknown, Unrecorded

LARGEST = 64 * 1024 * 1024  # bytes of a request
NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
BODILESS = frozenset({204, 304})


def address(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise click.BadParameter(f"{value!r} is no address; write HOST:PORT", ctx, param)
    return host.strip("[]"), int(port)


@click.command()
@click.argument("paths", nargs=-1, metavar="[DIR|FILES]...", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--listen", callback=address, default="127.0.0.1:0", show_default=True, help="Where; port 0: any free one."
)
@click.option("--target", help="Only what was recorded of this target.")
@click.option("--strict", is_flag=True, help="Only in the order in which it was recorded, each request once.")
@click.option("--json", "as_json", is_flag=True, help="Say where it listens as JSON, in one line.")
def serve(paths: tuple[Path, ...], listen: tuple[str, int], target: str | None, strict: bool, as_json: bool) -> None:
    """Answer recorded requests with the recorded answers, until it is stopped.

    A request is known by its method, path, query and body. Several answers to one come in recorded order, and the last
    again and again. What is not known is 404, with what is nearest. With one target its paths begin at the root; with
    several they begin with /TARGET/, or Host says which.
    """
    playback = Playback(target=target, strict=strict)
    damaged: list[str] = []
    try:
        for state in states(paths, damaged):
            playback.add(state)
    except TooMuch as error:
        raise click.ClickException(str(error)) from None
    if not len(playback):
        report_damage([visible(line) for line in damaged])
        raise click.ClickException("there is no recorded request to answer")
    for line in damaged:
        click.echo(visible(line), err=True)
    try:
        asyncio.run(run(playback, *listen, as_json=as_json))
    except OSError as error:
        raise click.ClickException(f"{listen[0]}:{listen[1]}: {error.strerror}") from None


async def run(playback: Playback, host: str, port: int, *, as_json: bool) -> None:
    """Serve until SIGINT or SIGTERM. Raises OSError where it cannot listen."""
    [*sockets] = bind_sockets(port, host)
    server = HTTPServer(Door(playback, host), max_body_size=LARGEST, max_buffer_size=LARGEST + 1024 * 1024)
    server.add_sockets(sockets)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    url = f"http://{f'[{host}]' if ':' in host else host}:{sockets[0].getsockname()[1]}"
    names = sorted(playback.targets)
    if as_json:
        click.echo(json.dumps({"url": url, "requests": len(playback), "targets": names}))
    else:
        click.echo(f"{url} answers {len(playback)} requests of {visible(', '.join(names)) or 'no target'}")
    await stopped.wait()
    server.stop()
    await server.close_all_connections()


class Door:
    """What answers each request: from memory alone, so that there is nothing else to be had."""

    def __init__(self, playback: Playback, host: str) -> None:
        self._playback = playback
        self._here = {host, "localhost"}

    def __call__(self, request: HTTPServerRequest) -> None:
        """tornado calls it once a request is whole."""
        status, fields, body = self.answer(request)
        headers = HTTPHeaders()
        for name, value in fields:
            headers.add(name, value)
        bodiless = status in BODILESS
        if not bodiless:
            headers["Content-Length"] = str(len(body))
        if request.method == "HEAD" or bodiless:
            body = b""
        assert request.connection is not None  # noqa: S101 (for the type checker: tornado sets it)
        line = ResponseStartLine("HTTP/1.1", status, phrase(status))
        request.connection.write_headers(line, headers, body)
        request.connection.finish()

    def answer(self, request: HTTPServerRequest) -> tuple[int, list[tuple[str, str]], bytes]:
        host = host_of(request.headers.get("Host", ""))
        if host not in self._playback.hosts and not self._is_here(host):
            return problem(421, f"{host} is not known here.", "Ask by the address it listens at.")
        coding = request.headers.get("Content-Encoding")
        try:
            body = decode(request.body, coding, LARGEST) if request.body else b""
        except BodyUnreadable as error:
            return problem(400, f"The body cannot be decoded: {error}.", "Send it without Content-Encoding.")
        path = origin_form(request.uri or "/").encode("utf-8", "surrogateescape")
        found = self._playback.place(host, path)
        if found is None:
            names = ", ".join(sorted(self._playback.targets))
            return problem(404, "Nothing says which target is meant.", f"Begin the path with one of: {names}.")
        place, rest = found
        asked = Asked(request.method or "", rest, request.headers.get("Content-Type", ""), body)
        match self._playback.answer(place, asked):
            case Unknown(detail):
                return problem(404, f"It was not recorded: {detail}.", "Record it, or ask what was recorded.")
            case Unrecorded(detail):
                return problem(502, f"It is known, but {detail}.", "Record it with its body.")
            case Recorded() as answer:
                return answer.status, [*plain_fields(answer)], answer.body or b""

    def _is_here(self, host: str) -> bool:
        """Whether a Host is one of this server's own: a page in a browser gets no further by a name of its own."""
        if host in self._here or self._here & {"0.0.0.0", "::"}:  # noqa: S104 (asked for by --listen)
            return True
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return False


def host_of(value: str) -> str:
    """A Host without its port, in lower case."""
    bracketed = re.match(r"\[([^\]]*)\]", value)
    return (bracketed[1] if bracketed else value.partition(":")[0]).lower()


def origin_form(uri: str) -> str:
    """The path and query of a request target; one that goes to a proxy has more before them (RFC 9112, 3.2.2)."""
    return re.sub(r"^[a-z]+://[^/?]*", "", uri, flags=re.IGNORECASE) or "/"


def plain_fields(answer: Recorded) -> list[tuple[str, str]]:
    """Header fields that are ones: nothing in a recording ends a line."""
    return [
        (name.decode("ascii"), value.decode("latin-1"))
        for name, value in answer.headers
        if NAME.fullmatch(name) and VALUE.fullmatch(value)
    ]


def problem(status: int, detail: str, step: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """RFC 9457."""
    document: dict[str, Any] = {"status": status, "title": phrase(status), "detail": detail, "next_steps": step}
    return status, [("Content-Type", "application/problem+json")], json.dumps(document).encode()


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
