from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lockgate.approvals.approval import Approval, Requester, Shown
from lockgate.approvals.shown import shown, shown_digest
from lockgate.model import Hold, Mask, Show

JSON = ((b"Content-Type", b"application/json"),)


@pytest.mark.parametrize(
    ("headers", "body", "text", "kind"),
    [
        pytest.param(JSON, b'{"a": 1.10}', '{"a": 1.10}', "json", id="json-as-written"),
        pytest.param((), b"hello \xe2\x80\xae", "hello \u202e", "text", id="text"),
        pytest.param((), b"\xff\xfe", "//4=", "binary", id="no-text"),
        pytest.param((), b"a\0b", "YQBi", "binary", id="nul"),
        pytest.param(JSON, b"", "", "none", id="none"),
    ],
)
def test_a_body_is_shown_as_what_it_is(
    headers: tuple[tuple[bytes, bytes], ...], body: bytes, text: str, kind: str
) -> None:
    found = shown("POST", "https://x/", headers, body, (), (), None)
    assert (found.body, found.body_is, found.body_size) == (text, kind, len(body))


def test_what_is_masked_is_said() -> None:
    masks = (Mask("$..ssn", "redact"), Mask("", "detect", "email"), Mask("$.a", "keep_last", 4))
    found = shown("GET", "https://x/", (), b"", masks, (Show(("$.a", "$.b")),), "crm-token")
    assert found.masks == ("$..ssn: redact", "detect: detect email", "$.a: keep_last 4", "show only: $.a, $.b")
    assert found.credential == "crm-token"


@pytest.mark.parametrize(
    "different",
    [
        pytest.param({"id": "a2"}, id="id"),
        pytest.param({"requester": Requester("i", "other")}, id="requester"),
        pytest.param({"shown": Shown("POST", "https://api.crm.example/refunds?x=1")}, id="shown"),
        pytest.param({"holds": (Hold("r/other", "d"),)}, id="holds"),
        pytest.param({"binding": "b2"}, id="binding"),
        pytest.param({"fingerprint": "other"}, id="fingerprint"),
        pytest.param({"target": "wiki"}, id="target"),
        pytest.param({"ahead": 60.0}, id="ahead"),
        pytest.param({"reason": "other"}, id="reason"),
    ],
)
def test_another_text_has_another_digest(draft: Callable[..., Approval], different: dict[str, object]) -> None:
    assert draft(**different).digest != draft().digest


def test_what_persons_say_does_not_change_what_was_shown(draft: Callable[..., Approval]) -> None:
    asked = draft()
    assert shown_digest(replace(asked, joined=7, revision=3, expires_at=1.0)) == asked.digest
