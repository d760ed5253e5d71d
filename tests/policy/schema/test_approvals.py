"""What `approvals` may say together, and what it is where it says nothing."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lockgate.policy.schema.approvals import ApprovalsEntry

TLS = {"cert": "a.pem", "key": "a.key"}
SIGN_IN = {"issuer": "https://login.example", "client_id": "approvals"}


def test_where_it_says_nothing() -> None:
    entry = ApprovalsEntry.model_validate({})
    assert (entry.audience, entry.wait, entry.timeout, entry.listen) == ("lockgate-approvals", 45.0, 900.0, None)
    assert (entry.pending, entry.per_principal, entry.body) == (1000, 100, 256 * 1024)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"listen": "127.0.0.1:8765"}, id="on-this-machine"),
        pytest.param({"listen": "0.0.0.0:8765", "tls": TLS}, id="on-the-network"),
        pytest.param({"listen": "[::1]:8765", "url": "https://approvals.example"}, id="behind-another"),
        pytest.param({"listen": "127.0.0.1:8765", "sign_in": SIGN_IN, "wait": "5s", "timeout": "5s"}, id="sign-in"),
    ],
)
def test_taken(entry: dict[str, Any]) -> None:
    ApprovalsEntry.model_validate(entry)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        pytest.param({"listen": "0.0.0.0:8765"}, "in the clear", id="in-the-clear"),
        pytest.param({"listen": "8765"}, "host:port", id="a-port-alone"),
        pytest.param({"wait": "2h"}, "for an hour at most", id="too-long-a-wait"),
        pytest.param({"wait": "10m", "timeout": "5m"}, "longer than timeout", id="over-by-then"),
        pytest.param({"sign_in": SIGN_IN}, "no page to sign in to", id="no-page"),
        pytest.param({"url": "https://approvals.example/x"}, "scheme, host and port only", id="a-path"),
        pytest.param({"url": "ftp://approvals.example"}, "scheme, host and port only", id="another-scheme"),
        pytest.param({"url": "https://u:p@approvals.example"}, "scheme, host and port only", id="a-user"),
        pytest.param({"pending": "0"}, "from 1", id="none-at-once"),
        pytest.param({"unknown": "x"}, "Extra inputs", id="unknown"),
    ],
)
def test_not_taken(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ApprovalsEntry.model_validate(entry)
