"""Runs an agent's process behind a relay, from the first token to its exit code."""

from __future__ import annotations

import asyncio
import ctypes
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from lockgate.errors import SecretUnavailable, SetupError
from lockgate.launch.environment import TRUST, Changes, changes
from lockgate.launch.relay import Relay
from lockgate.launch.tokens import Source, Tokens
from lockgate.outbound import trust

WHOAMI = "https://lockgate.invalid/whoami"
ASK_TIME = 20.0  # seconds
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as shells have it
FORWARDED = (signal.SIGTERM, signal.SIGHUP)
PR_SET_DUMPABLE = 4  # prctl(2)


@dataclass(frozen=True, slots=True)
class Agent:
    """What to start and how. `gateway` is a host and port, `certificates` PEM text, `secrets` names of variables."""

    command: Sequence[str]
    gateway: tuple[str, int]
    source: Source
    certificates: str
    secrets: frozenset[str]


async def run(agent: Agent, say: Callable[[str], None]) -> int:
    """Start the process once the gateway knows it, and return its exit code (128 and the number for a signal).

    `say` is told what was done, line by line. Raises SetupError where there is no token or no gateway: nothing was
    started.
    """
    hide()
    password = secrets.token_urlsafe(24)
    tokens = Tokens(agent.source)
    relay = Relay(agent.gateway, tokens.current, password)
    try:
        await tokens.current()
    except SecretUnavailable as error:
        raise SetupError(f"No token: {error}.") from None
    port = await relay.start()
    try:
        with bundle_file(agent.certificates) as bundle:
            proxy = f"http://agent:{password}@127.0.0.1:{port}"
            say(await known_as(proxy, bundle, agent.gateway))
            relay.report = say
            changed = changes(os.environ, proxy, str(bundle), agent.secrets)
            for line in described(changed, f"a relay at 127.0.0.1:{port}"):
                say(line)
            return await supervise(agent.command, changed.apply(os.environ), say)
    finally:
        await relay.close()


def hide() -> None:
    """Keep the agent's process, which has the same user, from reading ours: what we were started with has the secrets
    that are taken out of its own environment, our memory has the token. On Linux only (proc(5), PR_SET_DUMPABLE).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


@contextmanager
def bundle_file(certificates: str) -> Iterator[Path]:
    """A file with `certificates` in a directory of our own, while the process runs."""
    with tempfile.TemporaryDirectory(prefix="lockgate-run-") as directory:
        path = Path(directory) / "ca.pem"
        path.write_text(certificates, "utf-8")
        yield path


async def known_as(proxy: str, bundle: Path, gateway: tuple[str, int]) -> str:
    """Who the gateway takes the agent for, in a line. Raises SetupError where it takes it for nobody."""
    where = "{}:{}".format(*gateway)
    context = await asyncio.to_thread(trust, bundle)
    try:
        async with httpx.AsyncClient(proxy=proxy, verify=context, trust_env=False, timeout=ASK_TIME) as client:
            answer = await client.get(WHOAMI)
    except httpx.ProxyError as error:
        if str(error).startswith("407"):
            raise SetupError(f"The gateway at {where} does not take the token: see its recordings for why.") from None
        raise SetupError(f"The gateway at {where} cannot be reached: start it, or name it with --gateway.") from None
    except httpx.HTTPError as error:
        detail = (
            "its certificate is not of the CA given; name it with --ca"
            if is_certificate(error)
            else type(error).__name__
        )
        raise SetupError(f"The gateway at {where} does not answer as one: {detail}.") from None
    if answer.status_code != httpx.codes.OK:
        raise SetupError(f"The gateway at {where} answers {answer.status_code}: {answer.text[:200]}")
    who = answer.json()
    roles = ", ".join(who["roles"]) or "none that the rules know"
    until = datetime.fromtimestamp(who["expires_at"], UTC).strftime("%H:%M:%S")
    return f"The gateway at {where} knows this agent as {who['subject']}, roles {roles}; the token ends at {until} UTC."


def is_certificate(error: httpx.HTTPError) -> bool:
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def described(changed: Changes, proxy: str) -> list[str]:
    """What an environment's changes mean, for the one who starts the process."""
    lines = [
        f"Proxy variables lead to {proxy}, which adds the token and keeps it fresh.",
        f"It trusts the CA given and no other ({', '.join(TRUST[:4])} and {len(TRUST) - 4} more).",
    ]
    if changed.removed:
        lines.append(f"Taken out of its environment: {', '.join(changed.removed)}.")
    return lines


async def supervise(command: Sequence[str], environment: dict[str, str], say: Callable[[str], None]) -> int:
    """Ctrl-C reaches the process from the terminal; it decides what comes of it. Other signals to end are passed on."""
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environment)
    except FileNotFoundError:
        say(f"{command[0]}: command not found.")
        return NOT_FOUND
    except OSError as error:
        say(f"{command[0]}: {error.strerror}.")
        return NOT_EXECUTABLE
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    for number in FORWARDED:
        loop.add_signal_handler(number, forward, process, number)
    try:
        code = await process.wait()
    finally:
        for number in (signal.SIGINT, *FORWARDED):
            loop.remove_signal_handler(number)
    return code if code >= 0 else 128 - code


def forward(process: asyncio.subprocess.Process, number: int) -> None:
    if process.returncode is None:
        process.send_signal(number)
