"""Whether callers can be verified, and the gateway's own credentials be had, from here and now."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from lockgate.credentials.registry import Credentials
from lockgate.doctor.finding import Finding, note, ok, wrong
from lockgate.errors import KeysUnavailable, SecretUnavailable, Unanswered
from lockgate.identity.dev import DevKeys
from lockgate.identity.jwks import KeyFile
from lockgate.identity.oidc import Published, configuration_url, fetch_keys
from lockgate.model import CredentialSpec, Issuer, Target
from lockgate.outbound import trust

TIME = 5.0  # seconds
SKEW, TOO_MUCH = 2.0, 20.0  # seconds that clocks may differ: an HTTP date has no fractions


async def issuer(entry: Issuer, state: Path) -> Finding:
    """Whether its keys can be had. `state` is where the development issuer's is."""
    subject = f"issuer {entry.issuer}"
    try:
        if entry.saml is not None:
            certificates = metadata_of(entry.saml.metadata, entry.issuer)
            return ok(subject, f"{certificates} certificates")
        if entry.dev:
            keys = DevKeys(state).keys()
        elif entry.jwks_file is not None:
            keys = KeyFile(entry.jwks_file).keys()
        else:
            keys = await fetch_keys(Published(entry.issuer, entry.jwks, entry.ca))
    except KeysUnavailable as error:
        if entry.dev:
            return note(subject, str(error), "It is for trying only; leave `- dev: true` out where it is not used.")
        return wrong(subject, str(error), "Until it is mended nobody is identified by this issuer: agents get 503.")
    if entry.dev:
        return note(
            subject, "tokens of `lockgate token` are taken", "Leave `- dev: true` out where it is not for trying."
        )
    return ok(subject, f"{len(keys.keys)} keys")


def metadata_of(path: Path, entity: str) -> int:
    """How many certificates a SAML identity provider's metadata has. Raises KeysUnavailable."""
    try:
        from lockgate.identity.metadata import MetadataFile
    except ModuleNotFoundError as error:
        raise KeysUnavailable(f"SAML needs {error.name}, which is not installed: pip install lockgate[saml]") from None
    return len(MetadataFile(path, entity).read(time.time()).certificates)


async def clock(entries: tuple[Issuer, ...], now: Callable[[], datetime]) -> Finding:
    """Tokens end by the clock: beside an issuer's, or by what the system says of its own."""
    for entry in entries:
        if not entry.dev and entry.jwks_file is None and entry.saml is None:
            found = await beside(entry, now)
            if found is not None:
                return found
    return await asyncio.to_thread(own_clock)


def own_clock() -> Finding:
    """What the system says of its clock."""
    asked = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    if shutil.which(asked[0]):
        said = subprocess.run(asked, capture_output=True, text=True, timeout=TIME, check=False).stdout.strip()  # noqa: S603 - fixed
        if said == "yes":
            return ok("clock", "synchronised, says timedatectl")
    return note(
        "clock", "nothing here says whether it is right", "Run an NTP client: tokens begin and end by the clock."
    )


async def beside(entry: Issuer, now: Callable[[], datetime]) -> Finding | None:
    """The clock of an issuer's server; None where it does not say."""
    try:
        context = await asyncio.to_thread(trust, entry.ca)
        async with httpx.AsyncClient(verify=context, trust_env=False, timeout=TIME) as client:
            answer = await client.head(entry.jwks or configuration_url(entry.issuer))
        theirs = parsedate_to_datetime(answer.headers["date"])
    except (httpx.HTTPError, Unanswered, KeyError, ValueError, OSError):
        return None
    off = abs((now() - theirs).total_seconds())
    detail = f"{off:.0f} s from that of {entry.issuer}"
    if off > TOO_MUCH:
        return wrong("clock", detail, "Run an NTP client: tokens that are good are refused, or ended ones taken.")
    return ok("clock", detail) if off <= SKEW else note("clock", detail, "Run an NTP client.")


async def credential(
    spec: CredentialSpec, targets: Mapping[str, tuple[Target, ...]], credentials: Credentials
) -> Finding:
    """Whether its secrets can be had, by this user in this environment."""
    subject = f"credential {spec.name}"
    using = [target for each in targets.values() for target in each if spec.name in target.shown]
    if not using:
        return note(subject, "no target names it", "Leave it out, or name it in targets.yaml.")
    have = credentials.certificate if spec.kind == "client_cert" else credentials.get
    try:
        await have(spec, using[0])
    except SecretUnavailable as error:
        remedy = "Until it is mended its targets answer 503. What is in the gateway's environment may not be in yours."
        return wrong(subject, str(error), remedy)
    return ok(subject, "can be had")
