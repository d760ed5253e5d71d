"""The approvals page: for persons, in a browser. Whole without a script; one keeps it current.

Whoever is signed in is known by a session's cookie. What changes anything is a form of the page's own: it comes from
our origin, and carries the session's token against forgery.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any

from lockgate.approvals.approval import Approval, State
from lockgate.approvals.ballot import approvers_of
from lockgate.bodies.content_type import media_type
from lockgate.errors import LockgateError, TokenRejected, VoteRefused
from lockgate.model import Principal
from lockgate.web import view
from lockgate.web.api import checked_reason, vote
from lockgate.web.documents import barred, grantable
from lockgate.web.following import Following
from lockgate.web.handler import Handler
from lockgate.web.origins import is_same_origin
from lockgate.web.problem import Problem, Told, phrase, told
from lockgate.web.sessions import PLAIN, SECURE, Session
from lockgate.web.sign_in import BACK, NotSignedIn

STATIC = Path(__file__).with_name("static")
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
FILES = {each.name: (KINDS[each.suffix], each.read_bytes()) for each in STATIC.iterdir() if each.suffix in KINDS}
DECISIONS = {"approve": ("approve", None), "10m": ("approve", "10m"), "1h": ("approve", "1h"), "deny": ("deny", None)}
SAID = {"approve": "You approved it.", "deny": "You denied it."}
AHEAD = (("10m", 600.0), ("1h", 3600.0))
SIGN_IN = "/sign-in"
PLACES = re.compile(r"/(approvals/[A-Za-z0-9_-]{1,64}|grants)")  # where somebody goes who has signed in
LATELY = 30  # decided ones that are listed


class Page(Handler):
    """Base: renders, and knows whose browser it is. `session` is None where nobody is signed in."""

    session: Session | None = None
    approver: Principal

    def set_default_headers(self) -> None:
        super().set_default_headers()
        # With `no-referrer` browsers say `Origin: null` of the page's own forms (Fetch, 3.2).
        self.set_header("Referrer-Policy", "same-origin")

    async def prepare(self) -> None:
        super().prepare()
        if self.request.method != "GET":
            self._require_form()
        self.session = await self.signed_in()

    @property
    def cookie(self) -> str:
        return SECURE if self.is_secure else PLAIN

    @property
    def number(self) -> str:
        return self.get_cookie(self.cookie) or ""

    async def signed_in(self, *, touch: bool = True) -> Session | None:
        """The session of this browser, whose token is looked at anew; it ends with that.

        Raises Problem, KeysUnavailable, RevocationsUnavailable.
        """
        session = self.services.sessions.find(self.number, time.monotonic(), touch=touch)
        if session is None:
            return None
        try:
            self.approver = await self.services.approver(
                session.token, self.address, on_this_machine=self.is_on_this_machine
            )
        except TokenRejected:
            self.services.sessions.end(self.number)
            return None
        return session

    def _require_form(self) -> None:
        """Raises Problem unless it is a form that this page sent."""
        if not is_same_origin(self.request.headers, self.origin):
            raise Problem(403, "This did not come from the approvals page: reload it, and try again.")
        if media_type(self.request.headers.get("Content-Type")) != "application/x-www-form-urlencoded":
            raise Problem(415, "This is not a form of the approvals page.")

    def show(self, name: str, status: int = 200, **values: Any) -> None:
        """Answer with a template."""
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        said, who = "", None
        if self.session is not None:
            said, self.session.said = self.session.said, ""
            who = getattr(self, "approver", None)
        common = {"view": view, "who": who, "csrf": self.session.csrf if self.session else "", "said": said}
        self.finish(self.render_string(name, **{"wrong": "", **common, **values}))

    def tell(self, answer: Told) -> None:
        self.show("problem.html", answer.status, title=phrase(answer.status), detail=answer.detail)

    def go(self, path: str) -> None:
        self.redirect(path, status=303)

    def field(self, name: str) -> str:
        """A field of the form, once or not at all. Raises Problem."""
        values = self.get_body_arguments(name, strip=False)
        if len(values) > 1:
            raise Problem(400, "A field stands twice in this form.")
        return values[0] if values else ""


class Signed(Page):
    """Base of what only those see who are signed in; others go there first."""

    mine: Session

    async def prepare(self) -> None:
        await super().prepare()
        if self.session is None:
            self._go_and_sign_in()
            return
        self.mine = self.session
        if self.request.method != "GET" and not hmac.compare_digest(
            self.field("csrf").encode(), self.mine.csrf.encode()
        ):
            raise Problem(403, "This form is of another session: reload the page, and try again.")

    def _go_and_sign_in(self) -> None:
        """First to this very page once more, where somebody came by a link: their cookie is not sent from elsewhere."""
        if self.request.method == "GET" and self.request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
            self.show("again.html", to=self.request.path)
        else:
            self.go(SIGN_IN + (f"?to={self.request.path}" if PLACES.fullmatch(self.request.path) else ""))


class Home(Signed):
    """What is pending, and what was decided lately."""

    async def get(self) -> None:
        found = self.services.approvals(self.approver)
        pending = [each for each in found if each.state is State.PENDING]
        decided = [each for each in reversed(found) if each.state is not State.PENDING][:LATELY]
        self.show("list.html", pending=pending, decided=decided, now=self.services.clock())


class One(Signed):
    """One request as the target would get it, and the decision about it."""

    async def get(self, approval_id: str) -> None:
        found = self.services.approval(approval_id, self.approver)
        self.services.desk.show(found, self.approver, "page", self.address)
        await self.show_one(found)

    async def post(self, approval_id: str) -> None:
        approval = self.services.approval(approval_id, self.approver)
        reason = self.field("reason")
        decision, grant = DECISIONS.get(self.field("decision"), ("", None))
        try:
            said = {"decision": decision, "digest": self.field("digest"), "reason": reason}
            said |= {"grant": grant} if grant else {}
            made = vote(self.services, self.approver, said, via="page", address=self.address)
            after = await self.services.desk.decide(approval_id, self.approver, made)
        except (LockgateError, Problem) as error:
            answer = told(error, 500)
            current = self.services.desk.get(approval_id) or approval
            await self.show_one(current, answer.status, wrong=answer.detail, reason=reason)
            return
        self.mine.said = outcome(after, decision, grant)
        self.go(f"/approvals/{approval_id}")

    async def show_one(self, approval: Approval, status: int = 200, *, wrong: str = "", reason: str = "") -> None:
        now, asker = self.services.clock(), approval.requester
        longest = grantable(approval)
        self.show(
            "one.html",
            status,
            one=approval,
            body=await asyncio.to_thread(view.body_html, approval.shown),  # meanwhile requests go on
            now=now,
            wrong=wrong,
            reason=reason,
            barred=barred(approval, self.approver, now),
            ahead=[name for name, seconds in AHEAD if seconds <= longest],
            has_approved=any(
                (each.issuer, each.subject) == (self.approver.issuer, self.approver.subject) for each in approval.votes
            ),
            needs_reason=any(hold.require_reason for hold in approval.holds),
            counted={hold: approvers_of(hold, approval.votes) for hold in approval.holds},
            recent=self.services.recent(asker.issuer, asker.subject),
        )


class Grants(Signed):
    async def get(self) -> None:
        self.show("grants.html", grants=self.services.grants(self.approver), now=self.services.clock())


class OneGrant(Signed):
    async def post(self, grant_id: str) -> None:
        try:
            await self.services.desk.end_grant(grant_id, self.approver, checked_reason(self.field("reason")))
        except VoteRefused as refused:
            found = self.services.grants(self.approver)
            self.show("grants.html", refused.status, grants=found, now=self.services.clock(), wrong=str(refused))
            return
        self.mine.said = "The grant has ended."
        self.go("/grants")


class Events(Signed, Following):
    """What changes, for the script of the page: it looks at the page again."""

    async def get(self) -> None:
        await self.follow(self.approver, self.still, event)

    async def still(self) -> Principal:
        """Raises TokenRejected, Problem, KeysUnavailable, RevocationsUnavailable."""
        if await self.signed_in(touch=False) is None:
            raise TokenRejected("signed out")
        return self.approver


class Entrance(Page):
    """Base of the ways to sign in."""

    @property
    def trip(self) -> str:
        """The cookie of somebody who is at the provider."""
        return f"{self.cookie}-sign-in"

    @property
    def to(self) -> str:
        """Where they wanted to go: one of our own pages, whatever was said."""
        given = (self.get_arguments("to") or ["/"])[-1]
        return given if PLACES.fullmatch(given) else "/"

    @property
    def takes_tokens(self) -> bool:
        config = self.services.config()
        return config.sign_in is None or config.dev

    def show_form(self, status: int = 200, wrong: str = "") -> None:
        config = self.services.config()
        issuer = config.sign_in.issuer if config.sign_in else ""
        about = {"issuer": issuer, "paste": self.takes_tokens, "audience": config.audience, "to": self.to}
        self.show("sign_in.html", status, wrong=wrong, **about)

    def show_refused(self, error: LockgateError | Problem) -> None:
        answer = told(error, 500)
        self.show_form(answer.status, answer.detail)

    async def require_approver(self, token: str) -> None:
        """Raises Problem, TokenRejected, KeysUnavailable, RevocationsUnavailable."""
        await self.services.approver(token, self.address, on_this_machine=self.is_on_this_machine)

    def begin_session(self, token: str) -> None:
        """Another one, whatever this browser had before."""
        self.services.sessions.end(self.number)
        number = self.services.sessions.begin(token, time.monotonic())
        self.set_cookie(self.cookie, number, path="/", httponly=True, secure=self.is_secure, samesite="Strict")


class SignIn(Entrance):
    """At the provider, or with a token."""

    async def get(self) -> None:
        self.show_form()

    async def post(self) -> None:
        if not self.takes_tokens:
            raise Problem(403, "Tokens are not taken here: sign in at the provider.")
        token = self.field("token").strip()
        try:
            await self.require_approver(token)
        except (LockgateError, Problem) as error:
            self.show_refused(error)
            return
        self.begin_session(token)
        self.go(self.to)


class Start(Entrance):
    """Off to the provider."""

    async def get(self) -> None:
        try:
            self.services.require_attempts_left(self.address)
            self.services.attempts.failed(self.address, time.monotonic())  # until it comes back, it is one
            number, url = await self.services.sign_ins.begin(self.origin, self.to)
        except (LockgateError, Problem) as error:
            self.show_refused(error)
            return
        # Lax: what comes back is sent by the provider's page, so that a Strict cookie would not come along.
        self.set_cookie(self.trip, number, path="/", httponly=True, secure=self.is_secure, samesite="Lax", max_age=600)
        self.go(url)


class Back(Entrance):
    """From the provider, with a code."""

    async def get(self) -> None:
        number = self.get_cookie(self.trip) or ""
        self.clear_cookie(self.trip, path="/", secure=self.is_secure, httponly=True, samesite="Lax")
        answered = {name: self.get_query_arguments(name, strip=False) for name in self.request.query_arguments}
        try:
            if any(len(values) > 1 for values in answered.values()):
                raise NotSignedIn("The provider's answer says something twice.")
            tokens, to = await self.services.sign_ins.end(
                number, {name: values[0] for name, values in answered.items()}
            )
            token = await self._taken(tokens.access_token, tokens.id_token)
        except (LockgateError, Problem) as error:
            self.show_refused(error)
            return
        self.begin_session(token)
        # Not a redirect: that would still be the provider's navigation, without the new cookie.
        self.show("signed_in.html", to=to)

    async def _taken(self, *tokens: str) -> str:
        """The first that is for the approvals. Raises NotSignedIn, Problem, KeysUnavailable, RevocationsUnavailable."""
        reasons = []
        for token in tokens:
            try:
                await self.require_approver(token)
            except TokenRejected as rejected:
                reasons.append(rejected.reason)
            else:
                return token
        audience = self.services.config().audience
        raise NotSignedIn(
            f"The provider gave no token for the approvals: one with {audience} in its aud is needed"
            f" (access_token: {reasons[0]}; id_token: {reasons[1]})."
        )


class SignOut(Signed):
    async def post(self) -> None:
        self.services.sessions.end(self.number)
        self.clear_cookie(self.cookie, path="/", secure=self.is_secure, httponly=True, samesite="Strict")
        self.go(SIGN_IN)


class Static(Handler):
    """The page's own style, script and icon: these files, read once, and no others."""

    async def get(self, name: str) -> None:
        if name not in FILES:
            raise Problem(404, "There is no such file.")
        kind, content = FILES[name]
        self.set_header("Content-Type", kind)
        self.finish(content)


class NotFound(Page):
    """Whatever there is not."""

    async def prepare(self) -> None:
        Handler.prepare(self)
        raise Problem(404, "There is nothing here.")


def event(approval: Approval) -> bytes:
    return b"event: changed\ndata: " + json.dumps({"id": approval.id, "state": approval.state}).encode() + b"\n\n"


def outcome(approval: Approval, decision: str, grant: str | None) -> str:
    """What has come of it, in a line."""
    if decision == "approve" and approval.state is State.PENDING:
        return f"{SAID[decision]} It needs others too."
    return SAID[decision] + (f" What the rule holds goes on for {grant}." if grant else "")


ID = "([A-Za-z0-9_-]{1,64})"
ROUTES = (
    (r"/", Home),
    (rf"/approvals/{ID}", One),
    (r"/grants", Grants),
    (rf"/grants/{ID}", OneGrant),
    (r"/events", Events),
    (SIGN_IN, SignIn),
    (f"{SIGN_IN}/start", Start),
    (BACK, Back),
    (r"/sign-out", SignOut),
    (r"/static/([a-z]+\.[a-z]+)", Static),
)
