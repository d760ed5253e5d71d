"""A record in a line: what lists and statistics tell of it. Pure; whatever an agent wrote is in it as it wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lockgate.recordings.dump import read_value
from lockgate.recordings.tnetstring import members, span

HEAD = (b"method", b"path", b"authority", b"scheme", b"host", b"timestamp_start")
ANSWER = (b"status_code", b"timestamp_end")


def outline(raw: bytes) -> dict[str, Any]:
    """A record without bodies and header fields, read several times as fast as all of it. Raises ValueError."""
    top = members(raw, span(raw, 0, len(raw)))
    state: dict[str, Any] = {}
    for name, value in top.items():
        if name in (b"request", b"response") and value.kind == ord("}"):
            wanted = HEAD if name == b"request" else ANSWER
            inner = members(raw, value)
            state[name.decode()] = {
                each.decode(): read_value(raw[inner[each].start : inner[each].end + 1])
                for each in wanted
                if each in inner
            }
        elif name in (b"id", b"type", b"metadata", b"error", b"timestamp_created"):
            state[name.decode("ascii")] = read_value(raw[value.start : value.end + 1])
    if not isinstance(state.get("id"), str):
        raise ValueError("no id")
    return state


def mapping(value: Any) -> dict[str, Any]:
    """A dictionary, empty where there is none: anybody's flow can be listed."""
    return value if isinstance(value, dict) else {}


def projection(state: Mapping[str, Any]) -> dict[str, Any]:
    return mapping(mapping(state.get("metadata")).get("lockgate"))


def row_id(state: Mapping[str, Any]) -> str:
    request_id = projection(state).get("request_id")
    return request_id if isinstance(request_id, str) and request_id else str(state["id"])


def names(state: Mapping[str, Any]) -> tuple[str, str]:
    return row_id(state), str(state["id"])


def summary(state: Mapping[str, Any]) -> dict[str, Any]:
    """One request in a line: `status` is what the agent got, None where nobody knows; `waited` are seconds for persons,
    `took` the milliseconds from the request's first byte to the answer's last.
    """
    lockgate = projection(state)
    principal = mapping(lockgate.get("principal"))
    decision = mapping(lockgate.get("decision"))
    refusal = mapping(lockgate.get("refusal"))
    approval = mapping(lockgate.get("approval"))
    event = lockgate.get("event")
    return {
        "time": lockgate.get("time", state.get("timestamp_created")),
        "id": row_id(state),
        "flow": state["id"],
        "verdict": decision.get("verdict"),
        "rule": decision.get("rule"),
        "status": None if event else refusal.get("status", mapping(state.get("response")).get("status_code")),
        "subject": principal.get("subject"),
        "roles": list(principal.get("roles") or ()),
        "target": lockgate.get("target"),
        "request": f"event {event}" if event else request_line(state),
        "actions": lockgate.get("actions") or [],
        "error": mapping(state.get("error")).get("msg"),
        "event": event,
        "held": bool(approval) or decision.get("verdict") == "hold",
        "waited": approval.get("waited"),
        "took": took(state),
    }


def took(state: Mapping[str, Any]) -> float | None:
    began, ended = (
        mapping(state.get("request")).get("timestamp_start"),
        mapping(state.get("response")).get("timestamp_end"),
    )
    if not isinstance(began, int | float) or not isinstance(ended, int | float) or ended < began:
        return None
    return round(1000 * (ended - began), 3)


def request_line(state: Mapping[str, Any]) -> str:
    request = state.get("request")
    if state.get("type") != "http" or not isinstance(request, dict):
        return str(state.get("type", ""))
    method = request["method"].decode("utf-8", "backslashreplace")
    if method == "CONNECT":
        return f"CONNECT {request['authority'].decode('utf-8', 'backslashreplace')}"
    path = request["path"].decode("utf-8", "backslashreplace")
    if projection(state).get("target"):
        return f"{method} {path}"
    return f"{method} {text(request.get('scheme'))}://{request.get('host')}{path}"


def moment(value: Any) -> str:
    """A time as it was recorded, in UTC; seconds since the epoch in flows of anybody's."""
    if isinstance(value, str):
        return value
    try:
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds")
    except (TypeError, ValueError, OverflowError, OSError):
        return "-"


def text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "backslashreplace")
