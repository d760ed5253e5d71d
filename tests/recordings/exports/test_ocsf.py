from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lockgate.recordings.exports import ocsf
from lockgate.recordings.exports.entry import Leaving, entry_of
from lockgate.recordings.files import Record

MakeRecord = Callable[..., Record]
REFUSED = {"refusal": {"status": 403, "detail": "Denied by rule."}, "sent": False}


def event(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ocsf.render(entry_of(record, Leaving())))
    return found


def test_it_is_an_api_activity(make_record: MakeRecord) -> None:
    """What the class requires, and what the profile `security_control` adds."""
    found = event(make_record())
    assert (found["category_uid"], found["class_uid"], found["type_uid"]) == (6, 6003, 600301)
    assert (found["time"], found["severity_id"]) == (1700000000000, 1)
    assert found["metadata"]["profiles"] == ["security_control"]
    assert found["actor"]["user"]["uid"] == "agent-7"
    assert found["api"]["service"] == {"name": "crm"}
    assert found["src_endpoint"] == {"ip": "127.0.0.1", "port": 50000}
    assert (found["dst_endpoint"]["hostname"], found["dst_endpoint"]["port"]) == ("api.crm.example", 443)
    assert found["http_request"]["url"]["query_string"] == "n=1"
    assert found["http_response"]["code"] == 200
    assert found["policy"]["uid"] == "support/some-rule"
    assert found["unmapped"]["lockgate"]["chain"]["number"] == 1
    assert (found["action"], found["disposition"]) == ("Allowed", "Allowed")


@pytest.mark.parametrize(
    ("method", "activity"), [("GET", 2), ("HEAD", 2), ("POST", 1), ("PUT", 3), ("PATCH", 3), ("DELETE", 4), ("ODD", 99)]
)
def test_activities(make_record: MakeRecord, method: str, activity: int) -> None:
    found = event(make_record(method=method))
    assert (found["activity_id"], found["type_uid"]) == (activity, 600300 + activity)


def test_what_was_refused_was_denied_and_blocked(make_record: MakeRecord) -> None:
    found = event(make_record(said=REFUSED, status=403))
    assert (found["action_id"], found["disposition_id"], found["status_id"]) == (2, 2, 2)
    assert found["status_detail"] == "Denied by rule."


def test_a_caller_that_nobody_knows(make_record: MakeRecord) -> None:
    found = event(make_record(said={"principal": None, "client": "", "decision": None, "target": None}))
    assert found["actor"]["user"] == {"name": "unknown", "type_id": 0}
    assert found["src_endpoint"] == {"name": "unknown"}


def test_the_manifest_is_an_event_too() -> None:
    line = ocsf.tail({"kind": "some", "time_ms": 5})
    assert json.loads(line)["class_uid"] == 0
    assert ocsf.manifest_in(line) == {"kind": "some", "time_ms": 5}
