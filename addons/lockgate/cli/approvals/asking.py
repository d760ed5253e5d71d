"""`lockgate approvals request`: asks for a grant ahead, as the agent that it would be for."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import httpx

from lockgate.cli import printed
from lockgate.cli.approvals.client import HOST, Client, Lost, authorities, bearer, dump, origin
from lockgate.cli.approvals.shown import understood
from lockgate.cli.token import duration

OWN_URL = "https://lockgate.invalid"  # the gateway itself, through the proxy
OWN_PREFIX = "/.well-known/lockgate"  # the same, in reverse mode
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0  # seconds between two looks
MOST_LOST = 5  # looks in a row without an answer
YES = ("approved", "used")


@click.command()
@click.option("--rule", required=True, metavar="ROLE/ID", help="The rule that would hold the requests.")
@click.option("--target", required=True, help="The target that they are for.")
@click.option("--for", "seconds", required=True, callback=duration, metavar="DURATION", help="For 10m, 1h.")
@click.option("--reason", required=True, help="What for: the approver reads it.")
@click.option("--wait", is_flag=True, help="Wait until somebody has decided.")
@click.option("--gateway", metavar="URL", help="The gateway in reverse mode; without it HTTPS_PROXY is the gateway.")
@click.option("--token-file", type=click.Path(path_type=Path), help="With --gateway: your token; or LOCKGATE_TOKEN.")
@click.option("--ca", type=click.Path(path_type=Path), help="The gateway's CA (PEM); or SSL_CERT_FILE.")
@click.option("--json", "as_json", is_flag=True, help="The gateway's answer, as JSON.")
def request(
    rule: str,
    target: str,
    seconds: int,
    reason: str,
    wait: bool,
    gateway: str | None,
    token_file: Path | None,
    ca: Path | None,
    as_json: bool,
) -> int:
    """Ask, as an agent, for a grant ahead: that what the rule holds passes for a while. Prints the approval's id.

    With --wait it exits with 0 once it is approved, with 1 where it is not.

    \b
    lockgate approvals request --rule support/big-refund --target crm --for 1h --reason "ticket 4711" --wait
    """
    query = {"rule": rule, "target": target, "for": printed.duration(seconds), "reason": reason}
    prefix = f"{OWN_PREFIX}/approvals" if gateway else "/approvals"
    with in_reverse(gateway, token_file, ca) if gateway else through_proxy(token_file, ca) as client:
        asked = client.ask("POST", prefix, query=query)
        with understood():
            approval_id, state = str(asked["approval_id"]), asked["state"]
        if wait:
            if not as_json:
                click.echo(f"Asked: {approval_id}. Waiting; Ctrl-C ends that, not the asking.", err=True)
            asked, state = decided(client, f"{prefix}/{quote(approval_id, safe='')}", asked, state)
    if as_json:
        dump(asked)
    elif wait:
        printed.say(f"{'Approved' if state in YES else str(state).capitalize()}: {approval_id}")
    else:
        printed.say(approval_id)
    return 0 if not wait or state in YES else 1


def through_proxy(token_file: Path | None, ca: Path | None) -> Client:
    """The gateway as a proxy, the agent's token in its URL. Raises UsageError, which never quotes it."""
    if token_file is not None:
        raise click.UsageError("--token-file goes with --gateway; through the proxy the token stands in HTTPS_PROXY")
    url = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    if not url:
        raise click.UsageError("set HTTPS_PROXY to the gateway, as for the agent, or name it with --gateway")
    try:
        proxy = httpx.Proxy(url if "://" in url else f"http://{url}")
    except (ValueError, httpx.InvalidURL):
        proxy = None
    if proxy is None or not HOST.fullmatch(proxy.url.host):
        raise click.UsageError("HTTPS_PROXY is no address of a proxy: write http://agent:TOKEN@HOST:PORT")
    return Client(OWN_URL, None, authorities(ca), else_see="HTTPS_PROXY", proxy=proxy)


def in_reverse(gateway: str, token_file: Path | None, ca: Path | None) -> Client:
    return Client(origin(gateway, "--gateway"), bearer(token_file), authorities(ca), else_see="--gateway")


def decided(client: Client, path: str, asked: Any, state: Any) -> tuple[Any, Any]:
    """What became of it, and its state, once it is pending no more. Raises ClickException."""
    pause, lost = FIRST_PAUSE, 0
    while state == "pending":
        time.sleep(pause)
        pause = min(1.5 * pause, LONGEST_PAUSE)
        try:
            asked = client.ask("GET", path)
        except Lost:
            lost += 1
            if lost == MOST_LOST:
                raise
            continue
        lost = 0
        with understood():
            state = asked["state"]
    return asked, state
