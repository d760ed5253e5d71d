from __future__ import annotations

from typing import Any

import pytest
from mitmproxy.test import tflow

from lockgate.recordings import playback
from lockgate.recordings.dump import flow_state
from lockgate.recordings.playback import Asked, Playback, Recorded, TooMuch, Unknown, Unrecorded

JSON = "application/json"


def state_of(answer: bytes | None = b"one", *, redactions: tuple[str, ...] = (), **parts: Any) -> dict[str, Any]:
    flow = tflow.tflow(resp=answer is not None)
    flow.request.method = parts.get("method", "POST")
    flow.request.host = parts.get("host", "api.crm.example")
    flow.request.data.path = parts.get("path", b"/v1/orders?a=1&b=2")
    flow.request.headers.clear()
    flow.request.headers["content-type"] = parts.get("kind", JSON)
    flow.request.data.content = parts.get("body", b'{"amount": 5, "note": "x"}')
    if flow.response is not None:
        flow.response.status_code = parts.get("status", 200)
        flow.response.data.content = answer
    said = {"request_id": "req-1", "target": parts.get("target", "crm")}
    return flow_state(flow, said, redactions=redactions, max_body=parts.get("max_body", 1000))


def asked(
    path: bytes = b"/v1/orders?a=1&b=2",
    body: bytes = b'{"amount": 5, "note": "x"}',
    method: str = "POST",
    kind: str = JSON,
) -> Asked:
    return Asked(method, path, kind, body)


def of(*states: dict[str, Any], **options: Any) -> Playback:
    found = Playback(**options)
    for state in states:
        found.add(state)
    return found


def body(found: Recorded | Unknown | Unrecorded) -> bytes | None:
    assert isinstance(found, Recorded), found
    return found.body


@pytest.mark.parametrize(
    ("request_", "fits"),
    [
        pytest.param(asked(), True, id="the same"),
        pytest.param(asked(path=b"/v1/orders?b=2&a=1"), True, id="query in another order"),
        pytest.param(asked(body=b'{"note":"x","amount":5}'), True, id="JSON in another order"),
        pytest.param(asked(path=b"/v1/orders?a=1"), False, id="another query"),
        pytest.param(asked(path=b"/v1/order?a=1&b=2"), False, id="another path"),
        pytest.param(asked(body=b'{"note":"x","amount":6}'), False, id="another body"),
        pytest.param(asked(method="PUT"), False, id="another method"),
    ],
)
def test_what_is_the_same_request(request_: Asked, fits: bool) -> None:
    assert isinstance(of(state_of()).answer("crm", request_), Recorded) is fits


def test_several_answers_come_in_order_and_the_last_again() -> None:
    found = of(state_of(b"one"), state_of(b"other", path=b"/v1/else"), state_of(b"two"))
    assert [body(found.answer("crm", asked())) for _ in range(4)] == [b"one", b"two", b"two", b"two"]


def test_strict_takes_nothing_out_of_order() -> None:
    found = of(state_of(b"one"), state_of(b"two", path=b"/v1/else"), strict=True)
    refused = found.answer("crm", asked(path=b"/v1/else"))
    assert refused == Unknown("the next recorded request is POST /v1/orders at crm")
    assert body(found.answer("crm", asked())) == b"one"
    assert body(found.answer("crm", asked(path=b"/v1/else"))) == b"two"
    assert found.answer("crm", asked()) == Unknown("every recorded request has been answered")


@pytest.mark.parametrize(
    ("parts", "request_"),
    [
        pytest.param({"body": b'{"password": "one"}'}, asked(body=b'{"password": "two"}'), id="field"),
        pytest.param({"path": b"/v1?access_token=one"}, asked(path=b"/v1?access_token=two"), id="query"),
        pytest.param({"redactions": ("$.amount",)}, asked(body=b'{"amount": 7, "note": "x"}'), id="body by a rule"),
        pytest.param({"redactions": ("query.a",)}, asked(path=b"/v1/orders?a=9&b=2"), id="query by a rule"),
        pytest.param({"redactions": ("record:headers",)}, asked(body=b'{"any": 1}'), id="record: headers"),
        pytest.param({"redactions": ("record:digest",)}, asked(path=b"/v1/orders", body=b"{}"), id="record: digest"),
        pytest.param({"max_body": 5}, asked(body=b'{"any": 1}'), id="truncated"),
    ],
)
def test_what_was_left_out_of_the_record_does_not_count(parts: dict[str, Any], request_: Asked) -> None:
    assert not isinstance(of(state_of(**parts)).answer("crm", request_), Unknown)


def test_a_record_that_has_it_all_goes_before_one_that_has_not() -> None:
    found = of(state_of(b"any", max_body=5), state_of(b"exact"))
    assert body(found.answer("crm", asked())) == b"exact"


def test_an_answer_that_was_not_kept_is_none() -> None:
    assert isinstance(of(state_of(None)).answer("crm", asked()), Unrecorded)
    assert isinstance(of(state_of(redactions=("record:headers",))).answer("crm", asked()), Unrecorded)
    assert isinstance(of(state_of(b"x" * 2000)).answer("crm", asked()), Unrecorded), "it was truncated"


@pytest.mark.parametrize(
    ("request_", "near"),
    [
        (asked(path=b"/v1/orders?c=1"), "POST /v1/orders was recorded with another query"),
        (asked(body=b"{}"), "POST /v1/orders was recorded with another body"),
        (asked(path=b"/v1/orders", body=b"{}"), "POST /v1/orders was recorded with another query and body"),
        (asked(method="GET"), "/v1/orders was recorded with POST"),
        (asked(path=b"/v1/order"), "the nearest recorded path is /v1/orders"),
        (asked(path=b"/"), "nothing like it was recorded at crm"),
    ],
)
def test_what_is_nearest(request_: Asked, near: str) -> None:
    assert of(state_of()).answer("crm", request_) == Unknown(near)


def test_places() -> None:
    one = of(state_of())
    two = of(state_of(), state_of(target="ledger", host="ledger.example"))
    assert one.place("127.0.0.1", b"/v1/a") == ("crm", b"/v1/a")
    assert two.place("127.0.0.1", b"/v1/a") is None
    assert two.place("127.0.0.1", b"/ledger/v1/a") == ("ledger", b"/v1/a")
    assert two.place("127.0.0.1", b"/ledger") is None
    assert two.place("ledger.example", b"/crm/v1") == ("ledger", b"/crm/v1")
    assert of(state_of(), state_of(target="ledger"), target="crm").targets == {"crm": 1}


@pytest.mark.parametrize(
    "change", [{"type": "tcp"}, {"metadata": {}}, {"request": None}, {"request": {}}, {"websocket": {"messages": []}}]
)
def test_what_is_no_request_is_passed_over(change: dict[str, Any]) -> None:
    assert len(of(state_of() | change)) == 0


def test_no_more_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback, "MOST", 10)
    found = of(state_of(b"x" * 10))
    with pytest.raises(TooMuch):
        found.add(state_of(b"x"))
