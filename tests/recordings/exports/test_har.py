from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema

from lockgate.recordings.exports import har
from lockgate.recordings.exports.entry import Leaving, entry_of
from lockgate.recordings.files import Record

MakeRecord = Callable[..., Record]

TEXT = {"type": "string"}
NUMBER = {"type": "number", "minimum": -1}


def thing(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """An object as the specification has it: these members, ours with an underscore, a comment, and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional, "comment": TEXT},
        "patternProperties": {"^_": {}},
        "additionalProperties": False,
    }


PAIRS = {"type": "array", "items": thing({"name": TEXT, "value": TEXT})}
MESSAGE = {"httpVersion": TEXT, "cookies": PAIRS, "headers": PAIRS, "headersSize": NUMBER, "bodySize": NUMBER}
REQUEST = thing(
    {"method": TEXT, "url": {"type": "string", "format": "uri"}, "queryString": PAIRS, **MESSAGE},
    postData=thing({"mimeType": TEXT, "text": TEXT}),
)
RESPONSE = thing(
    {
        "status": {"type": "integer"},
        "statusText": TEXT,
        "content": thing({"size": NUMBER, "mimeType": TEXT}, text=TEXT, encoding=TEXT),
        "redirectURL": TEXT,
        **MESSAGE,
    }
)
ENTRY = thing(
    {
        "startedDateTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)$"},
        "time": {"type": "number", "minimum": 0},
        "request": REQUEST,
        "response": RESPONSE,
        "cache": {"type": "object"},
        "timings": thing({"send": NUMBER, "wait": NUMBER, "receive": NUMBER}, connect=NUMBER),
    },
    serverIPAddress=TEXT,
    connection=TEXT,
)
LOG = thing({"version": {"const": "1.2"}, "creator": thing({"name": TEXT, "version": TEXT})}, entries={
    "type": "array",
    "items": ENTRY,
})  # fmt: skip
HAR = {"type": "object", "required": ["log"], "properties": {"log": LOG}}


def document(*lines: bytes) -> Any:
    return json.loads(har.head("1.0") + b",".join(lines) + b"\n" + har.tail({"kind": "some"}))


def test_it_is_an_archive_as_the_specification_has_it(make_record: MakeRecord) -> None:
    """http://www.softwareishard.com/blog/har-12-spec/"""
    refused = {"refusal": {"status": 403, "detail": "No."}, "sent": False}
    gone = make_record(said=refused)
    gone.state["response"] = None  # type: ignore[index]
    lines = [
        har.render(entry_of(record, leaving))
        for record in (make_record(), make_record(method="GET", body=b"", answer=b"\xff\x00"), gone)
        for leaving in (Leaving(), Leaving(bodies=False), Leaving(("$.amount",)))
    ]
    jsonschema.validate(document(*lines), HAR)


def test_what_it_says(make_record: MakeRecord) -> None:
    fields = ((b"set-cookie", b"a=b; Path=/"), (b"location", b"/there"), (b"content-type", b"image/png"))
    [entry] = document(har.render(entry_of(make_record(answer=b"\xff\xd8", answer_headers=fields), Leaving())))["log"][
        "entries"
    ]
    assert entry["request"]["queryString"] == [{"name": "n", "value": "1"}]
    assert json.loads(entry["request"]["postData"]["text"])["amount"] == 4711
    assert entry["response"]["content"] == {"size": 2, "mimeType": "image/png", "text": "/9g=", "encoding": "base64"}
    assert entry["response"]["redirectURL"] == "/there"
    assert entry["_lockgate"]["chain"]["number"] == 1


def test_nothing_in_it_moves_a_cursor_or_turns_the_text(make_record: MakeRecord) -> None:
    nasty = "\u202e\x1b[2J\x85\u2028\ud800".encode("utf-8", "surrogatepass")
    record = make_record(path=b"/v1/" + nasty, body=nasty, answer=nasty, headers=((b"x-" + nasty, nasty),))
    line = har.render(entry_of(record, Leaving()))
    assert line.isascii()
    assert line.decode().isprintable()
    json.loads(line)
