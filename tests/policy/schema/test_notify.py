"""Who may be told of what is held, and how."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lockgate.policy.schema.notify import NotifyEntry

MAIL = {"host": "mail.example", "sender": "lockgate@crm.example", "to": ["security@crm.example"]}
HOOK = {"webhook": "https://hooks.example/x", "secret": "env:HOOK"}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(HOOK, id="webhook"),
        pytest.param(
            {"webhook": "http://127.0.0.1:9000/x", "secret": "env:HOOK", "ca": "ca.pem"}, id="on-this-machine"
        ),
        pytest.param({"slack": "env:SLACK_WEBHOOK"}, id="slack"),
        pytest.param({"smtp": MAIL}, id="mail"),
        pytest.param({"smtp": {**MAIL, "user": "u", "password": "env:MAIL", "security": "tls"}}, id="mail-with-login"),
        pytest.param({"smtp": {**MAIL, "host": "127.0.0.1", "security": "none"}}, id="mail-on-this-machine"),
        pytest.param({"smtp": {**MAIL, "port": "10025"}}, id="a-high-port"),
        pytest.param({"smtp": {**MAIL, "to": ["on-call+eu@crm.example", "o'neil@crm.example"]}}, id="mail-to-two"),
        pytest.param({"command": ["/bin/page", "--loud"], "on": ["asked", "expired"]}, id="command"),
    ],
)
def test_taken(entry: dict[str, Any]) -> None:
    NotifyEntry.model_validate(entry)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        pytest.param({}, "exactly one of", id="nothing"),
        pytest.param({**HOOK, "slack": "env:SLACK"}, "exactly one of", id="two"),
        pytest.param({"webhook": "https://hooks.example/x"}, "a webhook has a secret", id="not-signed"),
        pytest.param({"slack": "env:SLACK", "secret": "env:X"}, "a webhook has a secret", id="a-secret-for-slack"),
        pytest.param({"webhook": "http://hooks.example/x", "secret": "env:X"}, "over https", id="in-the-clear"),
        pytest.param({"webhook": "https://u:p@hooks.example", "secret": "env:X"}, "without user", id="a-user"),
        pytest.param({"slack": "https://hooks.slack.example/T0/B0/X"}, "never stands in the rules", id="a-literal"),
        pytest.param({"smtp": {**MAIL, "security": "none"}}, "is encrypted", id="mail-in-the-clear"),
        pytest.param({"smtp": {**MAIL, "user": "u"}}, "stand together", id="no-password"),
        pytest.param({"smtp": {**MAIL, "to": ["a@b, c@d"]}}, "an address is needed", id="two-in-one"),
        pytest.param({"smtp": {**MAIL, "to": ["a@b,c@d"]}}, "an address is needed", id="two-without-a-space"),
        pytest.param({"smtp": {**MAIL, "to": ["ops:a@b"]}}, "an address is needed", id="a-group"),
        pytest.param({"smtp": {**MAIL, "to": []}}, "at least 1", id="to-nobody"),
        pytest.param({"smtp": {**MAIL, "port": "0"}}, "from 1 to 65535", id="no-port"),
        pytest.param({"smtp": {**MAIL, "port": "65536"}}, "from 1 to 65535", id="too-high-a-port"),
        pytest.param({"smtp": {**MAIL, "sender": "x\r\nBcc: y@z"}}, "an address is needed", id="a-header"),
        pytest.param({"command": "/bin/page --loud"}, "a list of words", id="a-line"),
        pytest.param({"command": ["/bin/page"], "ca": "ca.pem"}, "is a webhook's", id="ca-of-a-command"),
        pytest.param({"slack": "env:SLACK", "on": ["asked", "ask"]}, "on has ask", id="unknown"),
    ],
)
def test_not_taken(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        NotifyEntry.model_validate(entry)
