from __future__ import annotations

import json
import pickle

import pytest

from lockgate.credentials.token_endpoint import LONGEST, UNSAID, granted
from lockgate.errors import SecretUnavailable
from lockgate.outbound import Reply

TOKEN = "2YotnFZFEjr1zCsicMWpAA"
GOOD = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}


def reply(document, status=200, content_type="application/json;charset=UTF-8"):
    return Reply(status, content_type, document if isinstance(document, bytes) else json.dumps(document).encode())


@pytest.mark.parametrize(
    ("changes", "lifetime"),
    [
        pytest.param({}, 3600, id="usual"),
        pytest.param({"token_type": "bearer"}, 3600, id="lower-case"),
        pytest.param({"token_type": "BEARER", "scope": "a", "id_token": "x.y.z"}, 3600, id="more-members"),
        pytest.param({"expires_in": None}, UNSAID, id="no-expiry"),
        pytest.param({"expires_in": "3599"}, 3599, id="expiry-as-text"),
        pytest.param({"expires_in": 0.5}, 0.5, id="fraction"),
        pytest.param({"expires_in": 10**9}, LONGEST, id="expiry-far-away"),
    ],
)
def test_granted(changes, lifetime):
    found = granted(reply({name: value for name, value in {**GOOD, **changes}.items() if value is not None}))
    assert (found.access_token, found.lifetime, found.refresh_token) == (TOKEN, lifetime, None)


def test_a_refresh_token_that_comes_with_it():
    assert granted(reply({**GOOD, "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA"})).refresh_token == "tGzv3JOkF0XG5Qx2TlKWIA"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param(reply(GOOD, content_type="text/html"), "not a JSON object", id="html"),
        pytest.param(reply(GOOD, content_type=None), "not a JSON object", id="no-type"),
        pytest.param(reply(b"<html>hunter2</html>"), "not a JSON object", id="no-json"),
        pytest.param(reply([GOOD]), "not a JSON object", id="list"),
        pytest.param(
            reply(b'{"access_token": "a", "access_token": "hunter2"}'), "not a JSON object", id="member-twice"
        ),
        pytest.param(reply({}), "no access_token", id="nothing"),
        pytest.param(reply({**GOOD, "access_token": ""}), "no access_token", id="empty"),
        pytest.param(reply({**GOOD, "access_token": "hunter2"}), "no access_token", id="short"),
        pytest.param(reply({**GOOD, "access_token": "hunter2" * 2000}), "no access_token", id="long"),
        pytest.param(reply({**GOOD, "access_token": "hunter2 hunter2"}), "no access_token", id="space"),
        pytest.param(
            reply({**GOOD, "access_token": "hunter2\r\nX-Admin: 1"}), "no access_token", id="header-injection"
        ),
        pytest.param(reply({**GOOD, "access_token": "hunter2é-hunter2"}), "no access_token", id="not-ascii"),
        pytest.param(reply({**GOOD, "access_token": [TOKEN]}), "no access_token", id="token-list"),
        pytest.param(reply({"access_token": TOKEN}), "no bearer token", id="no-token-type"),
        pytest.param(reply({**GOOD, "token_type": "mac"}), "no bearer token", id="another-token-type"),
        pytest.param(reply({**GOOD, "token_type": "DPoP"}), "no bearer token", id="dpop"),
        pytest.param(reply({**GOOD, "token_type": 1}), "no bearer token", id="token-type-number"),
        pytest.param(reply({**GOOD, "expires_in": 0}), "no expires_in", id="expired"),
        pytest.param(reply({**GOOD, "expires_in": -1}), "no expires_in", id="negative"),
        pytest.param(reply({**GOOD, "expires_in": True}), "no expires_in", id="expiry-boolean"),
        pytest.param(reply({**GOOD, "expires_in": "1h"}), "no expires_in", id="expiry-text"),
        pytest.param(reply({**GOOD, "expires_in": "٣"}), "no expires_in", id="expiry-other-digits"),
        pytest.param(reply({**GOOD, "refresh_token": 1}), "refresh_token", id="refresh-token-number"),
        pytest.param(reply({**GOOD, "refresh_token": "hunter2\n1"}), "refresh_token", id="refresh-token-control"),
        pytest.param(reply({"error": "invalid_client"}, 401), "answers 401, invalid_client$", id="invalid-client"),
        pytest.param(reply({"error": "hunter2"}, 400), "answers 400$", id="unknown-error"),
        pytest.param(reply({"error": ["invalid_client"]}, 400), "answers 400$", id="error-list"),
        pytest.param(reply(b"hunter2", 500, "text/plain"), "answers 500$", id="fault"),
        pytest.param(reply(b"", 302, None), "answers 302$", id="redirect"),
        pytest.param(reply(GOOD, 201), "answers 201$", id="created"),
    ],
)
def test_refused_without_its_words(answer, problem):
    with pytest.raises(SecretUnavailable, match=problem) as caught:
        granted(answer)
    assert not any(word in repr(caught.value) for word in ("hunter2", TOKEN))


def test_secrecy():
    found = granted(reply({**GOOD, "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA"}))
    assert "2Yotn" not in repr(found)
    assert "tGzv3" not in repr(found)
    with pytest.raises(TypeError):
        pickle.dumps(found)
