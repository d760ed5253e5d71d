from __future__ import annotations

import pytest
from tornado.web import HTTPError

from lockgate.errors import (
    BodyUnreadable,
    KeysUnavailable,
    RevocationsUnavailable,
    StoreUnavailable,
    TokenRejected,
    Unanswered,
    VoteRefused,
)
from lockgate.web.problem import Problem, told


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(Problem(421, "Not here."), (421, "Not here."), id="problem"),
        pytest.param(VoteRefused(409, "It is denied already."), (409, "It is denied already."), id="vote"),
        pytest.param(TokenRejected("expired"), (401, "The token is not taken: expired."), id="token"),
        pytest.param(KeysUnavailable("https://a: no"), (503, "The keys of the token's issuer"), id="keys"),
        pytest.param(RevocationsUnavailable("/var/x"), (503, "It cannot be read what has been revoked."), id="revoked"),
        pytest.param(StoreUnavailable("/var/x"), (503, "Approvals cannot be kept now"), id="store"),
        pytest.param(Unanswered("no answer"), (502, "The sign-in service cannot be asked: no answer."), id="provider"),
        pytest.param(BodyUnreadable("the body is not JSON"), (400, "the body is not JSON."), id="body"),
        pytest.param(HTTPError(405, "secret"), (405, "Method Not Allowed."), id="of-tornado"),
        pytest.param(ValueError("secret"), (500, "Internal Server Error."), id="fault"),
        pytest.param(None, (500, "Internal Server Error."), id="nothing"),
    ],
)
def test_told(error: BaseException | None, expected: tuple[int, str]) -> None:
    status, detail = told(error, 500)
    assert status == expected[0] and detail.startswith(expected[1])
