"""`lockgate approvals watch`: what is held, as it changes, over any number of connections."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from lockgate.bodies.json import parse
from lockgate.cli.approvals.client import Client, Lost, NotDone
from lockgate.cli.approvals.shown import COLUMNS, Document, cell, cells, members, shortened, table, understood, what
from lockgate.cli.printed import moment
from lockgate.errors import BodyUnreadable

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between two connections


class Seen(NamedTuple):
    """All there are, one that changed, or why nothing is known for now."""

    kind: Literal["all", "one", "broken"]
    approvals: tuple[Document, ...] = ()
    why: str = ""


def follow(client: Client) -> Iterator[Seen]:
    """Everything there is, then each change; everything again after a connection that broke off.

    Raises ClickException where there is nothing to follow from the beginning, or the gateway says no.
    """
    pause, before = FIRST_PAUSE, False
    while True:
        try:
            with client.events("/api/approvals/events") as events:
                yield everything(client)
                pause, before = FIRST_PAUSE, True
                for event in events:
                    if event.data is not None:
                        yield changed(client, event.data)
        except (Lost, NotDone) as error:
            if not before or (isinstance(error, NotDone) and error.status < 500):
                raise
            yield Seen("broken", why=error.message)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def everything(client: Client) -> Seen:
    return Seen("all", tuple(members(client.ask("GET", "/api/approvals", query={"state": "all"}), "approvals")))


def changed(client: Client, data: str) -> Seen:
    """The approval that an event tells of; what tells of none means that all has to be looked at again."""
    try:
        document = parse(data.encode())
    except (BodyUnreadable, UnicodeError):
        raise Lost(f"{client.url}: it sends events that cannot be read") from None
    if isinstance(document, dict) and document.get("id") and "state" in document:
        return Seen("one", (document,))
    return everything(client)


def watch_table(client: Client) -> None:
    """A table that follows; its times go on between changes."""
    board = Board()
    with Live(get_renderable=board.shown, refresh_per_second=1) as live:
        for seen in follow(client):
            board.take(seen)
            live.refresh()


class Board:
    """What is pending, as a table."""

    def __init__(self) -> None:
        self._held: dict[str, Document] = {}
        self._lines: list[tuple[str, Document]] = []
        self._why = ""

    def take(self, seen: Seen) -> None:
        """Raises ClickException for what is not as the API has it."""
        if seen.kind == "all":
            self._held.clear()
        with understood():
            for each in seen.approvals:
                cells(each, "", datetime.now(UTC))
                if each["state"] == "pending":
                    self._held[each["id"]] = each
                else:
                    self._held.pop(each["id"], None)
        self._why = seen.why
        short = shortened(list(self._held))
        self._lines = [(short[name], each) for name, each in self._held.items()]

    def shown(self) -> Group:
        now = datetime.now(UTC)
        lines = [cells(each, short, now) for short, each in self._lines]
        note = f"Not connected, tried again: {self._why}" if self._why else f"{len(lines)} pending; Ctrl-C ends this"
        return Group(table(COLUMNS, lines), Text(note, style="yellow" if self._why else "dim"))


def watch_lines(client: Client, *, as_json: bool) -> None:
    """A line for each change, and at first for each that is pending."""
    told: dict[str, str] | None = None
    for seen in follow(client):
        if seen.kind == "broken":
            click.echo(f"lockgate: {seen.why}; it is tried again", err=True)
        with understood():
            for each in seen.approvals:
                before = None if told is None else told.get(each["id"])
                news = each["state"] == "pending" if told is None else each["state"] != before
                if seen.kind == "one" or news:
                    click.echo(json.dumps(each) if as_json else line(each))
            told = (told or {}) | {each["id"]: each["state"] for each in seen.approvals}


def line(approval: Document) -> str:
    rules, who = ", ".join(approval["rules"]), approval["requester"]["subject"]
    values = (moment(datetime.now(UTC)), approval["state"], approval["id"], who, what(approval), rules)
    return "  ".join(map(cell, values))
