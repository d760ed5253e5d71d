"""The API as its callers see it, and as those do who want more than is theirs."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from harness.office import BIG, ISSUER
from harness.scene import Scene
from lockgate.approvals.approval import Requester, State

Client = Callable[..., Awaitable[httpx.AsyncClient]]
ONE = "/api/approvals/held-1"


def said(digest: str, **more: Any) -> dict[str, Any]:
    return {"decision": "approve", "digest": digest, **more}


async def test_who_am_i(api: Client) -> None:
    assert (await (await api()).get("/api/whoami")).json() == {
        "issuer": ISSUER,
        "subject": "fiona",
        "roles": ["finance"],
        "expires_at": "1970-01-24T03:33:20.000Z",
    }


async def test_lists_what_is_theirs_to_see(scene: Scene, api: Client) -> None:
    await scene.hold()
    await scene.hold("held-2", holds=(replace(BIG, approvers=("sales",)),))
    listed = (await (await api()).get("/api/approvals")).json()["approvals"]
    assert [(each["id"], each["state"], each["rules"], each["votes"]) for each in listed] == [
        ("held-1", "pending", ["support/big"], 0)
    ]


async def test_by_state(scene: Scene, api: Client) -> None:
    client = await api()
    await scene.hold()
    await scene.hold("held-2")
    await scene.office.desk.cancel("held-2", "gone")
    for state, ids in {"pending": ["held-1"], "cancelled": ["held-2"], "all": ["held-1", "held-2"], "used": []}.items():
        listed = (await client.get(f"/api/approvals?state={state}")).json()["approvals"]
        assert [each["id"] for each in listed] == ids


async def test_shows_one_whole(scene: Scene, api: Client) -> None:
    held = await scene.hold()
    one = (await (await api()).get(ONE)).json()
    assert one["request"]["body"] == held.shown.body
    assert one["request"]["headers"][1] == ["x-api-key", "[redacted]"]
    assert one["digest"] == held.digest
    assert one["recent"][0]["resource"] == "/v1/customers/7"
    assert one["holds"][0]["approvers"] == ["finance"]


async def test_approves(scene: Scene, api: Client) -> None:
    held = await scene.hold()
    reply = await (await api()).post(ONE, json=said(held.digest, reason=" fine ", grant="10m"))
    assert (reply.status_code, reply.json()["state"]) == (200, "approved")
    [vote] = reply.json()["votes"]
    assert (vote["via"], vote["address"], vote["reason"], vote["grant"]) == ("api", "127.0.0.1", "fine", 600.0)
    assert [grant.rule for grant in scene.office.desk.grants()] == ["support/big"]


async def test_denies(scene: Scene, api: Client) -> None:
    held = await scene.hold()
    reply = await (await api()).post(ONE, json={"decision": "deny", "digest": held.digest, "reason": "no"})
    assert (reply.status_code, reply.json()["state"], reply.json()["outcome"]) == (200, "denied", "no")


# Who is not let in


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="nothing"),
        pytest.param({"Authorization": "Basic Zmlvbmk6eA=="}, 401, id="basic"),
        pytest.param({"Authorization": "Bearer"}, 401, id="empty"),
        pytest.param({"Authorization": "Bearer nobody"}, 401, id="not-taken"),
        pytest.param({"Authorization": "Bearer a.finance, Bearer fiona.finance"}, 401, id="two"),
        pytest.param({"Authorization": "Bearer \xe9.finance"}, 401, id="not-ascii"),
        pytest.param({"Authorization": "Bearer fiona.finance", "Cookie": "lockgate=x"}, 400, id="with-a-session"),
        pytest.param({"Authorization": "Bearer fiona.finance", "Cookie": "__Host-lockgate=x"}, 400, id="with-another"),
        pytest.param({"Authorization": "Bearer fiona.finance", "Host": "evil.example"}, 421, id="foreign-host"),
        pytest.param({"Authorization": "Bearer fiona.finance", "Cookie": "theme=dark"}, 200, id="another-cookie"),
    ],
)
async def test_who_is_let_in(scene: Scene, headers: dict[str, str], status: int) -> None:
    await scene.hold()
    async with scene.browser() as client:
        given = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        replies = [
            await client.get("/api/approvals", headers=given),
            await client.get(ONE, headers=given),
            await client.get("/api/grants", headers=given),
        ]
    for reply in replies:
        assert reply.status_code == status
        assert "refunds" not in reply.text or status == 200
        if status != 200:
            assert reply.headers["content-type"] == "application/problem+json"
            assert set(reply.json()) == {"status", "title", "detail"}


async def test_a_session_of_the_page_is_nobody_here(scene: Scene, browser: Client) -> None:
    held = await scene.hold()
    client = await browser()
    for reply in (await client.get(ONE), await client.post(ONE, json=said(held.digest))):
        assert reply.status_code == 400
    assert scene.office.desk.get("held-1") == held


@pytest.mark.parametrize(
    ("flag", "status"), [pytest.param("down", 503, id="no-keys"), pytest.param("blind", 503, id="no-revocations")]
)
async def test_not_known_who(scene: Scene, api: Client, flag: str, status: int) -> None:
    held = await scene.hold()
    client = await api()
    setattr(scene.people, flag, True)
    assert (await client.get(ONE)).status_code == status
    assert (await client.post(ONE, json=said(held.digest))).status_code == status
    assert scene.office.desk.get("held-1") == held


async def test_a_proxy_between_is_not_this_machine(scene: Scene, api: Client) -> None:
    client = await api()
    await client.get("/api/whoami")
    await client.get("/api/whoami", headers={"X-Forwarded-For": "192.0.2.7"})
    assert [here for _, here in scene.people.asked] == [True, False]


async def test_failures_are_counted(scene: Scene, api: Client) -> None:
    good, bad = await api(), await api("nobody")
    await good.get("/api/whoami")
    statuses = [(await bad.get("/api/whoami")).status_code for _ in range(40)]
    assert statuses[0] == 401 and statuses[-1] == 429
    assert (await good.get("/api/whoami")).status_code == 200, "a token that is known suffers"
    assert (await (await api("gina.finance")).get("/api/whoami")).status_code == 429


# What is not theirs, and what is not understood

GUESSES = ["other", "held-1%00", "..%2f..%2fheld-1", "a" * 64, "held-9"]


@pytest.mark.parametrize("guess", GUESSES)
async def test_what_is_anothers_is_not_there(scene: Scene, api: Client, guess: str) -> None:
    """What they may not see is told as what there is not, word by word."""
    held = await scene.hold("other", holds=(replace(BIG, approvers=("sales",)),))
    client = await api()
    answers = [
        await client.get(f"/api/approvals/{guess}"),
        await client.post(f"/api/approvals/{guess}", json=said(held.digest)),
    ]
    assert {answer.status_code for answer in answers} == {404}
    if "%" not in guess:
        assert {answer.json()["detail"] for answer in answers} == {"There is no such approval."}
    assert scene.office.desk.get("other") == held


async def test_nobody_decides_their_own(scene: Scene, api: Client) -> None:
    held = await scene.hold()
    behind = replace(held.requester, behind=((ISSUER, "boss"),))
    boss = await scene.hold("held-2", requester=behind)
    for token, one in (("agent-7.finance", held), ("boss.finance", boss)):
        client = await api(token)
        assert (await client.get(f"/api/approvals/{one.id}")).json()["you"]["may_decide"] is False
        assert (await client.post(f"/api/approvals/{one.id}", json=said(one.digest))).status_code == 403
        assert scene.office.desk.get(one.id) == one


@pytest.mark.parametrize("digest", ["stale", "0" * 64])
async def test_what_was_not_shown_is_not_decided(scene: Scene, api: Client, digest: str) -> None:
    held = await scene.hold()
    reply = await (await api()).post(ONE, json=said(digest))
    assert reply.status_code == 409
    assert scene.office.desk.get("held-1") == held


async def test_one_digest_is_not_anothers(scene: Scene, api: Client) -> None:
    one, other = await scene.hold(), await scene.hold("held-2")
    assert (await (await api()).post(ONE, json=said(other.digest))).status_code == 409
    assert scene.office.desk.get("held-1") == one


async def test_twice(scene: Scene, api: Client) -> None:
    held = await scene.hold(holds=(replace(BIG, quorum=2),))
    client = await api()
    assert (await client.post(ONE, json=said(held.digest))).json()["state"] == "pending"
    assert (await client.post(ONE, json=said(held.digest))).status_code == 409
    assert (await (await api("gina.finance")).post(ONE, json=said(held.digest))).json()["state"] == "approved"


@pytest.mark.parametrize(
    ("document", "status"),
    [
        pytest.param({"decision": "approve"}, 400, id="no-digest"),
        pytest.param({"decision": "approve", "digest": ""}, 400, id="empty-digest"),
        pytest.param({"decision": "yes", "digest": "DIGEST"}, 400, id="unknown-decision"),
        pytest.param({"decision": ["approve"], "digest": "DIGEST"}, 400, id="list"),
        pytest.param({"decision": "approve", "digest": "DIGEST", "state": "used"}, 400, id="unknown-member"),
        pytest.param({"decision": "approve", "digest": "DIGEST", "reason": 7}, 400, id="reason-is-a-number"),
        pytest.param({"decision": "approve", "digest": "DIGEST", "reason": None}, 400, id="reason-is-null"),
        pytest.param({"decision": "approve", "digest": "DIGEST", "reason": "x" * 1001}, 400, id="long-reason"),
        pytest.param({"decision": "approve", "digest": "DIGEST", "grant": "0s"}, 400, id="no-time"),
        pytest.param({"decision": "approve", "digest": "DIGEST", "grant": "forever"}, 400, id="no-duration"),
        pytest.param({"decision": "approve", "digest": "DIGEST", "grant": 600}, 400, id="grant-is-a-number"),
        pytest.param({"decision": "approve", "digest": "DIGEST", "grant": "2h"}, 422, id="more-than-the-rule-takes"),
        pytest.param({"decision": "deny", "digest": "DIGEST", "grant": "10m"}, 400, id="denial-that-grants"),
        pytest.param(["approve"], 400, id="no-object"),
        pytest.param({"decision": "approve", "digest": "DIGEST", "reason": "x" * 20_000}, 413, id="too-large"),
    ],
)
async def test_what_is_not_understood(scene: Scene, api: Client, document: Any, status: int) -> None:
    held = await scene.hold()
    text = json.dumps(document).replace("DIGEST", held.digest)
    headers = {"Content-Type": "application/json"}
    reply = await (await api()).post(ONE, content=text, headers=headers)
    assert reply.status_code == status, reply.text
    assert scene.office.desk.get("held-1") == held


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        pytest.param(
            '{"decision":"deny","decision":"approve","digest":"D"}', "application/json", 400, id="member-twice"
        ),
        pytest.param('{"decision":"approve","digest":"D"', "application/json", 400, id="broken"),
        pytest.param("", "application/json", 400, id="nothing"),
        pytest.param('{"decision":"approve","digest":"D"}', "text/plain", 415, id="as-text"),
        pytest.param("decision=approve&digest=D", "application/x-www-form-urlencoded", 415, id="form"),
    ],
)
async def test_bodies(scene: Scene, api: Client, content: str, kind: str, status: int) -> None:
    held = await scene.hold()
    content = content.replace("D", held.digest)
    reply = await (await api()).post(ONE, content=content, headers={"Content-Type": kind})
    assert reply.status_code == status, reply.text
    assert scene.office.desk.get("held-1") == held


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/api/approvals?state=open", 400, id="unknown-state"),
        pytest.param("GET", "/api/approvals?state=pending&state=used", 400, id="state-twice"),
        pytest.param("GET", "/api/approvals?limit=5", 400, id="unknown-parameter"),
        pytest.param("GET", f"{ONE}?token=x", 400, id="parameter-where-none-is"),
        pytest.param("GET", "/api", 404, id="nothing-there"),
        pytest.param("GET", "/api/approvals/", 404, id="slash"),
        pytest.param("DELETE", ONE, 405, id="unknown-method"),
        pytest.param("PUT", ONE, 405, id="put"),
        pytest.param("OPTIONS", ONE, 405, id="preflight"),
        pytest.param("GET", "/api/grants/none", 405, id="get-a-grant"),
        pytest.param("DELETE", "/api/grants/none", 404, id="no-such-grant"),
    ],
)
async def test_requests_that_are_wrong(scene: Scene, api: Client, method: str, path: str, status: int) -> None:
    await scene.hold()
    reply = await (await api()).request(method, path, headers={"Origin": "https://evil.example"})
    assert (reply.status_code, reply.json()["status"]) == (status, status)
    assert not [name for name in reply.headers if name.startswith("access-control-")]


async def test_the_store_fails(scene: Scene, api: Client) -> None:
    held = await scene.hold()
    scene.office.store.fails = True
    reply = await (await api()).post(ONE, json=said(held.digest))
    assert reply.status_code == 503
    found = scene.office.desk.get("held-1")
    assert found is not None and found.state is State.PENDING


# Grants


async def test_grants_are_listed_and_ended(scene: Scene, api: Client) -> None:
    held = await scene.hold()
    client = await api()
    await client.post(ONE, json=said(held.digest, grant="1h"))
    [grant] = (await client.get("/api/grants")).json()["grants"]
    assert (grant["subject"], grant["rule"], grant["uses"]) == ("agent-7", "support/big", 0)
    assert [vote["subject"] for vote in grant["votes"]] == ["fiona"]
    place = f"/api/grants/{grant['id']}"
    own = await (await api("agent-7.finance")).delete(place)
    assert own.status_code == 403
    ended = await client.request("DELETE", place, json={"reason": "enough"})
    assert ended.json()["outcome"] == "ended by fiona: enough"
    assert (await client.get("/api/grants")).json() == {"grants": []}
    assert (await client.delete(place)).status_code == 404


async def test_what_is_asked_ahead(scene: Scene, api: Client) -> None:
    asker = Requester(ISSUER, "agent-7", ("support",))
    held = await scene.hold(ahead=600.0, reason="ticket 4711", requester=asker, action=("", ""))
    client = await api()
    one = (await client.get(ONE)).json()
    assert (one["ahead"], one["reason"], one["grants"]) == (600.0, "ticket 4711", 0.0)
    assert (await client.post(ONE, json=said(held.digest))).json()["state"] == "used"
    assert len((await client.get("/api/grants")).json()["grants"]) == 1
