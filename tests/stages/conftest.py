"""A request as it stands before a stage: identified, under real rules, with no proxy around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.net.http.url import hostport
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import tflow

from lockgate.credentials.registry import Credentials
from lockgate.exchange import exchange
from lockgate.identity.presented import Presented
from lockgate.identity.revocations import Revocations
from lockgate.model import Principal
from lockgate.policy.generation import Generation
from lockgate.policy.load import assemble
from lockgate.recordings.recorder import Outcome
from lockgate.recordings.strangers import StrangersTally
from lockgate.runtime import InForce, Runtime

TOKEN = "header.claims.signature-of-forty-characters-at-least"

RULES = {
    "gateway.yaml": """\
issuers:
  - dev: true
recordings: {max_body: 128KiB}
""",
    "credentials.yaml": """\
credentials:
  crm-token: {bearer: "env:CRM_TOKEN", hosts: [api.crm.example]}
  on-disk: {bearer: "file:/run/secrets/disk", hosts: [disk.example]}
  in-header: {header: {name: X-Api-Key, value: "env:CRM_TOKEN"}, hosts: [header.example]}
  in-query: {query: {name: key, value: "env:CRM_TOKEN"}, hosts: [query.example]}
""",
    "targets.yaml": """\
targets:
  crm: {url: https://api.crm.example, credential: crm-token, redact_request: [headers.x-crm]}
  plain: {url: http://plain.example, limits: {request: 600KiB}, redact_request: [headers.x-plain]}
  secure: {url: https://secure.example}
  odd: {url: "https://odd.example:8443"}
  numbered: {urls: [https://203.0.113.7, "https://[2001:db8::7]"]}
  disk: {url: https://disk.example, credential: on-disk}
  header: {url: https://header.example, credential: in-header}
  query: {url: https://query.example, credential: in-query}
""",
    "roles/support.yaml": """\
role: support
rules:
  - id: read
    allow: any crm|plain|secure|odd|numbered|disk|header|query /v1/**
  - id: small
    allow: POST plain /refunds
    when: body.amount <= 500
  - id: big
    hold: POST plain /refunds
    when: body.amount > 500
  - id: no-delete
    deny: DELETE plain
    reason: Nothing is deleted here.
  - id: until
    allow: GET plain /until
    expires: "2030-01-01T00:00:00Z"
""",
}


@dataclass
class Tokens:
    """A verifier that knows one answer, and keeps what it was asked. `renew` stands for the wait for keys, if any."""

    answer: Principal | Exception
    asked: list[tuple[str, float, bool]] = field(default_factory=list)
    renew: Callable[[], None] | None = None

    def verify(self, token: str, now: float, peer_is_loopback: bool, exchanging: bool = False) -> Principal:
        self.asked.append((token, now, peer_is_loopback))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def renew_keys(self, token: str) -> bool:
        if self.renew is None:
            return False
        renew, self.renew = self.renew, None
        renew()
        return True


@dataclass
class Kept:
    """A recorder that keeps what it is given, or fails."""

    intents: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    records: list[tuple[str, dict[str, Any], Outcome]] = field(default_factory=list)
    made_soon: list[str] = field(default_factory=list)
    fault: Exception | None = None

    async def intent(self, flow_id: str, state: dict[str, Any]) -> None:
        if self.fault:
            raise self.fault
        self.intents.append((flow_id, state))

    def sending(self, flow_id: str) -> None:
        self.sent.append(flow_id)

    def finish(self, flow_id: str, state: dict[str, Any], outcome: Outcome) -> None:
        self.records.append((flow_id, state, outcome))

    def finish_soon(self, flow_id: str, make: Callable[[], dict[str, Any]], outcome: Outcome) -> None:
        self.made_soon.append(flow_id)
        self.finish(flow_id, make(), outcome)


@pytest.fixture
def principal() -> Principal:
    return Principal("https://login.example", "agent-7", ("support",), time.time() + 600, "t-1")


@pytest.fixture
def presented() -> Presented:
    return Presented(TOKEN, f"Bearer {TOKEN}")


@pytest.fixture(scope="session")
def make_generation() -> Callable[..., Generation]:
    """Makes the usual rules, or with some files in place of theirs."""

    def make(**changed: str) -> Generation:
        files = RULES | {f"{name}.yaml": text for name, text in changed.items()}
        return assemble({name: text.encode() for name, text in files.items()}, Path("/rules"))

    return make


@pytest.fixture(scope="session")
def generation(make_generation: Callable[..., Generation]) -> Generation:
    return make_generation()


@pytest.fixture
def tokens(principal: Principal) -> Tokens:
    return Tokens(principal)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def runtime(generation: Generation, tokens: Any, kept: Any, tmp_path: Path) -> Runtime:
    made = Runtime()
    made.revocations = Revocations(tmp_path)
    made.current = InForce(generation, tokens, tokens)
    made.recorder = kept
    made.recordings_dir = tmp_path
    made.strangers = StrangersTally()
    made.hash_key = b"k" * 32
    made.credentials = Credentials(tmp_path, made.hash_key)
    return made


@pytest.fixture
def ask() -> Callable[..., http.HTTPFlow]:
    """Makes a flow of a request that nobody has seen yet: https through a tunnel, http in absolute form, or reverse."""

    def ask(
        method: str = "GET",
        url: str = "https://api.crm.example/v1/customers",
        body: bytes = b"",
        fields: Sequence[tuple[str, str]] = (),
        *,
        reverse: bool = False,
    ) -> http.HTTPFlow:
        flow = tflow.tflow(req=http.Request.make(method, url))
        request = flow.request
        request.headers = http.Headers([(b"Host", hostport(request.scheme, request.host, request.port).encode())])
        if body:
            request.raw_content = body
            request.headers["Content-Length"] = str(len(body))
        for name, value in fields:
            request.headers.add(name, value)
        flow.client_conn.sni = None
        if reverse:
            flow.client_conn.proxy_mode = ProxyMode.parse(f"reverse:{request.scheme}://{request.host}:{request.port}")
        elif request.scheme == "https" and request.host[-1].isalpha():
            flow.client_conn.sni = request.host  # an address has none (RFC 6066, 3)
        return flow

    return ask


@pytest.fixture
def identified(
    ask: Callable[..., http.HTTPFlow], principal: Principal, presented: Presented, generation: Generation
) -> Callable[..., http.HTTPFlow]:
    """Makes a flow as `ask` does, that the door and Identify have seen."""

    def identified(*arguments: Any, **options: Any) -> http.HTTPFlow:
        flow = ask(*arguments, **options)
        found = exchange(flow)
        tunnelled = flow.request.scheme == "https" and not options.get("reverse")
        found.session.tunnel = (flow.request.host, flow.request.port) if tunnelled else None
        found.session.principal, found.session.presented = principal, presented
        found.principal, found.presented, found.generation = principal, presented, generation
        found.form = "origin" if tunnelled or options.get("reverse") else "absolute"
        return flow

    return identified


@pytest.fixture
def targeted(
    identified: Callable[..., http.HTTPFlow], generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., http.HTTPFlow]:
    """Makes a flow as `identified` does, whose target Read has found."""
    monkeypatch.setenv("CRM_TOKEN", "correct-horse-battery")

    def targeted(*arguments: Any, **options: Any) -> http.HTTPFlow:
        flow = identified(*arguments, **options)
        request = flow.request
        exchange(flow).target = generation.target_for(request.scheme, request.host, request.port)
        return flow

    return targeted
