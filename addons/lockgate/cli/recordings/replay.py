"""`lockgate recordings replay`: a recorded request sent again, as an agent's, through the running gateway."""

from __future__ import annotations

import asyncio
import base64
import difflib
import json
import ssl
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import httpx

from lockgate.actions.head import REPLAY
from lockgate.bodies.encodings import decode
from lockgate.bodies.visible import visible, visible_bytes, visible_lines
from lockgate.cli.recordings.rows import report_damage, states
from lockgate.cli.run import CA, is_loopback, token_source
from lockgate.cli.token import duration
from lockgate.errors import BodyUnreadable, SecretUnavailable
from lockgate.launch import certificates
from lockgate.launch.environment import secret_variables
from lockgate.launch.tokens import Tokens
from lockgate.model import Target
from lockgate.policy.generation import Generation
from lockgate.policy.load import load
from lockgate.recordings.dump import HOST, header
from lockgate.recordings.resend import Given, NotReplayable, Resend, is_sent, resend
from lockgate.recordings.summary import names

PROXY = "http://127.0.0.1:8080"
WAIT = 120.0  # seconds: a held request is answered within `approvals.wait`
LOOK = 10.0  # seconds: to find out whether it is the gateway
LARGEST = 64 * 1024 * 1024  # bytes of an answer
SHOWN = 16 * 1024
NO_OAUTH = {"issuer": None, "token_url": None}  # `lockgate run` has them; here --token-command gives such a token


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the gateway listens, and the token in the address where it has one."""

    host: str
    port: int
    token: str | None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, its body decoded; of a record, None where it was not kept."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


class Exact(httpx.URL):
    """A URL whose path and query go as they were recorded: httpx would bring them to another form."""

    def __init__(self, url: httpx.URL, raw_path: bytes) -> None:
        super().__init__(url)
        self._exact = raw_path

    @property
    def raw_path(self) -> bytes:
        return self._exact


def proxy_address(ctx: click.Context, param: click.Parameter, value: str) -> Proxy:
    """The message never repeats what was given: a token may stand in it."""
    try:
        parts = urlsplit(value if "//" in value else f"//{value}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("", "http") or not parts.hostname or parts.path.strip("/"):
        raise click.BadParameter("it is no address of a gateway; write http://HOST:PORT", ctx, param)
    return Proxy(parts.hostname, port or 8080, unquote(parts.password) if parts.password else None)


def fields(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[tuple[bytes, bytes], ...]:
    """The message never repeats a value: it may be a secret."""
    found = []
    for each in value:
        name, colon, content = each.partition(":")
        encoded = name.strip().encode()
        if not colon or not encoded:
            raise click.BadParameter("write NAME:VALUE", ctx, param)
        if not is_sent(encoded):
            raise click.BadParameter(f"{name.strip()} is not the agent's to set", ctx, param)
        found.append((encoded, content.strip().encode()))
    return tuple(found)


@click.command()
@click.argument("identifier", metavar="ID")
@click.argument("paths", nargs=-1, metavar="[DIR|FILES]...", type=click.Path(exists=True, path_type=Path))
@click.option("--to", "name", required=True, metavar="TARGET", help="Where to: a name in targets.yaml.")
@click.option("--really", is_flag=True, help="To the target it was recorded with, too.")
@click.option("--proxy", callback=proxy_address, envvar="HTTPS_PROXY", default=PROXY, help=f"The gateway; {PROXY}.")
@click.option("--ca", type=click.Path(path_type=Path), default=CA, show_default=True, help="The gateway's CA (PEM).")
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="Development issuer: a role; may be repeated.")
@click.option("--subject", default="dev", show_default=True, help="Development issuer: whom the token names.")
@click.option("--ttl", callback=duration, default="5m", show_default=True, help="Development issuer: a token's life.")
@click.option("--token-file", type=click.Path(path_type=Path), help="A file with an agent's token in it.")
@click.option("--token-command", metavar="COMMAND", help="A command that prints a token; no shell stands between.")
@click.option(
    "--rules",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default="rules",
    show_default=True,
    help="The gateway's rules, which name the targets.",
)
@click.option("--state", type=click.Path(path_type=Path, file_okay=False), help="Where the gateway keeps its state.")
@click.option("--set-header", "set_headers", multiple=True, callback=fields, metavar="NAME:VALUE", help="Set a field.")
@click.option("--body", "body_file", type=click.File("rb"), help="A file to send as the body.")
@click.option("--path", "set_path", metavar="/PATH?QUERY", help="Send this path, with its query.")
@click.option("--diff", "compare", is_flag=True, help="Compare the answer with the recorded one; 1 where they differ.")
@click.option("--yes", is_flag=True, help="Do not ask before what may write.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
def replay(identifier: str, paths: tuple[Path, ...], **options: Any) -> None:
    """Send a recorded request again, through the running gateway and its rules, to another target.

    It goes as any agent's request: the token's roles decide, masks apply, and it is recorded, with the id of what it
    replays. What was redacted or not kept has to be given (--set-header, --body, --path). Never to the target it was
    recorded with, unless you say --really.
    """
    rules = load(options["rules"])
    target = target_named(rules, options["name"])
    given = Given(options["set_headers"], read_body(options["body_file"]), path_of(options["set_path"]))
    state = found(identifier, paths)
    try:
        request = resend(state, given)
    except NotReplayable as error:
        raise click.ClickException(f"{visible(identifier)} cannot be replayed: {visible(str(error))}") from None
    if not options["really"] and is_original(state, request, target, rules):
        raise click.ClickException(f"{target.name} is what it was recorded with: name another target, or say --really")
    if not is_loopback(options["proxy"].host):
        click.echo(
            "lockgate: The token goes to the gateway in the clear: let something that encrypts carry it.", err=True
        )
    if request.writes and not options["yes"]:
        confirm(f"{request.method} {text(request.path)} at {target.name} may write. Send it?")
    answered = asyncio.run(sent(request, target, options, rules))
    recorded = recorded_answer(state)
    differences = list(compared(recorded, answered)) if options["compare"] else []
    show = show_json if options["as_json"] else show_text
    show(request, target, answered, recorded, differences, compare=options["compare"])
    sys.exit(1 if differences else 0)


def target_named(rules: Generation, name: str) -> Target:
    there = rules.targets.get(name, ())
    if not there:
        raise click.UsageError(f"--to: there is no target {name}; there are {', '.join(sorted(rules.targets))}")
    if len(there) > 1:
        raise click.UsageError(f"--to: {name} has several origins; replay goes to one that has a single one")
    return there[0]


def read_body(file: Any) -> bytes | None:
    return None if file is None else file.read()


def path_of(value: str | None) -> bytes | None:
    return None if value is None else value.encode()


def found(identifier: str, paths: tuple[Path, ...]) -> dict[str, Any]:
    """The one recorded request of this id, whole. Raises ClickException."""
    damaged: list[str] = []
    state = next((each for each in states(paths, damaged) if identifier in names(each)), None)
    if state is None:
        report_damage([visible(line) for line in damaged])
        raise click.ClickException(f"no request {visible(identifier)} is recorded here; give its whole id")
    return state


def is_original(state: Mapping[str, Any], request: Resend, target: Target, rules: Generation) -> bool:
    """Whether a target is the one that was recorded: by its name, its origin, or where it is dialled."""
    recorded = state["request"]
    if target.name == request.target or (target.host, target.port) == (str(recorded["host"]).lower(), recorded["port"]):
        return True
    before = rules.targets.get(request.target or "", ())
    return dialled(target) in {dialled(each) for each in before}


def dialled(target: Target) -> tuple[str, int]:
    return target.connect or (target.host, target.port)


def confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"{visible(question)} There is nobody to ask here: say --yes.")
    click.confirm(visible(question), abort=True, err=True)


async def sent(request: Resend, target: Target, options: Mapping[str, Any], rules: Generation) -> Answered:
    """What the gateway answers. Raises ClickException, which quotes no token."""
    proxy: Proxy = options["proxy"]
    token = await token_for(proxy, options, rules)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificates.bundle([options["ca"].expanduser()]))
    way = httpx.Proxy(proxy.url, headers={"Proxy-Authorization": f"Bearer {token}"})
    message = httpx.Request(
        request.method,
        f"{target.scheme}://{target.authority}/",
        headers=[*request.headers, (REPLAY.encode(), request.id.encode())],
        content=request.body,
        extensions={"timeout": httpx.Timeout(WAIT).as_dict()},
    )
    message.url = Exact(message.url, request.path)
    try:
        async with httpx.AsyncClient(proxy=way, verify=context, trust_env=False) as client:
            if target.scheme == "http":
                await require_gateway(client)
            response = await client.send(message, stream=True)
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise click.ClickException(f"the answer is larger than {LARGEST} bytes")
            await response.aclose()
    except httpx.ProxyError as error:  # its CONNECT was refused
        why = visible(str(error))
        raise click.ClickException(f"the gateway at {proxy.host}:{proxy.port} does not take it: {why}") from None
    except httpx.HTTPError as error:
        why = visible(str(error)) or type(error).__name__
        raise click.ClickException(f"no answer from the gateway at {proxy.host}:{proxy.port}: {why}") from None
    return Answered(response.status_code, tuple(response.headers.multi_items()), bytes(body))


async def require_gateway(client: httpx.AsyncClient) -> None:
    """Raise httpx.HTTPError where the proxy is not the gateway: it alone has a certificate of its CA for this name.

    Inside a tunnel TLS says so; a plain request any proxy would pass on, by no rules.
    """
    await client.get(f"https://{HOST}/whoami", timeout=LOOK)


async def token_for(proxy: Proxy, options: Mapping[str, Any], rules: Generation) -> str:
    if proxy.token and not (options["roles"] or options["token_file"] or options["token_command"]):
        return proxy.token
    secrets = secret_variables(rules.credentials.values())
    try:
        source = await token_source({**options, **NO_OAUTH}, rules, secrets, None)
        return (await Tokens(source).current()).value
    except SecretUnavailable as error:
        raise click.ClickException(f"No token: {error}.") from None


def recorded_answer(state: Mapping[str, Any]) -> Answered | None:
    response = state.get("response")
    if not response:
        return None
    body = response["content"]
    if body:
        try:
            body = decode(body, header(response, b"content-encoding") or None, LARGEST)
        except BodyUnreadable:
            body = None
    said = state["metadata"]["lockgate"]
    if any("response" in (said.get(name) or {}) for name in ("truncated", "withheld")):
        body = None
    pairs = tuple((text(name), text(value)) for name, value in response["headers"])
    return Answered(response["status_code"], pairs, body)


def compared(recorded: Answered | None, answered: Answered) -> Iterator[str]:
    """What differs, line by line; empty where nothing does. What was not kept differs: nobody knows."""
    if recorded is None:
        yield "the recorded answer was not kept"
        return
    if recorded.status != answered.status:
        yield f"status: {recorded.status} was recorded, {answered.status} came"
    if recorded.body is None:
        yield "the recorded body was not kept"
        return
    before, now = lines_of(recorded.body), lines_of(answered.body or b"")
    yield from difflib.unified_diff(before, now, "recorded", "replayed", lineterm="")


def lines_of(body: bytes) -> list[str]:
    """A body as lines that are safe to print; JSON with its keys in order."""
    try:
        document = json.loads(body)
        return visible_lines(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))
    except (ValueError, RecursionError):
        return visible_bytes(body, LARGEST)


def show_text(
    request: Resend,
    target: Target,
    answered: Answered,
    recorded: Answered | None,  # noqa: ARG001 (one signature for both)
    differences: list[str],
    *,
    compare: bool,
) -> None:
    click.echo(visible(f"{request.method} {text(request.path)} at {target.name}, a replay of {request.id}"))
    click.echo(answered.status)
    if compare:
        for line in differences or ["the answer is the recorded one"]:
            click.echo(line)
        return
    for name, value in answered.headers:
        click.echo(visible(f"{name}: {value}"))
    if answered.body:
        click.echo()
        for line in visible_bytes(answered.body, SHOWN):
            click.echo(line)


def show_json(
    request: Resend,
    target: Target,
    answered: Answered,
    recorded: Answered | None,
    differences: list[str],
    *,
    compare: bool,
) -> None:
    document: dict[str, Any] = {
        "replayed": request.id,
        "target": target.name,
        "status": answered.status,
        "headers": [list(each) for each in answered.headers],
        **as_text(answered.body or b""),
        "recorded_status": recorded.status if recorded else None,
    }
    if compare:
        document["differences"] = differences
    click.echo(json.dumps(document, indent=2))


def as_text(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}


def text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
