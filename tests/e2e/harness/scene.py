"""The approvals page and API over loopback, without a gateway: with a desk of their own, and tokens that are names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from harness.gateway import free_port
from harness.office import BIG, ISSUER, Clock, MemoryStore, Office, desk_of
from lockgate.approvals.approval import Approval, Requester, Shown, State
from lockgate.approvals.recent import Recent, RecentDecisions
from lockgate.approvals.shown import shown_digest
from lockgate.errors import KeysUnavailable, RevocationsUnavailable, TokenRejected
from lockgate.model import Approvals, Issuer, Principal, SecretSource
from lockgate.web.site import Site

REFUND = Shown(
    method="POST",
    url="https://api.crm.example/v1/refunds?dry_run=false",
    headers=(("content-type", "application/json"), ("x-api-key", "[redacted]")),
    body='{"amount":900.10,"z":1,"a":[1e2,{}],"note":"for Ada"}',
    body_is="json",
    body_size=53,
    masks=("$..card: hash",),
    credential="crm-key",
)


@dataclass
class People:
    """Whose tokens count: `fiona.finance` is Fiona's, who has this role, while she is not in `rejected`."""

    rejected: set[str] = field(default_factory=set)
    down: bool = False
    blind: bool = False
    asked: list[tuple[str, bool]] = field(default_factory=list)

    async def verify(self, token: str, on_this_machine: bool) -> Principal:
        self.asked.append((token, on_this_machine))
        if self.down:
            raise KeysUnavailable("https://login.example: no answer")
        if self.blind:
            raise RevocationsUnavailable
        subject, *roles = token.split(".")
        if token in self.rejected or not roles:
            raise TokenRejected("revoked" if roles else "malformed")
        return Principal(ISSUER, subject, tuple(roles), 2_000_000.0, f"id-of-{subject}")


@dataclass
class Scene:
    """A running site with all that is around it."""

    office: Office
    people: People
    recent: RecentDecisions
    site: Site
    config: Approvals
    issuers: list[Issuer] = field(default_factory=list)

    @property
    def port(self) -> int:
        assert self.config.listen is not None
        return self.config.listen[1]

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def browser(self, token: str = "", **headers: str) -> httpx.AsyncClient:
        """An HTTP client, which shows a token as Bearer where it is given one."""
        given = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=given | headers, trust_env=False, timeout=10.0)

    async def signed_in(self, token: str = "fiona.finance") -> httpx.AsyncClient:
        """A browser that has signed in with a token; it says where its requests come from."""
        browser = self.browser(Origin=self.url)
        reply = await browser.post("/sign-in", data={"token": token})
        assert reply.status_code == 303, reply.text
        return browser

    async def hold(self, approval_id: str = "held-1", **changes: Any) -> Approval:
        """A held request."""
        now = self.office.clock.now
        draft = Approval(
            id=approval_id,
            revision=1,
            state=State.PENDING,
            asked_at=now,
            expires_at=now + 900.0,
            requester=Requester(ISSUER, "agent-7", ("support",)),
            fingerprint=f"print-{approval_id}",
            binding="bound",
            digest="",
            generation="3f9c1d22aa77",
            target="crm",
            action=("POST", "/v1/refunds"),
            holds=(BIG,),
            shown=REFUND,
            grantable=((BIG.rule, "granted"),),
        )
        draft = replace(draft, **changes)
        return await self.office.desk.ask(replace(draft, digest=shown_digest(draft)), most=100, most_of_one=100)


@asynccontextmanager
async def staged(now: float = 1_000_000.0, secret: str = "hush", **changes: Any) -> AsyncIterator[Scene]:
    """A scene while it lasts; `changes` are of `approvals`, `now` is its time of day."""
    office = desk_of(MemoryStore(), Clock(now))
    people, recent = People(), RecentDecisions()
    recent.note(ISSUER, "agent-7", Recent(now - 60, "allow", "GET", "crm", "/v1/customers/7", "support/read"))
    config = Approvals(**{"listen": ("127.0.0.1", free_port()), **changes})
    assert config.listen is not None
    if not config.url:
        scheme = "https" if config.tls else "http"
        config = replace(config, url=f"{scheme}://127.0.0.1:{config.listen[1]}")

    async def secret_of(_: SecretSource) -> str:
        return secret

    site = Site(
        office.desk,
        lambda: scene.config,
        people.verify,
        recent.of,
        secret_of,
        lambda: scene.issuers,
        lambda: office.clock.now,
    )
    scene = Scene(office, people, recent, site, config)
    await site.start()
    try:
        yield scene
    finally:
        await site.close()
