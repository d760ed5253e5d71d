from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from lockgate.recordings.exports.entry import Leaving, entry_of, is_request
from lockgate.recordings.files import Record

MakeRecord = Callable[..., Record]


def test_an_entry_is_its_record(make_record: MakeRecord) -> None:
    entry = entry_of(make_record(), Leaving())
    assert (entry.method, entry.url) == ("POST", "https://api.crm.example/v1/orders?n=1")
    assert entry.request.body == b'{"amount": 4711, "note": "hello"}'
    assert entry.response is not None
    assert (entry.status, entry.response.body) == (200, b'{"id": 1, "amount": 4711}')
    assert entry.link.number == 1
    assert entry.said["fingerprint"] == "cd" * 32


@pytest.mark.parametrize(
    ("redact", "gone", "kept"),
    [
        pytest.param("$.amount", "4711", "hello", id="body"),
        pytest.param("$..amount", "4711", "red", id="any depth"),
        pytest.param("header:X-Team", "'red'", "4711", id="header"),
        pytest.param("query:n", "n=1", "4711", id="query"),
    ],
)
def test_what_is_left_out_is_nowhere(make_record: MakeRecord, redact: str, gone: str, kept: str) -> None:
    """Not in the messages, nor in what the gateway says of them."""
    plain, less = repr(entry_of(make_record(), Leaving())), repr(entry_of(make_record(), Leaving((redact,))))
    assert gone in plain
    assert kept in plain
    assert gone not in less
    assert kept in less
    assert "cd" * 32 not in less


def test_no_bodies(make_record: MakeRecord) -> None:
    shown = repr(entry_of(make_record(), Leaving(bodies=False)))
    assert "4711" not in shown
    assert "left out of this export" in shown


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(b"amount=4711", b"application/x-www-form-urlencoded", id="form"),
        pytest.param(b'{"amount": 4711', b"application/json", id="cut"),
        pytest.param(b'{"amount": 4711}', b"text/plain", id="undeclared"),
        pytest.param(b'data: {"amount": 4711}\n\n', b"text/event-stream", id="stream"),
    ],
)
def test_a_body_in_which_a_path_cannot_be_found_is_left_out_whole(
    make_record: MakeRecord, body: bytes, kind: bytes
) -> None:
    record = make_record(body=body, headers=((b"content-type", kind),), answer=b"", said={"decision": None})
    assert "4711" not in repr(entry_of(record, Leaving(("$.amount",))))


def test_an_encoded_body_is_decoded_before_anything_is_left_out(make_record: MakeRecord) -> None:
    fields = ((b"content-type", b"application/json"), (b"content-encoding", b"gzip"))
    record = make_record(answer=gzip.compress(b'{"amount": 99}'), answer_headers=fields)
    whole, less = entry_of(record, Leaving()), entry_of(record, Leaving(("$.amount",)))
    assert whole.response is not None
    assert less.response is not None
    assert whole.response.body == b'{"amount": 99}'
    assert b"99" not in (less.response.body or b"")


@pytest.mark.parametrize("text", ["amount", "header:", "body:$.a", "$[?(@.a)]", "$...", ""])
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Leaving((text,)).require_compilable()


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"time": "yesterday"}, id="time"),
        pytest.param({"refusal": "no"}, id="refusal"),
        pytest.param({"decision": {"considered": 7}}, id="considered"),
    ],
)
def test_a_record_of_another_shape_is_none(make_record: MakeRecord, said: dict[str, Any]) -> None:
    parts = {"status": 200} if "refusal" not in said else {}
    record = make_record(said=said, **parts)
    if "refusal" in said:
        record.state["response"] = None  # type: ignore[index]
    with pytest.raises(ValueError, match=r"\w"):
        entry_of(record, Leaving(bodies=False))


def test_an_event_is_no_request(make_record: MakeRecord) -> None:
    assert is_request(make_record())
    assert not is_request(make_record(said={"event": "start"}))
    assert not is_request(Record(make_record().path, 0, b"3:abc,"))
