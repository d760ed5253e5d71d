"""The page over HTTP: as a browser without scripts has it, and as those have it who want to use somebody else's."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from html import unescape
from typing import Any

import httpx
import pytest

from harness.office import BIG, ISSUER
from harness.scene import REFUND, Scene
from lockgate.approvals.approval import Approval, Requester, Shown, State
from lockgate.approvals.recent import Recent
from lockgate.web import sessions

Client = Callable[..., Awaitable[httpx.AsyncClient]]
ONE = "/approvals/held-1"
NASTY = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e\x1b[2J\u200b{{ csrf }}{% raw who %}"


def fields(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the page's last form."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
    return {name: unescape(value) for name, value in found}


async def form(client: httpx.AsyncClient, **more: str) -> dict[str, str]:
    """What is sent with a decision."""
    return fields(await client.get(ONE)) | {"reason": "", **more}


def untouched(scene: Scene, held: Approval) -> bool:
    return scene.office.desk.get(held.id) == held


# Signing in and out, with a token


async def test_signs_in(scene: Scene) -> None:
    async with scene.browser(Origin=scene.url) as client:
        assert (await client.get("/")).headers["location"] == "/sign-in"
        page = await client.get("/sign-in")
        assert "An approver's token" in page.text
        reply = await client.post("/sign-in", data={"token": " fiona.finance "})
        assert (reply.status_code, reply.headers["location"]) == (303, "/")
        cookie = reply.headers["set-cookie"]
        assert re.fullmatch(r"lockgate=[\w-]{43}; HttpOnly; Path=/; SameSite=Strict", cookie)
        assert "fiona" in (await client.get("/")).text


async def test_a_token_that_is_not_taken(scene: Scene) -> None:
    async with scene.browser(Origin=scene.url) as client:
        reply = await client.post("/sign-in", data={"token": "nobody"})
        assert reply.status_code == 401 and not reply.cookies
        assert "The token is not taken: malformed." in reply.text
        assert "nobody" not in reply.text
        statuses = [(await client.post("/sign-in", data={"token": "x"})).status_code for _ in range(40)]
        assert statuses[-1] == 429


async def test_tokens_are_not_taken_where_there_is_a_provider(make_scene: Callable[..., Awaitable[Scene]]) -> None:
    from lockgate.model import SignIn

    scene = await make_scene(sign_in=SignIn("https://login.example", "page"))
    async with scene.browser(Origin=scene.url) as client:
        page = await client.get("/sign-in")
        assert "/sign-in/start" in page.text and 'name="token"' not in page.text
        reply = await client.post("/sign-in", data={"token": "fiona.finance"})
        assert reply.status_code == 403 and not reply.cookies
        scene.config = replace(scene.config, dev=True)
        assert (await client.post("/sign-in", data={"token": "fiona.finance"})).status_code == 303


async def test_another_number_at_each_sign_in(scene: Scene, browser: Client) -> None:
    client = await browser()
    before = client.cookies["lockgate"]
    await client.post("/sign-in", data={"token": "gina.finance"})
    assert client.cookies["lockgate"] != before
    async with scene.browser(Cookie=f"lockgate={before}") as other:
        assert (await other.get("/")).status_code == 303, "the one before still counts"


async def test_a_number_of_the_callers_choice_is_no_session(scene: Scene) -> None:
    async with scene.browser(Origin=scene.url, Cookie="lockgate=chosen") as client:
        reply = await client.post("/sign-in", data={"token": "fiona.finance"})
        assert "chosen" not in reply.headers["set-cookie"]
    async with scene.browser(Cookie="lockgate=chosen") as client:
        assert (await client.get("/")).status_code == 303


async def test_a_cookie_replayed_after_sign_out(scene: Scene, browser: Client) -> None:
    held = await scene.hold()
    client = await browser()
    number, sent = client.cookies["lockgate"], await form(client, decision="approve")
    reply = await client.post("/sign-out", data={"csrf": sent["csrf"]})
    assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in")
    async with scene.browser(Origin=scene.url, Cookie=f"lockgate={number}") as thief:
        assert (await thief.get(ONE)).status_code == 303
        assert (await thief.post(ONE, data=sent)).headers["location"].startswith("/sign-in")
    assert untouched(scene, held)


async def test_it_ends_with_the_token(scene: Scene, browser: Client) -> None:
    held = await scene.hold()
    client = await browser()
    sent = await form(client, decision="approve")
    scene.people.rejected.add("fiona.finance")
    assert (await client.post(ONE, data=sent)).headers["location"].startswith("/sign-in")
    scene.people.rejected.clear()
    assert (await client.get("/")).status_code == 303, "it comes back with the token"
    assert untouched(scene, held)


async def test_it_ends_when_it_is_not_used(scene: Scene, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await browser()
    monkeypatch.setattr(sessions, "IDLE", 0.0)
    assert (await client.get("/")).status_code == 303


@pytest.mark.parametrize("flag", ["down", "blind"])
async def test_not_known_who(scene: Scene, browser: Client, flag: str) -> None:
    held = await scene.hold()
    client = await browser()
    sent = await form(client, decision="approve")
    setattr(scene.people, flag, True)
    for reply in (await client.get(ONE), await client.post(ONE, data=sent)):
        assert reply.status_code == 503 and "refunds" not in reply.text
    setattr(scene.people, flag, False)
    assert (await client.get(ONE)).status_code == 200
    assert untouched(scene, held)


# Coming by a link


async def test_a_link_leads_on_after_signing_in(scene: Scene) -> None:
    await scene.hold()
    async with scene.browser(Origin=scene.url) as client:
        assert (await client.get(ONE)).headers["location"] == f"/sign-in?to={ONE}"
        page = await client.get(f"/sign-in?to={ONE}")
        reply = await client.post("/sign-in", data={**fields(page), "token": "fiona.finance"})
        assert reply.headers["location"] == ONE


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example",
        "//evil.example",
        "/approvals/../x",
        "/approvals/a?b",
        "/\\evil.example",
        "/x\r\nX: y",
        "",
    ],
)
async def test_it_leads_nowhere_else(scene: Scene, to: str) -> None:
    async with scene.browser(Origin=scene.url) as client:
        page = await client.get("/sign-in", params={"to": to})
        assert fields(page) == {"to": "/"}
        reply = await client.post("/sign-in", data={"token": "fiona.finance", "to": to})
        assert reply.headers["location"] == "/"


async def test_a_link_from_elsewhere_finds_the_session(scene: Scene, browser: Client) -> None:
    """A browser keeps the cookie back then; the page asks for itself again, as its own."""
    await scene.hold()
    async with scene.browser(**{"Sec-Fetch-Site": "cross-site"}) as without:
        page = await without.get(ONE)
    assert page.status_code == 200 and f'content="0; url={ONE}"' in page.text and "refunds" not in page.text


# Forms of others

FORGED: dict[str, dict[str, Any]] = {
    "no-origin": {"headers": {"Origin": ""}},
    "null-origin": {"headers": {"Origin": "null"}},
    "foreign-origin": {"headers": {"Origin": "https://evil.example"}},
    "other-port": {"headers": {"Origin": "http://127.0.0.1:1"}},
    "https-origin": {"headers": {"Origin": "https://{host}"}},
    "cross-site": {"headers": {"Sec-Fetch-Site": "cross-site"}},
    "same-site": {"headers": {"Sec-Fetch-Site": "same-site"}},
    "no-csrf": {"data": {"csrf": ""}},
    "wrong-csrf": {"data": {"csrf": "A" * 43}},
    "csrf-twice": {"data": {"csrf": ["{csrf}", "{csrf}"]}},
    "not-ascii-csrf": {"data": {"csrf": "é"}},
    "as-text": {"headers": {"Content-Type": "text/plain"}},
    "as-json": {"headers": {"Content-Type": "application/json"}},
}


@pytest.mark.parametrize("forged", [pytest.param(forged, id=name) for name, forged in FORGED.items()])
async def test_forged_forms(scene: Scene, browser: Client, forged: dict[str, Any]) -> None:
    held = await scene.hold()
    client = await browser()
    sent: dict[str, Any] = await form(client, decision="approve")
    for name, value in forged.get("data", {}).items():
        sent[name] = [sent["csrf"]] * 2 if isinstance(value, list) else value
    headers = {name: value.format(host=scene.host) for name, value in forged.get("headers", {}).items()}
    for path in (ONE, "/sign-out", "/grants/none"):
        reply = await client.post(path, data=sent, headers=headers)
        assert reply.status_code in (400, 403, 415), reply.text
    assert untouched(scene, held)
    assert (await client.get("/")).status_code == 200, "signed out by another's form"


async def test_anothers_form(scene: Scene, browser: Client) -> None:
    held = await scene.hold()
    fiona, gina = await browser(), await browser("gina.finance")
    sent = await form(gina, decision="approve")
    assert (await fiona.post(ONE, data=sent)).status_code == 403
    assert untouched(scene, held)


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_nobody_is_signed_in_by_another_site(scene: Scene, headers: dict[str, str]) -> None:
    async with scene.browser(Origin=scene.url) as client:
        reply = await client.post("/sign-in", data={"token": "mallory.finance"}, headers=headers)
        assert reply.status_code == 403 and not reply.cookies


async def test_a_get_changes_nothing(scene: Scene, browser: Client) -> None:
    held = await scene.hold()
    client = await browser()
    sent = await form(client, decision="approve")
    await client.get(ONE, params=sent)
    await client.get("/sign-out", params=sent)
    assert untouched(scene, held)
    assert (await client.get("/")).status_code == 200


async def test_a_token_is_no_session(scene: Scene, api: Client) -> None:
    await scene.hold()
    client = await api()
    for path in ("/", ONE, "/grants", "/events"):
        assert (await client.get(path)).headers["location"].startswith("/sign-in")


# Deciding


@pytest.mark.parametrize(
    ("decision", "state", "granted", "told"),
    [
        pytest.param("approve", "approved", [], "You approved it.", id="approve"),
        pytest.param("10m", "approved", [600.0], "goes on for 10m", id="10m"),
        pytest.param("1h", "approved", [3600.0], "goes on for 1h", id="1h"),
        pytest.param("deny", "denied", [], "You denied it.", id="deny"),
    ],
)
async def test_decides(
    scene: Scene, browser: Client, decision: str, state: str, granted: list[float], told: str
) -> None:
    await scene.hold()
    client = await browser()
    reply = await client.post(ONE, data=await form(client, decision=decision, reason="as agreed"))
    assert (reply.status_code, reply.headers["location"]) == (303, ONE)
    page = await client.get(ONE)
    assert told in page.text and f'class="state {state}"' in page.text
    assert told not in (await client.get(ONE)).text, "told twice"
    found = scene.office.desk.get("held-1")
    assert found is not None
    [vote] = found.votes
    assert (vote.via, vote.address, vote.reason, vote.token_id) == ("page", "127.0.0.1", "as agreed", "id-of-fiona")
    assert [grant.until - grant.since for grant in scene.office.desk.grants()] == granted


@pytest.mark.parametrize(
    ("changes", "status", "wrong"),
    [
        pytest.param({"digest": "0" * 64}, 409, "This is not what was shown", id="stale"),
        pytest.param({"digest": ""}, 400, "digest is that of what was shown", id="no-digest"),
        pytest.param({"decision": "maybe"}, 400, "decision is approve or deny", id="unknown-decision"),
        pytest.param({"decision": ""}, 400, "decision is approve or deny", id="no-decision"),
        pytest.param({"reason": "x" * 1001}, 400, "A reason has 1000 characters at most.", id="long-reason"),
        pytest.param({"reason": " "}, 422, "Give a reason", id="no-reason"),
    ],
)
async def test_what_does_not_count(
    scene: Scene, browser: Client, changes: dict[str, str], status: int, wrong: str
) -> None:
    held = await scene.hold(holds=(replace(BIG, require_reason=True),))
    client = await browser()
    sent = await form(client, **{"decision": "approve", "reason": "ticket <4711>", **changes})
    reply = await client.post(ONE, data=sent)
    assert reply.status_code == status and wrong in reply.text
    if "reason" not in changes:
        assert ">ticket &lt;4711&gt;</textarea>" in reply.text, "what was written is lost"
    assert untouched(scene, held)


async def test_the_store_fails(scene: Scene, browser: Client) -> None:
    await scene.hold()
    client = await browser()
    sent = await form(client, decision="approve")
    scene.office.store.fails = True
    reply = await client.post(ONE, data=sent)
    assert reply.status_code == 503 and "cannot be kept" in reply.text


async def test_others_approvals(scene: Scene, browser: Client) -> None:
    held = await scene.hold()
    client = await browser("gus.sales")
    assert "refunds" not in (await client.get("/")).text
    page = await client.get(ONE)
    assert page.status_code == 404 and "refunds" not in page.text
    csrf = fields(await client.get("/"))["csrf"]
    sent = {"csrf": csrf, "decision": "approve", "digest": held.digest}
    assert (await client.post(ONE, data=sent)).status_code == 404
    assert untouched(scene, held)


async def test_their_own(scene: Scene, browser: Client) -> None:
    held = await scene.hold()
    client = await browser("agent-7.finance")
    page = await client.get(ONE)
    assert "Nobody decides a request of their own." in page.text and "<textarea" not in page.text
    sent = {"csrf": fields(page)["csrf"], "decision": "approve", "digest": held.digest}
    assert (await client.post(ONE, data=sent)).status_code == 403
    assert untouched(scene, held)


async def test_several_persons(scene: Scene, browser: Client) -> None:
    await scene.hold(holds=(replace(BIG, quorum=2),))
    fiona, gina = await browser(), await browser("gina.finance")
    await fiona.post(ONE, data=await form(fiona, decision="approve"))
    page = await fiona.get(ONE)
    assert "You approved it. It needs others too." in page.text
    assert 'value="deny"' in page.text and 'value="approve"' not in page.text
    assert "1 of 2 approvals by finance" in page.text
    await gina.post(ONE, data=await form(gina, decision="approve"))
    found = scene.office.desk.get("held-1")
    assert found is not None and found.state is State.APPROVED


async def test_only_grants_that_the_rule_takes(scene: Scene, browser: Client) -> None:
    client = await browser()
    for number, (most, values) in enumerate([(0.0, []), (600.0, ["10m"]), (3600.0, ["10m", "1h"])]):
        await scene.hold(f"held-{number}", holds=(replace(BIG, max_grant=most),))
        page = await client.get(f"/approvals/held-{number}")
        assert re.findall(r'value="(10m|1h)"', page.text) == values


async def test_grants_are_ended(scene: Scene, browser: Client) -> None:
    await scene.hold()
    client = await browser()
    await client.post(ONE, data=await form(client, decision="1h"))
    page = await client.get("/grants")
    [grant] = scene.office.desk.grants()
    assert f'action="/grants/{grant.id}"' in page.text
    sent = {"csrf": fields(page)["csrf"], "reason": "enough"}
    own = await browser("agent-7.finance")
    refused = await own.post(f"/grants/{grant.id}", data={"csrf": fields(await own.get("/grants"))["csrf"]})
    assert refused.status_code == 403 and "a grant of their own" in refused.text
    assert (await client.post(f"/grants/{grant.id}", data=sent)).status_code == 303
    assert "The grant has ended." in (await client.get("/grants")).text
    assert (await client.post(f"/grants/{grant.id}", data=sent)).status_code == 404
    assert scene.office.desk.grants() == []


# What is shown


async def test_shows_all_there_is_to_know(scene: Scene, browser: Client) -> None:
    asker = Requester(ISSUER, "agent-7", ("support", "reader"), behind=((ISSUER, "ben"),))
    held = await scene.hold(requester=asker)
    await scene.office.desk.ask(replace(held, id="other"), most=9, most_of_one=9)
    text = unescape((await (await browser()).get(ONE)).text)
    agent, gateway = text.split('id="gateway"')
    agent = agent.split('id="agent"')[1]
    for known in ("POST https://api.crm.example/v1/refunds?dry_run=false", '"amount": 900.10', "1e2", "x-api-key"):
        assert known in agent and known not in gateway
    for known in ("agent-7", "support, reader", "ben", "support/big", BIG.reason, "crm-key", "$..card: hash"):
        assert known and known in gateway and known not in agent
    for known in (
        "1 more request waits",
        "3f9c1d22aa77",
        "/v1/customers/7",
        "support/read",
        "finance",
        held.digest[:12],
    ):
        assert known in gateway
    assert text.index('"amount"') < text.index('"z"') < text.index('"a": ['), "the order of the keys"


async def test_lists(scene: Scene, browser: Client) -> None:
    await scene.hold("held-1")
    await scene.hold("held-2", ahead=3600.0, reason="why", action=("", ""), shown=Shown())
    await scene.hold("held-3")
    await scene.office.desk.cancel("held-3", "gone")
    page = await (await browser()).get("/")
    assert re.findall(r'href="/approvals/([\w-]+)"', page.text) == ["held-1", "held-2", "held-3"]
    assert "(2) Approvals - Lockgate" in page.text
    assert "1h at crm" in page.text
    assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in page.text


async def test_what_is_asked_ahead(scene: Scene, browser: Client) -> None:
    await scene.hold(ahead=3600.0, reason="ticket \u202e4711", action=("", ""), shown=Shown())
    client = await browser()
    page = await client.get(ONE)
    assert 'ticket <b class="hidden">\\u202e</b>4711' in page.text
    assert 'value="1h"' not in page.text
    await client.post(ONE, data=await form(client, decision="approve"))
    assert len(scene.office.desk.grants()) == 1


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param('{"note":"' + "<script>alert(1)</script>\u202e" + '"}', "json", id="json"),
        pytest.param(NASTY, "text", id="text"),
        pytest.param("PHNjcmlwdD4=", "binary", id="binary"),
    ],
)
async def test_whatever_an_agent_writes_is_text(scene: Scene, browser: Client, body: str, kind: str) -> None:
    shown = Shown(
        method="POST",
        url=f"https://crm.example/{NASTY}",
        headers=((NASTY, NASTY),),
        body=body,
        body_is=kind,  # type: ignore[arg-type]
        body_size=9,
        masks=(NASTY,),
        credential=NASTY,
    )
    asker = Requester(ISSUER, f"agent {NASTY}", (NASTY,), behind=((ISSUER, NASTY),))
    held = await scene.hold(action=(NASTY, NASTY), shown=shown, requester=asker, reason=NASTY)
    scene.recent.note(ISSUER, asker.subject, Recent(0.0, "deny", NASTY, "crm", NASTY, "support/read"))
    client = await browser()
    pages = [await client.get("/"), await client.get(ONE)]
    await client.post(ONE, data=await form(client, decision="deny", reason=NASTY))
    pages += [await client.get("/"), await client.get(ONE)]
    for page in pages:
        assert page.status_code == 200
        assert len(re.findall("<script", page.text)) == 1 and "<img src=x" not in page.text
        assert not {"\u202e", "\x1b", "\u200b"} & set(page.text)
        assert "alert(1)" not in page.text or "&lt;script&gt;alert(1)" in page.text
        assert "{{ csrf }}" in page.text
    assert scene.office.desk.get(held.id) is not None


async def test_names_of_approvers_are_text_too(scene: Scene, browser: Client) -> None:
    await scene.hold(shown=replace(REFUND, masks=()))
    page = await (await browser("<b>bob<.finance")).get(ONE)
    assert "&lt;b&gt;bob&lt;" in page.text and "<b>bob" not in page.text


@pytest.mark.parametrize("name", ["page.css", "page.js", "icon.svg"])
async def test_its_own_files(scene: Scene, name: str) -> None:
    async with scene.browser() as client:
        reply = await client.get(f"/static/{name}")
    assert reply.status_code == 200 and reply.content
    assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", reply.content), "it asks for something elsewhere"
