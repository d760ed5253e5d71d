from __future__ import annotations

from typing import Any

import pytest
from mitmproxy.test import tflow

from lockgate.recordings.dump import flow_state
from lockgate.recordings.resend import Given, NotReplayable, resend


def state_of(*, redactions: tuple[str, ...] = (), max_body: int = 1000, **parts: Any) -> dict[str, Any]:
    flow = tflow.tflow(resp=True)
    flow.request.method = parts.get("method", "POST")
    flow.request.data.path = parts.get("path", b"/v1/orders?n=1")
    flow.request.headers.clear()
    for name, value in parts.get("headers", ((b"content-type", b"application/json"), (b"x-team", b"red"))):
        flow.request.headers.add(name, value)
    flow.request.data.content = parts.get("body", b'{"amount": 5}')
    flow.request.headers["content-length"] = str(len(flow.request.data.content))
    said = {"request_id": "req-1", "target": "crm", "principal": None, **parts.get("said", {})}
    return flow_state(flow, said, redactions=redactions, max_body=max_body)


def missing(state: dict[str, Any], given: Given | None = None) -> str:
    with pytest.raises(NotReplayable) as raised:
        resend(state, given or Given())
    return str(raised.value)


def test_what_is_sent() -> None:
    fields = (
        (b"x-team", b"red"),
        (b"Host", b"api.crm.example"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Cookie", b"a=b"),
        (b"Lockgate-Replay", b"x"),
        (b"X-Forwarded-For", b"1.2.3.4"),
    )
    found = resend(state_of(headers=fields), Given(headers=((b"x-extra", b"1"),)))
    assert (found.id, found.target, found.method, found.path) == ("req-1", "crm", "POST", b"/v1/orders?n=1")
    assert found.headers == ((b"x-team", b"red"), (b"x-extra", b"1"))
    assert found.body == b'{"amount": 5}'
    assert found.writes
    assert not resend(state_of(method="GET", body=b""), Given()).writes


def test_a_given_field_replaces_all_of_its_name() -> None:
    fields = ((b"X-Team", b"red"), (b"x-team", b"blue"))
    assert resend(state_of(headers=fields), Given(headers=((b"x-TEAM", b"green"),))).headers == ((b"x-TEAM", b"green"),)


@pytest.mark.parametrize(
    ("parts", "name", "given"),
    [
        pytest.param(
            {"headers": ((b"X-Api-Key", b"k"),)}, "header:x-api-key", {"headers": ((b"x-api-key", b"k"),)}, id="header"
        ),
        pytest.param(
            {"path": b"/v1?access_token=t"}, "query:access_token", {"path": b"/v1?access_token=t"}, id="query"
        ),
        pytest.param({"body": b'{"password": "p"}'}, "field:password", {"body": b"{}"}, id="field"),
        pytest.param({"redactions": ("$.amount",)}, "body:$.amount", {"body": b"{}"}, id="by a rule"),
        pytest.param({"redactions": ("query.n",)}, "query:n", {"path": b"/v1"}, id="query by a rule"),
        pytest.param(
            {"redactions": ("headers.x-team",)},
            "header:x-team",
            {"headers": ((b"x-team", b"r"),)},
            id="header by a rule",
        ),
        pytest.param({"max_body": 3}, "body", {"body": b"{}"}, id="truncated"),
        pytest.param({"redactions": ("record:headers",)}, "body", {"body": b"{}"}, id="record: headers"),
        pytest.param({"said": {"withheld": {"request": "it is not JSON"}}}, "body", {"body": b"{}"}, id="withheld"),
    ],
)
def test_what_was_not_kept_is_named_and_can_be_given(parts: dict[str, Any], name: str, given: dict[str, Any]) -> None:
    state = state_of(**parts)
    if "said" in parts:
        state["metadata"]["lockgate"].update(parts["said"])
    assert name in missing(state).partition("missing: ")[2].split(", ")
    found = resend(state, Given(**given))
    assert b"[redacted]" not in repr((found.path, found.headers, found.body)).encode()


def test_digest_keeps_nothing() -> None:
    state = state_of(redactions=("record:digest",))
    assert missing(state).endswith("missing: headers, query, body")
    assert missing(state, Given(body=b"{}")).endswith("missing: headers, query")
    assert resend(state, Given(headers=((b"a", b"b"),), body=b"{}", path=b"/v1")).path == b"/v1"


def test_giving_one_thing_does_not_stand_for_another() -> None:
    state = state_of(headers=((b"X-Api-Key", b"k"),), body=b'{"password": "p"}')
    assert missing(state, Given(body=b"{}")).endswith("missing: header:x-api-key")
    assert missing(state, Given(headers=((b"x-api-key", b"k"),))).endswith("missing: field:password")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"path": b"/v1\r\nX-Evil: 1"}, id="path"),
        pytest.param({"path": b"/v1 HTTP/1.1"}, id="space in a path"),
        pytest.param({"path": b"http://elsewhere.example/"}, id="absolute"),
        pytest.param({"path": b"//\xff"}, id="not ASCII"),
        pytest.param({"headers": [[b"x-a", b"1\r\nX-Evil: 1"]]}, id="value"),
        pytest.param({"headers": [[b"x-a", b"1\0"]]}, id="NUL"),
        pytest.param({"headers": [[b"x-a: 1\r\nx-evil", b"1"]]}, id="name"),
        pytest.param({"headers": [[b"x-a:b", b"1"]]}, id="colon in a name"),
        pytest.param({"headers": [[b"", b"1"]]}, id="no name"),
        pytest.param({"method": b"GET /\r\n"}, id="method"),
        pytest.param({"method": b"CONNECT"}, id="CONNECT"),
        pytest.param({"method": b"\xff"}, id="method that is none"),
        pytest.param({"headers": [[b"Upgrade", b"websocket"]]}, id="WebSocket"),
        pytest.param({"headers": 7}, id="no headers"),
    ],
)
def test_bytes_that_somebody_put_into_a_record_go_nowhere(change: dict[str, Any]) -> None:
    state = state_of()
    state["request"] = {**state["request"], **change}
    with pytest.raises(NotReplayable):
        resend(state, Given())


def test_what_is_no_request() -> None:
    event = state_of()
    event["metadata"]["lockgate"]["event"] = "start"
    nameless = state_of(said={"request_id": "7\r\nX-Evil: 1"})
    for state in (event, nameless, {}, {"type": "tcp", "metadata": {}}, state_of() | {"metadata": {}}):
        with pytest.raises(NotReplayable):
            resend(state, Given())
