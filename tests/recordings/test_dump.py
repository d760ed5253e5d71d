from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from mitmproxy import certs, flow, http
from mitmproxy.io import FlowReader
from mitmproxy.test import tflow, tutils

from lockgate.recordings.delivered import Delivered
from lockgate.recordings.dump import entry, event_state, flow_state, loads, plain, stopped_state
from lockgate.recordings.tnetstring import dumps

SECRET = "s3cr3t-value"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJl"


def read(data: bytes) -> list[flow.Flow]:
    return list(FlowReader(io.BytesIO(data)).stream())


def lockgate(state: dict[str, Any]) -> dict[str, Any]:
    assert list(state["metadata"]) == ["lockgate"]
    return state["metadata"]["lockgate"]


@pytest.fixture
def http_flow() -> http.HTTPFlow:
    return tflow.tflow(resp=True)


def test_stock_mitmproxy_reads_it(http_flow: http.HTTPFlow, projection: dict[str, Any]) -> None:
    [again] = read(dumps(flow_state(http_flow, projection)))
    assert isinstance(again, http.HTTPFlow)
    assert again.id == http_flow.id
    assert again.request.content == b"content"
    assert again.response
    assert again.response.content == b"message"
    assert again.metadata == {"lockgate": projection}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(tflow.tflow, id="no-response"),
        pytest.param(lambda: tflow.tflow(err=True), id="error"),
        pytest.param(tflow.twebsocketflow, id="websocket"),
        pytest.param(tflow.ttcpflow, id="tcp"),
        pytest.param(tflow.tudpflow, id="udp"),
        pytest.param(lambda: tflow.tdnsflow(resp=True), id="dns"),
        pytest.param(
            lambda: tflow.tflow(req=tutils.treq(method=b"CONNECT", path=b"", authority=b"u:p@h:443", host="h")),
            id="connect",
        ),
    ],
)
def test_every_kind_of_flow(make: Any, projection: dict[str, Any]) -> None:
    subject = make()
    state = flow_state(subject, projection)
    [again] = read(dumps(state))
    assert (type(again), again.id) == (type(subject), subject.id)
    assert loads(dumps(state)) == json_like(state)


def json_like(value: Any) -> Any:
    """As it comes back: tuples are lists."""
    if isinstance(value, dict):
        return {key: json_like(entry) for key, entry in value.items()}
    return [json_like(entry) for entry in value] if isinstance(value, list | tuple) else value


def test_what_is_read_serialises_to_the_same_bytes(http_flow: http.HTTPFlow, projection: dict[str, Any]) -> None:
    data = dumps(flow_state(http_flow, projection))
    assert dumps(loads(data)) == data


def test_nothing_of_mitmproxys_own_bookkeeping_is_kept(http_flow: http.HTTPFlow, tdata_cert: certs.Cert) -> None:
    http_flow.metadata["token"] = SECRET
    http_flow.request.headers["x"] = SECRET
    http_flow.backup()
    http_flow.request.headers["x"] = "changed"
    http_flow.client_conn.mitmcert = tdata_cert
    http_flow.server_conn.certificate_list = [tdata_cert]
    state = flow_state(http_flow, {})
    assert SECRET.encode() not in dumps(state)
    assert state["backup"] is None
    assert state["client_conn"]["mitmcert"] is None
    assert state["server_conn"]["certificate_list"] == []
    assert lockgate(state) == {}


@pytest.fixture(scope="module")
def tdata_cert() -> certs.Cert:
    key, certificate = certs.create_ca("lockgate tests", "lockgate tests", 2048)
    assert key
    return certs.Cert(certificate)


def everywhere(subject: http.HTTPFlow) -> None:
    """Put a secret wherever one may stand."""
    request, response = subject.request, subject.response
    assert response
    request.path = f"/a?access_token={SECRET}&ok=1"
    request.authority = f"user:{SECRET}@host:443"
    for message in (request, response):
        message.headers["authorization"] = f"Bearer {SECRET}"
        message.headers["set-cookie"] = f"a={SECRET}"
        message.headers["location"] = f"https://h/?code={SECRET}"
        message.headers["x-new-token"] = SECRET
        message.trailers = http.Headers([(b"x-api-key", SECRET.encode())])
        message.content = json.dumps({"a": [{"client_secret": SECRET}], "token": SECRET}).encode()
    response.reason = f"token={SECRET}"
    subject.comment = f"deny: {JWT}"
    subject.error = flow.Error(f"bad header: authorization: {SECRET}")
    subject.server_conn.error = f"token={SECRET}"


