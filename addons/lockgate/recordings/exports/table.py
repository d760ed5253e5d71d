"""CSV (RFC 4180), a request a row, for spreadsheets: no cell of it is a formula or has a line break in it. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lockgate.bodies.visible import visible
from lockgate.recordings.exports.entry import Entry
from lockgate.recordings.exports.har import dumps

MARK = "# lockgate export "
# What spreadsheets take for the beginning of a formula; some do with the wide forms of these, or behind a space.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")
COLUMNS = (
    "number",
    "hash",
    "time",
    "id",
    "issuer",
    "subject",
    "roles",
    "client",
    "target",
    "method",
    "url",
    "verdict",
    "rule",
    "reason",
    "status",
    "upstream_status",
    "sent",
    "refusal",
    "approval",
    "masks",
    "injected",
    "request_bytes",
    "response_bytes",
    "milliseconds",
    "generation",
    "error",
)


def head(version: str) -> bytes:  # noqa: ARG001 (one signature for all formats)
    return row(COLUMNS)


def tail(manifest: Mapping[str, Any]) -> bytes:
    """A last row of one cell, which readers that know comments leave out."""
    return row([MARK + dumps(manifest).decode()])


def manifest_in(line: bytes) -> Any:
    """Raises ValueError."""
    (cell,) = next(csv.reader([line.decode("utf-8")]))
    if not cell.startswith(MARK):
        raise ValueError("no manifest")
    return json.loads(cell.removeprefix(MARK))


def place_in(cells: Sequence[str]) -> dict[str, Any]:
    return {"number": int(cells[0]), "hash": cells[1]}


def render(entry: Entry) -> bytes:
    principal, decision = entry.member("principal"), entry.member("decision")
    refusal, approval = entry.member("refusal"), entry.member("approval")
    start, end = entry.moments["request_start"], entry.moments["response_end"]
    injected = entry.said.get("injected")
    found: tuple[Any, ...] = (
        entry.link.number,
        entry.link.hash,
        entry.time.isoformat(timespec="milliseconds"),
        entry.id,
        principal.get("issuer"),
        principal.get("subject"),
        " ".join(entry.roles),
        entry.said.get("client"),
        entry.said.get("target"),
        entry.method,
        entry.url,
        decision.get("verdict"),
        decision.get("rule"),
        decision.get("reason"),
        entry.status,
        entry.said.get("upstream_status"),
        {True: "yes", False: "no"}.get(entry.said.get("sent", ""), ""),
        refusal.get("detail"),
        approval.get("id"),
        " ".join(f"{path}={count}" for path, count in entry.member("masks").items()),
        " ".join(map(str, injected)) if isinstance(injected, list) else "",
        None if entry.request.body is None else len(entry.request.body),
        None if entry.response is None or entry.response.body is None else len(entry.response.body),
        None if start is None or end is None else max(0, round((end - start) * 1000)),
        entry.said.get("generation"),
        entry.error,
    )
    return row([cell(value) for value in found]).removesuffix(b"\n")


def cell(value: Any) -> str:
    """Text that a spreadsheet shows and does not compute (OWASP, CSV injection): `'` stands before what it would."""
    if value is None:
        return ""
    if type(value) is int:
        return str(value)
    shown = visible(str(value))
    return f"'{shown}" if shown.lstrip(" '\"").startswith(FORMULA) else shown


def row(cells: Sequence[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue().encode()
