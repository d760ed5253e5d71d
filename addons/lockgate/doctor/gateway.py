"""The running gateway: that it denies what it must, and how clients get on with it."""

from __future__ import annotations

import asyncio
import os
import secrets
import ssl
from collections.abc import Collection
from pathlib import Path

import httpx

from lockgate.doctor.clients import CLIENTS, tried
from lockgate.doctor.finding import Finding, note, ok, wrong
from lockgate.errors import SecretUnavailable
from lockgate.launch.environment import changes
from lockgate.launch.process import bundle_file
from lockgate.launch.relay import Relay
from lockgate.launch.tokens import Source, Tokens

NOWHERE = "https://doctor.invalid/"  # a name no network has (RFC 6761), and no target may
PLAIN = "http://doctor.invalid/"
TIME = 20.0  # seconds
STOP = "Stop it, and do not use it until you know why: it may pass what it must not."


async def examined(
    address: tuple[str, int], certificates: str, source: Source | None, hidden: Collection[str]
) -> list[Finding]:
    """What the gateway at `address` does. `source` gives a token, `hidden` names variables no client may have."""
    where = "{}:{}".format(*address)
    if not await listens(address):
        remedy = "Start it (mitmdump -s addons/main.py), or name it with --gateway."
        return [wrong("gateway", f"nothing listens at {where}", remedy)]
    found = [await stranger(f"http://{where}")]
    if source is None:
        remedy = "Give the doctor a --role or --token-file."
        return [*found, note("gateway", "without a token it is not tried further", remedy)]
    return [*found, *await with_token(address, certificates, source, hidden)]


async def listens(address: tuple[str, int]) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(*address), 5)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def stranger(proxy: str) -> Finding:
    """A request that says nothing of who makes it must end at 407."""
    subject = "a request without a token"
    async with httpx.AsyncClient(proxy=proxy, trust_env=False, timeout=TIME) as client:
        try:
            answer = await client.get(PLAIN)
        except httpx.HTTPError as error:
            return wrong(subject, f"gets no answer ({type(error).__name__})", "Is a Lockgate gateway there?")
    if answer.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
        return ok(subject, "is refused with 407")
    return wrong(subject, f"gets {answer.status_code}", STOP)


async def with_token(
    address: tuple[str, int], certificates: str, source: Source, hidden: Collection[str]
) -> list[Finding]:
    tokens, password = Tokens(source), secrets.token_urlsafe(24)
    try:
        await tokens.current()
    except SecretUnavailable as error:
        return [wrong("token", str(error), "Mend what gives the token.")]
    relay = Relay(address, tokens.current, password)
    port = await relay.start()
    proxy = f"http://agent:{password}@127.0.0.1:{port}"
    try:
        with bundle_file(certificates) as bundle:
            denied = await must_be_denied(proxy, bundle)
            environment = changes(os.environ, proxy, str(bundle), hidden).apply(os.environ)
            clients = [await tried(client, environment) for client in CLIENTS]
    finally:
        await relay.close()
    return [denied, *(each for each in clients if each)]


async def must_be_denied(proxy: str, bundle: Path) -> Finding:
    """A request for what no target names must end at 403, in the gateway's own words."""
    subject = "a request that must be denied"
    context = await asyncio.to_thread(lambda: ssl.create_default_context(cafile=bundle))
    async with httpx.AsyncClient(proxy=proxy, verify=context, trust_env=False, timeout=TIME) as client:
        try:
            answer = await client.get(NOWHERE)
        except httpx.ProxyError as error:
            return wrong(
                subject, f"is not even heard: {str(error)[:100]}", "Is the token of an issuer in the rules, and valid?"
            )
        except httpx.HTTPError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                return wrong(subject, "the gateway's certificate is not of the CA given", "Name it with --ca.")
            return wrong(subject, f"gets no answer ({type(error).__name__})", "See the gateway's own output.")
    if answer.status_code == httpx.codes.FORBIDDEN and answer.headers.get("content-type") == "application/problem+json":
        return ok(subject, "is denied")
    return wrong(subject, f"gets {answer.status_code}", STOP)