def test_secrets_are_redacted_on_both_sides(http_flow: http.HTTPFlow, projection: dict[str, Any]) -> None:
    everywhere(http_flow)
    before = http_flow.get_state()
    state = flow_state(http_flow, projection | {"stage": f"x {JWT}"})
    data = dumps(state)
    assert SECRET.encode() not in data
    assert JWT.encode() not in data
    assert http_flow.get_state() == before
    [again] = read(data)
    assert isinstance(again, http.HTTPFlow)
    assert again.request.path == "/a?access_token=[redacted]&ok=1"
    assert again.request.authority == "[redacted]@host:443"
    assert json.loads(again.request.content or b"") == {"a": [{"client_secret": "[redacted]"}], "token": "[redacted]"}
    redacted = lockgate(state)["redacted"]
    assert {"query:access_token", "header:authorization", "field:client_secret"} <= set(redacted["request"])
    assert {"header:set-cookie", "header:x-api-key", "field:token"} <= set(redacted["response"])


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        pytest.param("application/json", f'{{"password": "{SECRET}', b'{"password": "[redacted]', id="malformed"),
        pytest.param("application/json", f'{{"password": "{SECRET}"}}'.encode("utf-16"), None, id="utf-16"),
        pytest.param("application/json", f'{{"password": "{SECRET}"}}'.encode("utf-16-le"), None, id="utf-16-bare"),
        pytest.param("application/json", f'{{"password": "{SECRET}"}}'.encode("utf-32-be"), None, id="utf-32-bare"),
        pytest.param(
            "application/x-www-form-urlencoded", f"password=a;{SECRET}&b=1", b"password=[redacted]&b=1", id="f"
        ),
        pytest.param(
            "application/x-www-form-urlencoded", f'{{"password":"a={SECRET}"}}', None, id="json-said-to-be-form"
        ),
        pytest.param("text/plain", f"password={SECRET}&b=1", b"password=[redacted]&b=1", id="form-said-to-be-text"),
        pytest.param("", f'{{"password":"{SECRET}"}}', b'{"password":"[redacted]"}', id="no-type"),
    ],
)
def test_bodies_are_redacted_whatever_they_say_they_are(
    http_flow: http.HTTPFlow, content_type: str, body: str | bytes, expected: bytes | None
) -> None:
    http_flow.request.headers["content-type"] = content_type
    http_flow.request.content = body.encode() if isinstance(body, str) else body
    content = flow_state(http_flow, {})["request"]["content"]
    assert SECRET.encode() not in content.replace(b"\0", b"")
    assert b"[redacted]" in content
    assert expected in (None, content)


def encoded(subject: http.HTTPFlow, body: bytes, encoding: str = "gzip") -> None:
    subject.request.headers["content-encoding"] = encoding
    subject.request.data.content = gzip.compress(body)


def test_an_encoded_body_without_secrets_is_kept_as_it_was(http_flow: http.HTTPFlow) -> None:
    encoded(http_flow, b'{"a":1}')
    state = flow_state(http_flow, {})
    assert gzip.decompress(state["request"]["content"]) == b'{"a":1}'
    assert [b"content-encoding", b"gzip"] in state["request"]["headers"]
    assert lockgate(state) == {}


def test_an_encoded_body_with_secrets_is_recorded_decoded(http_flow: http.HTTPFlow) -> None:
    encoded(http_flow, b'{"token":"x"}')
    state = flow_state(http_flow, {})
    assert state["request"]["content"] == b'{"token":"[redacted]"}'
    assert b"content-encoding" not in dict(state["request"]["headers"])
    assert lockgate(state)["decoded"] == {"request": "gzip"}


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        pytest.param("gzip", b'{"token":"x"}' * 1000, "the decoded body is larger than 100 bytes", id="a-bomb"),
        pytest.param("br", b'{"token":"x"}', "the br stream is", id="damaged"),
        pytest.param("gzip, br", b'{"token":"x"}', "the content encoding must be exactly one of", id="two"),
        pytest.param("rot13", b'{"token":"x"}', "the content encoding must be exactly one of", id="unknown"),
    ],
)
def test_what_cannot_be_looked_into_is_not_recorded(
    http_flow: http.HTTPFlow, encoding: str, body: bytes, reason: str
) -> None:
    encoded(http_flow, body, encoding)
    state = flow_state(http_flow, {}, max_body=100)
    assert state["request"]["content"] == b""
    assert lockgate(state)["withheld"]["request"].startswith(reason)


