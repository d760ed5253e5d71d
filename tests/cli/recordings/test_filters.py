from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result

from lockgate.recordings.exports.selection import fits_status

Invoke = Callable[..., Result]

ALL = ["req-1", "req-2", "req-3", "req-4"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(["--subject", "agent-7"], ALL, id="subject"),
        pytest.param(["--subject", "agent-8"], [], id="another-subject"),
        pytest.param(["--rule", "billing/some-rule"], ["req-3", "req-4"], id="rule"),
        pytest.param(["--held"], ["req-4"], id="held"),
        pytest.param(["--since", "2023-11-14"], ALL, id="since-a-day"),
        pytest.param(["--since", "2023-11-14T22:13:21Z"], [], id="since-later"),
        pytest.param(["--until", "2023-11-14T22:13:20.001Z"], ALL, id="until"),
        pytest.param(["--until", "2023-11-14T22:13:20Z"], [], id="until-earlier"),
        pytest.param(["--since", "1h"], [], id="ago"),
        pytest.param(["--filter", "~u req-2"], ["req-2"], id="expression"),
        pytest.param(["--filter", "~c 404 | ~u req-1"], ["req-1", "req-3"], id="or"),
        pytest.param(["--filter", "~bs message & ~c 403", "--role", "support"], ["req-2"], id="body-and-role"),
    ],
)
def test_what_fits(directory: Path, invoke: Invoke, options: list[str], expected: list[str]) -> None:
    result = invoke("list", "--json", *options)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["id"] for row in rows if row["event"] is None] == expected


def test_events(directory: Path, invoke: Invoke) -> None:
    rows = [json.loads(line) for line in invoke("list", "--json", "--event", "stop").stdout.splitlines()]
    assert [row["event"] for row in rows] == ["stop"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--since", "yesterday"], "'yesterday' is no time", id="time"),
        pytest.param(["--since", "99d"], "longer than 30d", id="too-long-ago"),
        pytest.param(["--filter", "~nothing ("], "no filter expression of mitmproxy's", id="expression"),
        pytest.param(["--verdict", "maybe"], "maybe", id="verdict"),
    ],
)
def test_what_is_none(directory: Path, invoke: Invoke, options: list[str], said: str) -> None:
    result = invoke("list", *options)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    ("wanted", "status", "fits"),
    [
        ("403", 403, True),
        ("4xx", 403, True),
        ("4XX", 403, True),
        ("403", 404, False),
        ("4xx", 503, False),
        ("4xx", None, False),
    ],
)
def test_statuses(wanted: str, status: int | None, fits: bool) -> None:
    assert fits_status(wanted, status) is fits


def test_an_instant_without_a_zone_is_utc(directory: Path, invoke: Invoke) -> None:
    moment = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC) + timedelta(seconds=1)
    assert (
        invoke("list", "--json", "--role", "support", "--since", moment.replace(tzinfo=None).isoformat()).stdout == ""
    )
