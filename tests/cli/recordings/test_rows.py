from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockgate.cli.recordings.rows import cells
from lockgate.recordings.summary import moment, names, request_line, summary

MakeState = Callable[..., dict[str, Any]]


def test_a_request_in_a_line(make_state: MakeState) -> None:
    row = summary(make_state("req-1", "deny", 403, "support", "crm"))
    assert (row["id"], row["verdict"], row["rule"], row["status"]) == ("req-1", "deny", "support/some-rule", 403)
    assert cells(row)[-1] == "GET /v1/req-1"


def test_it_has_two_names(make_state: MakeState) -> None:
    assert names(make_state("req-1", "allow", 200, "support", "crm")) == ("req-1", "flow-req-1")


def test_a_flow_of_anybodys() -> None:
    row = summary({"id": "x", "type": "tcp", "timestamp_created": 0.0})
    assert (row["id"], row["verdict"], row["request"]) == ("x", None, "tcp")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2023-11-14T22:13:20.000+00:00", "2023-11-14T22:13:20.000+00:00"),
        (0.0, "1970-01-01T00:00:00.000+00:00"),
        (float("inf"), "-"),
        (None, "-"),
    ],
)
def test_times(value: Any, shown: str) -> None:
    assert moment(value) == shown


def test_where_a_tunnel_leads() -> None:
    request = {"method": b"CONNECT", "authority": b"a.example:443", "path": b"", "host": "a.example"}
    assert request_line({"type": "http", "request": request}) == "CONNECT a.example:443"