def test_long_bodies_are_cut_and_it_is_noted(http_flow: http.HTTPFlow) -> None:
    assert http_flow.response
    http_flow.request.content = b"x" * 101
    http_flow.response.content = b"x" * 100
    state = flow_state(http_flow, {}, max_body=100)
    assert len(state["request"]["content"]) == 100
    assert len(state["response"]["content"]) == 100
    assert lockgate(state)["truncated"] == {"request": 101}


def test_a_secret_at_the_cut_is_redacted(http_flow: http.HTTPFlow) -> None:
    http_flow.request.content = b'{"password":"' + b"x" * 200 + b'"}'
    assert flow_state(http_flow, {}, max_body=50)["request"]["content"] == b'{"password":"[redacted]'


def test_a_streamed_body_stays_absent(http_flow: http.HTTPFlow) -> None:
    http_flow.request.content = None
    assert flow_state(http_flow, {})["request"]["content"] is None


def test_messages_are_redacted_and_cut_together(projection: dict[str, Any]) -> None:
    subject = tflow.twebsocketflow()
    assert subject.websocket
    for message, content in zip(subject.websocket.messages, (b'{"token":"x"}', b"y" * 50, b"z" * 50), strict=True):
        message.content = content
    state = flow_state(subject, projection, max_body=70)
    assert [message[2] for message in state["websocket"]["messages"]] == [
        b'{"token":"[redacted]"}',
        b"y" * 50,
        b"z" * 7,
    ]
    assert lockgate(state)["truncated"] == {"messages": 43}
    tcp = tflow.ttcpflow()
    tcp.messages[0].content = b"password=x"
    assert flow_state(tcp, projection)["messages"][0][1] == b"password=[redacted]"


def by_rule(subject: http.HTTPFlow) -> dict[str, Any]:
    redactions = ("$.card.number", "headers.x-customer", "query.ssn")
    return flow_state(subject, {"stage": None}, redactions=redactions)


def asked(subject: http.HTTPFlow, body: bytes, path: str = "/v1/x", content_type: str = "application/json") -> None:
    subject.request.path = path
    subject.request.headers["content-type"] = content_type
    subject.request.headers["content-length"] = str(len(body))
    subject.request.data.content = body


def test_what_rules_leave_out_of_a_request(http_flow: http.HTTPFlow) -> None:
    asked(http_flow, json.dumps({"card": {"number": SECRET}, "n": 1}).encode(), f"/v1/x?ssn={SECRET}&page=2")
    http_flow.request.headers["X-Customer"] = SECRET
    http_flow.request.headers["Referer"] = f"https://api.example/v1/x?SSN={SECRET}"
    http_flow.request.trailers = http.Headers(x_customer=SECRET)
    before = http_flow.get_state()
    state = by_rule(http_flow)
    assert SECRET.encode() not in dumps(state)
    assert http_flow.get_state() == before
    assert state["request"]["path"] == b"/v1/x?ssn=[redacted]&page=2"
    assert state["request"]["content"] == b'{"card":{"number":"[redacted]"},"n":1}'
    assert [b"X-Customer", b"[redacted]"] in state["request"]["headers"]
    redacted = lockgate(state)["redacted"]["request"]
    assert {"query:ssn", "header:x-customer", "body:$.card.number"} <= set(redacted)


