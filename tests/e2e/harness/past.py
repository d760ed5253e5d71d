"""Recordings as the gateway makes them, without its proxy: the real stages decide, the real writer writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from mitmproxy import http
from mitmproxy.net.http.url import hostport
from mitmproxy.test import tflow

from lockgate.approvals.recent import RecentDecisions
from lockgate.decisions import decided_again
from lockgate.errors import Refused
from lockgate.exchange import Outgoing, exchange
from lockgate.identity.presented import Presented
from lockgate.identity.revocations import Revocations
from lockgate.model import Principal, Verdict
from lockgate.policy.generation import Generation
from lockgate.policy.load import assemble
from lockgate.recordings.generations import keep
from lockgate.recordings.journal import State as Step
from lockgate.recordings.writer import Finished, Writer
from lockgate.runtime import Runtime
from lockgate.stages.decide import Decide
from lockgate.stages.read import Read
from lockgate.stages.record import Record

TOKEN = Presented("header.claims.signature-of-forty-characters-at-least", "")


@dataclass(frozen=True)
class Asked:
    """A request that somebody sent. `approved`: what holds it, persons have let on."""

    method: str
    url: str
    body: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()
    roles: tuple[str, ...] = ("support",)
    claims: tuple[tuple[str, Any], ...] = ()
    approved: bool = False
    at: datetime = datetime(2026, 11, 1, 12, tzinfo=UTC)
    masks: tuple[tuple[str, int], ...] = ()


def generation(files: dict[str, str]) -> Generation:
    return assemble({name: text.encode() for name, text in files.items()}, Path("/rules"))


def states(generation: Generation, asked: Iterable[Asked]) -> list[dict[str, Any]]:
    """What is recorded of requests that the stages have decided; the ids are `r0`, `r1`, ..."""
    return [_state(generation, each, f"r{number}") for number, each in enumerate(asked)]


def recorded(directory: Path, generation: Generation, asked: Iterable[Asked]) -> Path:
    """A recordings directory with these requests."""
    return written(directory, generation, states(generation, asked))


def written(directory: Path, generation: Generation, states: Iterable[dict[str, Any]]) -> Path:
    keep(directory, generation.id, generation.files)
    writer = Writer(directory, time.time)
    writer.open({})
    writer.write_records([Finished(state["id"], state, Step.DONE) for state in states])
    writer.settle()
    writer.close()
    return directory


def _state(generation: Generation, asked: Asked, name: str) -> dict[str, Any]:
    flow = tflow.tflow(req=http.Request.make(asked.method, asked.url, asked.body))
    request = flow.request
    fields = [("host", hostport(request.scheme, request.host, request.port)), *asked.fields]
    if asked.body and "content-length" not in dict(fields):
        fields.append(("content-length", str(len(asked.body))))
    request.headers = http.Headers([(field.encode(), value.encode()) for field, value in fields])
    flow.id = name
    flow.client_conn.sni = request.host
    found = exchange(flow)
    found.generation, found.presented = generation, TOKEN
    found.principal = Principal(
        "https://idp.example", "agent-7", asked.roles, time.time() + 60, None, dict(asked.claims)
    )
    found.form, found.session.tunnel = "origin", (request.host, request.port)
    runtime = cast(
        "Runtime",
        SimpleNamespace(
            now=lambda: asked.at,
            revocations=Revocations(Path("none")),
            recent=RecentDecisions(),
            hash_key=b"k" * 32,
            current=SimpleNamespace(generation=generation),
        ),
    )
    try:
        reading = Read()
        reading.requestheaders(flow)
        asyncio.run(reading.request(flow))
        Decide(runtime).request(flow)
        decision = found.decision
        if decision and decision.verdict is Verdict.HOLD and asked.approved:
            found.held, found.met = Outgoing.of(request), frozenset(decision.holds)
            again = decided_again(found, generation, generation, found.held, asked.at, found.met)
            found.decision = again
    except Refused as refused:
        found.refusal = refused.refusal
    else:
        flow.response = http.Response.make(200, b"{}", {"content-type": "application/json"})
        found.masked = found.sent = found.decision is not None and found.decision.verdict is Verdict.ALLOW
        found.masks = dict(asked.masks)
    return Record(runtime).make_state(flow, found, shows_answer=True, is_over=True)
