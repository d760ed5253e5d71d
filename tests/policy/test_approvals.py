"""`approvals` as the gateway gets it, and what only the whole file can say is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.errors import Problem
from lockgate.model import SecretSource, SignIn
from lockgate.policy.generation import Generation

ISSUERS = """\
issuers:
  - dev: true
  - {issuer: https://login.example, audience: lockgate, algorithms: [RS256], roles: $.roles}
"""


def test_a_whole_one(loaded: Callable[..., Generation], tmp_path: Path) -> None:
    text = """\
approvals:
  audience: people
  wait: 5s
  timeout: 1h
  listen: "[::1]:8765"
  tls: {cert: a.pem, key: /etc/a.key}
  sign_in: {issuer: https://login.example, client_id: page, client_secret: "file:../secret"}
  dev: true
  requester: $.act.sub
"""
    found = loaded({"gateway.yaml": ISSUERS + text}).gateway.approvals
    assert (found.audience, found.wait, found.timeout, found.listen) == ("people", 5.0, 3600.0, ("::1", 8765))
    assert found.tls == (tmp_path / "rules" / "a.pem", Path("/etc/a.key"))
    assert (found.url, found.dev, found.requester) == ("https://[::1]:8765", True, "$.act.sub")
    secret = SecretSource("file", str(tmp_path / "secret"), form="text")
    assert found.sign_in == SignIn("https://login.example", "page", secret)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("audience: lockgate", "3:3: this is the audience of agents' tokens of", id="audience"),
        pytest.param("requester: act.sub", "3:3: ", id="requester"),
        pytest.param(
            "{listen: '127.0.0.1:1', sign_in: {issuer: https://other.example, client_id: x}}",
            "https://other.example is none of the issuers: add it to issuers, or name one of them",
            id="sign-in",
        ),
    ],
)
def test_what_is_wrong(problems: Callable[..., tuple[Problem, ...]], text: str, problem: str) -> None:
    section = f"approvals: {text}" if text.startswith("{") else f"approvals:\n  {text}"
    (found,) = problems({"gateway.yaml": f"issuers:\n  - dev: true\n{section}\n"})
    assert problem.split(": ", 1)[-1] in str(found)


def test_development_approvers_need_the_development_issuer(problems: Callable[..., tuple[Problem, ...]]) -> None:
    issuer = "issuers:\n  - {issuer: https://l.example, audience: a, algorithms: [RS256], roles: $.roles}\n"
    (found,) = problems({"gateway.yaml": f"{issuer}approvals: {{dev: true}}\n"})
    assert "there is no development issuer" in str(found)
