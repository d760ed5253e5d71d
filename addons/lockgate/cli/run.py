"""`lockgate run`: starts an agent's process so that everything it asks goes through the gateway."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import time
from collections.abc import Mapping
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from lockgate.cli.token import duration, require_dev_issuer
from lockgate.errors import SecretUnavailable
from lockgate.identity.dev import mint
from lockgate.launch import certificates, device, tokens
from lockgate.launch.environment import Changes, changes, secret_variables
from lockgate.launch.process import Agent, described
from lockgate.launch.process import run as run_agent
from lockgate.launch.tokens import Source
from lockgate.model import OAuth2, SecretSource
from lockgate.policy.generation import Generation
from lockgate.policy.load import load

CA = Path("~/.mitmproxy/mitmproxy-ca-cert.pem")
RELAY = "http://agent:PASSWORD@127.0.0.1:PORT"
BUNDLE = "CA_BUNDLE"


def gateway_address(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, int]:
    try:
        parts = urlsplit(value if "//" in value else f"//{value}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("", "http") or not parts.hostname or parts.username or parts.path.strip("/"):
        raise click.BadParameter(f"{value!r} is no address of a gateway; write http://HOST:PORT", ctx, param)
    return parts.hostname, port or 8080


def secret(ctx: click.Context, param: click.Parameter, value: str | None) -> SecretSource | None:
    """The message never repeats what was given: it may be the secret."""
    if value is None:
        return None
    kind, _, name = value.partition(":")
    if kind not in ("env", "file") or not name:
        raise click.BadParameter("write env:NAME or file:PATH; a secret never stands on the command line", ctx, param)
    return SecretSource("env" if kind == "env" else "file", name, form="text")


@click.command(context_settings={"ignore_unknown_options": False})
@click.option(
    "--gateway", callback=gateway_address, default="http://127.0.0.1:8080", show_default=True, help="Where it listens."
)
@click.option("--ca", type=click.Path(path_type=Path), default=CA, show_default=True, help="The gateway's CA (PEM).")
@click.option("--trust", multiple=True, type=click.Path(path_type=Path), help="Another CA to trust; may be repeated.")
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="Development issuer: a role; may be repeated.")
@click.option("--subject", default="dev", show_default=True, help="Development issuer: whom the token names.")
@click.option("--ttl", callback=duration, default="1h", show_default=True, help="Development issuer: a token's life.")
@click.option("--token-file", type=click.Path(path_type=Path), help="A file that somebody keeps a fresh token in.")
@click.option("--token-command", metavar="COMMAND", help="A command that prints a token; no shell stands between.")
@click.option("--issuer", metavar="URL", help="OAuth: the issuer, whose endpoints are discovered.")
@click.option("--token-url", metavar="URL", help="OAuth: its token endpoint, instead of --issuer.")
@click.option("--client-id", metavar="ID", help="OAuth: who the agent is.")
@click.option("--client-secret", callback=secret, metavar="SOURCE", help="OAuth: env:NAME or file:PATH.")
@click.option("--device", "by_device", is_flag=True, help="OAuth: a person lets the agent in, by a code (RFC 8628).")
@click.option("--scope", default="", help="OAuth: the scopes to ask for.")
@click.option("--audience", default="", help="OAuth: the audience to ask for, where the issuer needs it said.")
@click.option("--issuer-ca", type=click.Path(path_type=Path), help="OAuth: the issuer's CA (PEM), if not a public one.")
@click.option(
    "--rules",
    type=click.Path(path_type=Path, file_okay=False),
    default="rules",
    show_default=True,
    help="The gateway's rules: the variables its secrets are in are kept from the agent.",
)
@click.option("--state", type=click.Path(path_type=Path, file_okay=False), help="Where the gateway keeps its state.")
@click.option("--print", "only_print", is_flag=True, help="Print what the environment would be, and start nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --print: an object, with set and removed.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def run(command: tuple[str, ...], **options: Any) -> int:
    """Start an agent's COMMAND so that all it asks goes through the gateway.

    Its proxy variables lead to a relay on this machine, which adds the agent's token and keeps it fresh: the process
    has none. It trusts the gateway's CA alone. Variables with the gateway's own secrets are taken out of its
    environment. The exit code is the command's; 2 where nothing was started.

    \b
    lockgate run --role support -- python agent.py
    lockgate run --token-file /run/secrets/agent-token -- node agent.mjs
    lockgate run --issuer https://login.example/realms/agents --client-id support-agent \\
                 --client-secret env:AGENT_SECRET -- python agent.py

    It does not keep the process from going around the proxy: block its other ways out. `lockgate doctor` shows them.
    """
    rules = load(options["rules"]) if options["rules"].is_dir() else None
    secrets = secret_variables(rules.credentials.values()) if rules else frozenset()
    own = options["client_secret"]
    if own is not None and own.kind == "env":
        secrets |= {own.name}
    if options["only_print"]:
        show(changes(os.environ, RELAY, BUNDLE, secrets), as_json=options["as_json"])
        return 0
    if options["as_json"]:
        raise click.UsageError("--json goes with --print")
    if not command:
        raise click.UsageError("no command: write it behind --, as in `lockgate run --role support -- python agent.py`")

    def say(line: str) -> None:
        if not options["quiet"]:
            click.echo(f"lockgate: {line}", err=True)

    if rules is None:
        say(f"{options['rules']} is no directory: it is not known which variables hold secrets, so none is taken out.")
    if not is_loopback(options["gateway"][0]):
        say(
            "The token goes to the gateway in the clear: let something that encrypts carry it (SSH, WireGuard, a mesh)."
        )
    bundle = certificates.bundle([options["ca"].expanduser(), *options["trust"]])
    return asyncio.run(start(command, options, rules, bundle, secrets, say))


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def start(
    command: tuple[str, ...],
    options: Mapping[str, Any],
    rules: Generation | None,
    bundle: str,
    secrets: frozenset[str],
    say: Any,
) -> int:
    try:
        source = await token_source(options, rules, secrets, say)
    except SecretUnavailable as error:
        raise click.ClickException(f"No token: {error}.") from None
    return await run_agent(Agent(command, options["gateway"], source, bundle, secrets), say)


async def token_source(
    options: Mapping[str, Any], rules: Generation | None, secrets: frozenset[str], say: Any
) -> Source:
    """Where the token comes from: exactly one way; a command gets none of the `secrets`.

    Raises UsageError, and SecretUnavailable where discovery fails.
    """
    oauth = bool(options["issuer"] or options["token_url"])
    if sum((bool(options["roles"]), bool(options["token_file"]), bool(options["token_command"]), oauth)) != 1:
        raise click.UsageError("say where the token comes from: one of --role, --token-file, --token-command, --issuer")
    if options["token_file"]:
        return partial(tokens.from_file, options["token_file"])
    if options["token_command"]:
        environment = {name: value for name, value in os.environ.items() if name not in secrets}
        return partial(tokens.from_command, split(options["token_command"]), environment)
    if oauth:
        return await oauth_source(options, say)
    if rules is None:
        raise click.UsageError(f"--role needs the gateway's rules; {options['rules']} is no directory")
    require_dev_issuer(rules.gateway, options["rules"], options["ttl"])
    state = options["state"] or Path(rules.gateway.state)
    return partial(
        tokens.minted, lambda: mint(state, options["roles"], options["ttl"], time.time(), options["subject"])
    )


async def oauth_source(options: Mapping[str, Any], say: Any) -> Source:
    client_id, ca = options["client_id"], options["issuer_ca"]
    if not client_id:
        raise click.UsageError("--issuer and --token-url need --client-id")
    if options["token_url"] and (options["issuer"] or options["by_device"]):
        raise click.UsageError("--token-url stands alone; for a device code name the --issuer")
    if not options["by_device"] and options["client_secret"] is None:
        raise click.UsageError("--client-secret is missing; or ask a person, with --device")
    url = options["token_url"]
    if url and not url.startswith("https://"):
        raise click.UsageError("--token-url must be https: a secret is sent there")
    found = await device.discover(options["issuer"], ca) if options["issuer"] else device.Endpoints("", url, ca)
    if options["by_device"]:
        if not found.device_url:
            raise click.UsageError(f"{options['issuer']} has no device authorization; use --client-secret")
        return device.Device(found, client_id, options["scope"], options["audience"], say).token
    spec = OAuth2(
        found.token_url,
        client_id,
        options["client_secret"],
        scope=options["scope"],
        audience=options["audience"],
        ca=ca,
    )
    return partial(tokens.by_client_credentials, spec)


def split(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise click.UsageError(f"--token-command: {error}") from None
    if not words:
        raise click.UsageError("--token-command is empty")
    return words


def show(changed: Changes, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"set": dict(changed.set), "removed": list(changed.removed)}))
        return
    for line in described(changed, "a relay on this machine"):
        click.echo(f"# {line}")
    for name in changed.removed:
        click.echo(f"unset {name}")
    for name, value in sorted(changed.set.items()):
        click.echo(f"export {name}={shlex.quote(value)}")
