"""Clients found on this machine: whether each goes through the gateway and trusts its CA, in an agent's environment."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from lockgate.doctor.finding import Finding, note, ok

URL = "https://lockgate.invalid/whoami"
TIME = 20.0  # seconds
SUBJECT = b'"subject"'  # in what the gateway answers

FETCH = f"fetch('{URL}').then(r => r.text()).then(t => console.log(t))"
OPEN = f"import urllib.request as u; print(u.urlopen('{URL}', timeout=10).read().decode())"


@dataclass(frozen=True, slots=True)
class Client:
    """How a client is asked for the gateway's own page, what shows that it got there, and what to do if it did not."""

    program: str
    arguments: tuple[str, ...]
    shows: bytes
    remedy: str


CLIENTS = (
    Client("curl", ("-sS", "--max-time", "15", URL), SUBJECT, "Set CURL_CA_BUNDLE, or give it --cacert."),
    Client("python3", ("-c", OPEN), SUBJECT, "Set SSL_CERT_FILE."),
    Client(
        "node",
        ("-e", FETCH),
        SUBJECT,
        "Its fetch knows proxies from versions 22.21 and 24; before, use undici's ProxyAgent and NODE_EXTRA_CA_CERTS.",
    ),
    # The gateway has no repository: that it says so is enough.
    Client("git", ("ls-remote", "https://lockgate.invalid/none.git"), b"not found", "Set GIT_SSL_CAINFO."),
)


async def tried(client: Client, environment: Mapping[str, str]) -> Finding | None:
    """None where the client is not on this machine."""
    if shutil.which(client.program) is None:
        return None
    subject = f"client {client.program}"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        client.program, *client.arguments, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(TIME):
            printed, complained = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return note(subject, f"no answer after {TIME:g} seconds", client.remedy)
    if client.shows in printed or client.shows in complained:
        return ok(subject, "goes through the gateway and trusts its CA")
    lines = complained.decode(errors="replace").strip().splitlines() or ["no word of why"]
    return note(subject, f"does not get through: {lines[-1][:200]}", client.remedy)
