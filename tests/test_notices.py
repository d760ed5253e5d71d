from __future__ import annotations

from dataclasses import replace

import pytest

from lockgate.approvals.approval import Approval, Requester, Shown, State, Vote
from lockgate.model import Hold
from lockgate.notices import notice_of

APPROVAL = Approval(
    id="a1",
    revision=1,
    state=State.PENDING,
    asked_at=0.0,
    expires_at=900.0,
    requester=Requester("iss", "agent-7"),
    fingerprint="f",
    binding="b",
    digest="d",
    generation="g",
    target="crm",
    action=("POST", "/refunds"),
    holds=(Hold("support/big", "d", "Refunds above 500 need finance."),),
    shown=Shown(
        "POST", "https://crm.example/refunds?token=s3cret", (("x-key", "s3cret"),), '{"pin": "s3cret"}', "json"
    ),
)


def test_it_says_where_to_look_and_no_more() -> None:
    notice = notice_of("asked", APPROVAL, "https://approvals.example")
    assert notice.link == "https://approvals.example/approvals/a1"
    assert (notice.requester, notice.action, notice.rule) == ("agent-7", "POST crm /refunds", "support/big")
    assert notice.expires_at == "1970-01-01T00:15:00+00:00"
    assert "s3cret" not in repr(notice)


def test_who_decided() -> None:
    vote = Vote("deny", "iss", "fiona", (), 1.0, "page", "127.0.0.1", "d", "No ticket.")
    notice = notice_of("denied", replace(APPROVAL, votes=(vote,)), "")
    assert (notice.by, notice.why, notice.link) == ("fiona", "No ticket.", "")


@pytest.mark.parametrize("text", ["a\r\nBcc: x", "\x1b[2J\x1b[1;1H", "\u202eevil\u202c", "a\u2028b", "x" * 9000, "\0"])
def test_what_an_agent_wrote_is_one_line_that_is_seen(text: str) -> None:
    hostile = replace(APPROVAL, requester=Requester("iss", text), action=("POST", f"/{text}"))
    notice = notice_of("asked", hostile, "")
    for said in (notice.requester, notice.action):
        assert said.isprintable()
        assert len(said) <= 200
