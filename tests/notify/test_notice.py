from __future__ import annotations

from dataclasses import replace

from lockgate.notify.notice import Notice, details, headline


def test_what_is_asked(notice: Notice) -> None:
    assert headline(notice) == "Approval needed: agent-7 asks for POST crm /refunds"
    assert dict(details(notice)) == {
        "Rule": "support/big",
        "Why it is held": "Refunds above 500 need finance.",
        "Decided until": "2030-01-01T00:00:00+00:00",
        "Approval": "a1",
    }


def test_what_became_of_it(notice: Notice) -> None:
    denied = replace(notice, happening="denied", by="fiona", why="No ticket.")
    assert headline(denied) == "Denied by fiona: agent-7, POST crm /refunds"
    assert dict(details(denied))["Their reason"] == "No ticket."
    assert "why" not in notice.document()