def test_what_is_not_left_out_stays_as_it_was(http_flow: http.HTTPFlow) -> None:
    body = b'{ "card" : {"limit": 1.10}, "ssn": 5 }'
    asked(http_flow, body, "/v1/x?page=2&note=ssn")
    state = by_rule(http_flow)
    assert (state["request"]["content"], state["request"]["path"]) == (body, b"/v1/x?page=2&note=ssn")
    assert "redacted" not in lockgate(state)


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        pytest.param(b'{"card": {"number": "s3cr3t-value"', "application/json", "not strict JSON", id="cut-off"),
        pytest.param(b'{"card":{"number":"s3cr3t-value","number":1}}', "application/json", "same key", id="twice"),
        pytest.param(b'{"n":NaN,"card":{"number":"s3cr3t-value"}}', "application/json", "NaN is no", id="nan"),
        pytest.param(b"card[number]=s3cr3t-value", "application/x-www-form-urlencoded", "not declared", id="form"),
        pytest.param(b'{"card":{"number":"s3cr3t-value"}}', "text/plain", "not declared as JSON", id="other-type"),
        pytest.param(
            '{"card":{"number":"s3cr3t-value"}}'.encode("utf-16"), "application/json", "not UTF-8", id="utf-16"
        ),
        pytest.param(b"[" * 200 + b'"s3cr3t-value"' + b"]" * 200, "application/json", "nested more", id="deep"),
    ],
)
def test_a_body_that_rules_cannot_redact_is_withheld(
    http_flow: http.HTTPFlow, body: bytes, content_type: str, reason: str
) -> None:
    asked(http_flow, body, content_type=content_type)
    state = by_rule(http_flow)
    assert state["request"]["content"] == b""
    assert SECRET.encode() not in dumps(state)
    assert reason in lockgate(state)["withheld"]["request"]


def test_a_body_is_redacted_before_it_is_cut_and_beneath_its_encoding(http_flow: http.HTTPFlow) -> None:
    asked(http_flow, b"")
    encoded(http_flow, json.dumps({"n": "x" * 40, "card": {"number": SECRET}}).encode())
    assert SECRET.encode() not in gzip_content(by_rule(http_flow))
    asked(http_flow, json.dumps({"card": {"number": SECRET}, "n": "x" * 400}).encode())
    del http_flow.request.headers["content-encoding"]
    state = flow_state(http_flow, {}, max_body=100, redactions=("$.card.number",))
    assert state["request"]["content"].startswith(b'{"card":{"number":"[redacted]"},"n":"xxx')
    assert len(state["request"]["content"]) == 100


def gzip_content(state: dict[str, Any]) -> bytes:
    assert lockgate(state)["decoded"] == {"request": "gzip"}
    content: bytes = state["request"]["content"]
    return content


def test_rules_leave_answers_as_the_agent_saw_them(http_flow: http.HTTPFlow) -> None:
    asked(http_flow, b"{}")
    assert http_flow.response
    http_flow.response.content = b'{"card":{"number":"1"}}'
    assert by_rule(http_flow)["response"]["content"] == b'{"card":{"number":"1"}}'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"a": (1, 2.5, None, True)}, {"a": [1, 2.5, None, True]}, id="as-it-is"),
        pytest.param("\ud800x", "\\ud800x", id="lone-surrogate"),
        pytest.param(1 << 80, hex(1 << 80), id="huge-number"),
        pytest.param({1: "a"}, {"1": "a"}, id="key-of-another-type"),
        pytest.param(frozenset({"a"}), ["a"], id="set"),
    ],
)
def test_plain(value: object, expected: object) -> None:
    assert plain(value) == expected
    assert loads(dumps({"value": plain(value)})) == {"value": expected}


def test_a_value_of_another_type_is_refused_without_showing_it() -> None:
    class Holder:
        def __repr__(self) -> str:
            return SECRET

    with pytest.raises(ValueError, match="a Holder cannot be recorded") as caught:
        plain({"a": [Holder()]})
    assert SECRET not in str(caught.value)


def test_an_entry_that_many_records_share_is_as_one_of_their_own(
    http_flow: http.HTTPFlow, projection: dict[str, Any]
) -> None:
    principal = {"subject": f"agent {JWT}", "roles": ("support",), "token_id": None}
    own = flow_state(http_flow, projection | {"principal": principal})
    shared = flow_state(http_flow, projection | {"principal": entry(**principal)})
    assert shared == own
    assert dumps(shared) == dumps(own)
    assert JWT not in repr(shared)
    assert lockgate(shared)["principal"] == {"subject": "agent [redacted]", "roles": ["support"], "token_id": None}


@pytest.mark.parametrize("data", [b"", b"1:", b"5:hello,", b"x", b"4:1:a,}", b"1" * 20, b"6:0:]0:~}"])
def test_what_is_no_record_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a record"):
        loads(data)


