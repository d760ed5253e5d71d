"""Which recorded requests `list`, `follow` and `stats` are about: their options, and what fits them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from mitmproxy import flowfilter, http

from lockgate.cli.token import duration
from lockgate.recordings.exports.selection import fits_status
from lockgate.recordings.files import RecordFile
from lockgate.recordings.index import Row


def instant(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """An RFC 3339 instant, a day (its first moment, UTC), or how long ago: `1h`."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]+[smhd]", value):
        return datetime.now(UTC) - timedelta(seconds=duration(ctx, param, value))
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time; write 1h, 2d, 2026-11-22 or 2026-11-22T14:50:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def expression(_: click.Context, __: click.Parameter, value: str | None) -> flowfilter.TFilter | None:
    if value is None:
        return None
    try:
        return flowfilter.parse(value)
    except ValueError:
        where = "https://docs.mitmproxy.org/stable/concepts/filters/"
        raise click.BadParameter(f"{value!r} is no filter expression of mitmproxy's; {where}") from None


@dataclass(frozen=True, slots=True)
class Filters:
    """An empty filter lets everything through."""

    since: datetime | None = None
    until: datetime | None = None
    verdict: str | None = None
    role: str | None = None
    subject: str | None = None
    target: str | None = None
    rule: str | None = None
    status: str | None = None
    held: bool = False
    event: str | None = None
    expression: flowfilter.TFilter | None = field(default=None, repr=False)

    def match(self, row: Row) -> bool:
        told = row.summary
        return (
            self.verdict in (None, told["verdict"])
            and (self.role is None or self.role in told["roles"])
            and self.subject in (None, told["subject"])
            and self.target in (None, told["target"])
            and self.rule in (None, told["rule"])
            and (self.status is None or fits_status(self.status, told["status"]))
            and (not self.held or told["held"])
            and (self.event is None or told["event"] == self.event)
            and self._in_time(told["time"])
            and (self.expression is None or self._fits(row, self.expression))
        )

    def _in_time(self, time: Any) -> bool:
        if self.since is None and self.until is None:
            return True
        try:
            when = datetime.fromisoformat(time) if isinstance(time, str) else datetime.fromtimestamp(time, UTC)
        except (TypeError, ValueError, OverflowError):
            return False
        return (self.since is None or when >= self.since) and (self.until is None or when < self.until)

    def _fits(self, row: Row, wanted: flowfilter.TFilter) -> bool:
        state = RecordFile(row.path).at(row.offset).state
        if state is None or state.get("type") != "http":
            return False
        return bool(wanted(http.HTTPFlow.from_state(state)))


OPTIONS = (
    click.option("--since", callback=instant, metavar="TIME", help="From then on: 1h, 2d, 2026-11-22, or RFC 3339."),
    click.option("--until", callback=instant, metavar="TIME", help="Up to then."),
    click.option("--verdict", type=click.Choice(["allow", "hold", "deny"]), help="Only what came to this."),
    click.option("--role", help="Only of a principal with this role."),
    click.option("--subject", help="Only of this subject."),
    click.option("--target", help="Only to this target."),
    click.option("--rule", metavar="ROLE/ID", help="Only what this rule decided."),
    click.option("--status", help="Only this status, or a class of them: 403, 4xx."),
    click.option("--held", is_flag=True, help="Only what was held."),
    click.option("--event", metavar="NAME", help="Only such events: start, reload, approval, checkpoint."),
    click.option(
        "--filter",
        "expression",
        callback=expression,
        metavar="EXPRESSION",
        help="Only what fits an expression of mitmproxy's: '~u /v1 & ~c 403'. Reads each flow whole.",
    ),
)


def options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of all filters: the command is given them as `**filters`, for `Filters`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
