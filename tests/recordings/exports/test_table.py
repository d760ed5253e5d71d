from __future__ import annotations

import csv
from collections.abc import Callable

import pytest

from lockgate.recordings.exports import table
from lockgate.recordings.exports.entry import Leaving, entry_of
from lockgate.recordings.files import Record

MakeRecord = Callable[..., Record]


def cells(record: Record) -> dict[str, str]:
    line = table.render(entry_of(record, Leaving())).decode()
    return dict(zip(table.COLUMNS, next(csv.reader([line])), strict=True))


def test_a_row(make_record: MakeRecord) -> None:
    found = cells(make_record())
    assert (found["number"], found["verdict"], found["status"], found["sent"]) == ("1", "allow", "200", "yes")
    assert found["url"] == "https://api.crm.example/v1/orders?n=1"
    assert (found["masks"], found["injected"], found["roles"]) == ("$..ssn=2", "crm-token", "support")


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "'=1",
        '"=1',
        "\uff1d1",
        "|calc",
        "%0A=1",
        "\u00a0=1",
        "\u200b=1",
    ],
)
def test_no_cell_is_a_formula(make_record: MakeRecord, text: str) -> None:
    principal = {"issuer": text, "subject": text, "roles": [text], "token_id": None}
    said = {
        "principal": principal,
        "client": text,
        "target": text,
        "generation": text,
        "refusal": {"status": 403, "detail": text},
        "decision": {"verdict": text, "rule": text, "reason": text, "considered": []},
        "masks": {text: 1},
        "injected": [text],
    }
    found = cells(make_record(text, said=said, method=text, path=text.encode()))
    for name, value in found.items():
        assert not value.lstrip(" \t\r\n").startswith(("=", "+", "-", "@", "\uff1d", "|", "%")), name
        assert value.isprintable(), name


def test_a_row_is_one_line(make_record: MakeRecord) -> None:
    record = make_record(path=b'/v1/"a",b\r\n2,ffff\r\n', said={"target": "a\n3,b"})
    line = table.render(entry_of(record, Leaving()))
    assert b"\n" not in line
    assert b"\r" not in line
    assert cells(record)["number"] == "1"


def test_the_manifest_is_a_comment() -> None:
    line = table.tail({"kind": 'so"me,'})
    assert table.manifest_in(line) == {"kind": 'so"me,'}
    with pytest.raises(ValueError, match="no manifest"):
        table.manifest_in(b"1\n")