def test_an_event_is_a_flow_to_the_gateways_own_host() -> None:
    state = event_state("reload", {"generation": "ab", "problems": ["a:1"], "note": JWT}, 5.0)
    [event] = read(dumps(state))
    assert isinstance(event, http.HTTPFlow)
    assert (event.request.method, event.request.url) == ("POST", "https://lockgate.invalid/events/reload")
    assert event.request.json() == {"generation": "ab", "problems": ["a:1"], "note": "[redacted]"}
    assert event.metadata["lockgate"] == {"version": 2, "time": "1970-01-01T00:00:05.000+00:00", "event": "reload"}


@pytest.mark.parametrize(
    ("sending", "words"), [(True, "it was being sent"), (False, "whether it was sent is not known")]
)
def test_a_repaired_flow_says_that_the_gateway_stopped(
    http_flow: http.HTTPFlow, projection: dict[str, Any], sending: bool, words: str
) -> None:
    state = loads(dumps(flow_state(http_flow, projection)))
    [again] = read(dumps(stopped_state(state, sending, 9.0)))
    assert again.error
    assert again.error.msg == f"The gateway stopped before this request was finished; {words}."
    repaired = {"time": "1970-01-01T00:00:09.000+00:00", "sending": sending}
    assert again.metadata["lockgate"] == {**projection, "repaired": repaired}


@pytest.fixture
def delivered() -> Delivered:
    streamed = Delivered(1000)
    streamed.add(b'data: {"password": "hunter2-hunter2"}\n\n')
    streamed.end("complete")
    return streamed


def test_of_a_stream_what_was_delivered_is_the_body(
    http_flow: http.HTTPFlow, projection: dict[str, Any], delivered: Delivered
) -> None:
    assert http_flow.response
    http_flow.response.raw_content = None
    state = flow_state(http_flow, projection, streamed=delivered)
    assert state["response"]["content"] == b'data: {"password": "[redacted]"}\n\n'
    assert lockgate(state)["streamed"] == {"length": delivered.length, "ended": "complete"}
    assert lockgate(state)["redacted"]["response"] == ["field:password"]
    [again] = read(dumps(state))
    assert isinstance(again, http.HTTPFlow)


def test_half_a_coded_stream_is_withheld(http_flow: http.HTTPFlow, projection: dict[str, Any]) -> None:
    streamed = Delivered(1000)
    streamed.add(gzip.compress(b"x" * 1000)[:20])
    assert http_flow.response
    http_flow.response.headers["content-encoding"] = "gzip"
    state = flow_state(http_flow, projection, streamed=streamed)
    assert state["response"]["content"] == b""
    assert "cut short" in lockgate(state)["withheld"]["response"]


def test_without_an_answer_nothing_was_streamed(projection: dict[str, Any], delivered: Delivered) -> None:
    assert "streamed" not in lockgate(flow_state(tflow.tflow(), projection, streamed=delivered))


@pytest.mark.parametrize("make", [lambda: tflow.tflow(resp=True), lambda: tflow.tflow(err=True), tflow.twebsocketflow])
def test_http_state_has_what_mitmproxy_keeps(make: Any, projection: dict[str, Any]) -> None:
    subject = make()
    theirs, ours = plain(subject.get_state()), flow_state(subject, projection)
    assert list(ours) == list(theirs)
    scrubbed = {"metadata", "backup", "client_conn", "server_conn", "request", "response", "websocket"}
    assert {name: ours[name] for name in ours.keys() - scrubbed} == {
        name: theirs[name] for name in ours.keys() - scrubbed
    }
    for side in ("client_conn", "server_conn"):
        assert ours[side] == {
            **theirs[side],
            "certificate_list": [],
            **{n: None for n in ("mitmcert",) if n in ours[side]},
        }


def test_a_connection_is_recorded_as_it_is_at_that_time(http_flow: http.HTTPFlow, projection: dict[str, Any]) -> None:
    before = flow_state(http_flow, projection)["server_conn"]
    assert flow_state(http_flow, projection)["server_conn"] == before
    http_flow.server_conn.tls_version = "TLSv1.2"
    http_flow.server_conn.error = "broke off"
    after = flow_state(http_flow, projection)["server_conn"]
    assert (after["tls_version"], after["error"]) == ("TLSv1.2", "broke off")
