"""What the approvals API answers, as a person reads it. What an agent wrote stands apart, behind a bar on every line:
nothing in it moves the cursor, or can be taken for what the gateway says.
"""

from __future__ import annotations

import shutil
import sys
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from rich.cells import chop_cells
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lockgate.bodies.json import parse
from lockgate.bodies.visible import hex_dump, visible, visible_lines
from lockgate.cli.approvals.layout import laid_out
from lockgate.cli.printed import duration, field, heading, moment, say
from lockgate.errors import BodyUnreadable

Document = Mapping[str, Any]

COLUMNS = ("id", "who", "what", "rule", "asked", "left")
GRANT_COLUMNS = ("id", "who", "rule", "target", "left", "uses", "by")
SHORTEST = 6  # characters of an id that are always shown
LONGEST_CELL = 100  # characters
BAR = "| "


@contextmanager
def understood() -> Iterator[None]:
    """Raises ClickException where an answer is not as the API has them: nothing is decided on half of it."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError):
        raise click.ClickException(
            "the gateway's answer is not as it should be: is it of the same version as this command?"
        ) from None


def members(document: Any, name: str) -> list[Document]:
    """The list of objects that an answer has by `name`. Raises ClickException."""
    with understood():
        found = document[name]
        if not isinstance(found, list) or not all(isinstance(each, dict) and each["id"] for each in found):
            raise TypeError(name)
        return found


def identified(found: Sequence[Document], given: str, kind: str) -> str:
    """The id that is, or begins with, what was `given`. Raises UsageError."""
    ids = [str(each["id"]) for each in found]
    fitting = [each for each in ids if each == given] or [each for each in ids if given and each.startswith(given)]
    if len(fitting) > 1:
        several = ", ".join(visible(each) for each in fitting[:5])
        raise click.UsageError(f"{visible(given)} is the beginning of several ids: {several}")
    if not fitting:
        raise click.UsageError(f"there is no {kind} {visible(given)}")
    return fitting[0]


def shortened(ids: Sequence[str]) -> dict[str, str]:
    """By id, the beginning of it that no other has."""
    ordered = sorted(set(ids))
    short = {}
    for before, own, after in zip(["", *ordered], ordered, [*ordered[1:], ""], strict=False):
        length = max(SHORTEST, common(before, own) + 1, common(own, after) + 1)
        short[own] = own[:length]
    return short


def common(one: str, other: str) -> int:
    """How many characters at the beginning are the same."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def cells(approval: Document, short: str, now: datetime) -> tuple[str, ...]:
    """One line of a list, harmless."""
    left = span((instant(approval["expires_at"]) - now).total_seconds())
    values = (
        short,
        approval["requester"]["subject"],
        what(approval),
        ", ".join(approval["rules"]),
        f"{span((now - instant(approval['asked_at'])).total_seconds())} ago",
        left if approval["state"] == "pending" else approval["state"],
    )
    return tuple(map(cell, values))


def grant_cells(grant: Document, short: str, now: datetime) -> tuple[str, ...]:
    left = span((instant(grant["until"]) - now).total_seconds())
    by = ", ".join(vote["subject"] for vote in grant["votes"] if vote["decision"] == "approve")
    values = (short, grant["subject"], grant["rule"], grant["target"], left, grant["uses"], by)
    return tuple(map(cell, values))


def cell(value: object) -> str:
    shown = visible(str(value)) or "-"
    return shown if len(shown) <= LONGEST_CELL else f"{shown[: LONGEST_CELL - 1]}…"


def what(approval: Document) -> str:
    if approval["ahead"]:
        return f"a grant of {duration(float(approval['ahead']))} at {approval['target']}"
    return f"{approval['verb']} {approval['target']} {approval['resource']}"


def table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    shown = Table(box=None, pad_edge=False)
    for column in columns:
        shown.add_column(column, no_wrap=column == "id")
    for line in lines:
        shown.add_row(*map(Text, line))
    return shown


def print_table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """On a terminal a table of its width; where it is piped, columns."""
    console = Console()
    if console.is_terminal:
        console.print(table(columns, lines))
        return
    widths = [max(map(len, column)) for column in zip(columns, *lines, strict=True)]
    for line in (columns, *lines):
        click.echo("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip())


def tell(approval: Document, now: datetime) -> None:
    """All that a person is asked to decide about."""
    story(approval, now)
    if approval["ahead"]:
        click.echo("\nNo request yet: all that the rule would hold of this caller at this target would go on.")
    else:
        request(approval["request"])
    votes("votes", approval["votes"])
    recent(approval["recent"])
    say()
    field("digest", approval["digest"])


def story(approval: Document, now: datetime) -> None:
    """What the gateway knows."""
    asker = approval["requester"]
    until, asked = instant(approval["expires_at"]), instant(approval["asked_at"])
    left = f"{span((until - now).total_seconds())} left, until {moment(until)}"
    field("approval", approval["id"])
    field("state", f"{approval['state']}, {left}" if approval["state"] in ("pending", "approved") else ended(approval))
    also = f"; {approval['joined']} more like it wait too" if approval["joined"] else ""
    field("asked", f"{span((now - asked).total_seconds())} ago, {moment(asked)}{also}")
    field("who", f"{asker['subject']} of {asker['issuer']}, as {', '.join(asker['roles']) or 'nobody'}")
    if asker["behind"]:
        field("behind it", ", ".join(asker["behind"]))
    field("what", what(approval))
    for hold in approval["holds"]:
        field("rule", f"{hold['rule']}{': ' + hold['reason'] if hold['reason'] else ''}")
        field("", needed(hold))
    if approval["reason"]:
        field("it says", "")
        quoted(visible_lines(approval["reason"]))
    for mask in approval["masks"]:
        field("masked", mask)
    field("credential", approval["credential"] or "none")
    if approval["grants"]:
        field("grant", f"takes --grant, up to {duration(float(approval['grants']))}")
    field("rules", f"generation {approval['generation']}")
    if not approval["you"]["may_decide"]:
        field("you", f"cannot decide it: {approval['you']['why_not']}")


def ended(approval: Document) -> str:
    return f"{approval['state']}{': ' + approval['outcome'] if approval['outcome'] else ''}"


def needed(hold: Document) -> str:
    """Who has to approve, and who has: `by 2 of finance or audit, each with a reason; approved by ada`."""
    who = " or ".join(hold["approvers"]) or "anybody who may approve"
    why = ", each with a reason" if hold["require_reason"] else ""
    done = f"; approved by {', '.join(hold['approved_by'])}" if hold["approved_by"] else ""
    return f"by {int(hold['quorum'])} of {who}{why}{done}"


def missing(approval: Document) -> list[str]:
    """What is still needed, for each hold that is not met: `1 more of finance`."""
    return [
        f"{left} more of {' or '.join(hold['approvers']) or 'anybody who may approve'}"
        for hold in approval["holds"]
        if (left := int(hold["quorum"]) - len(hold["approved_by"])) > 0
    ]


def request(asked: Document) -> None:
    """The request as the target would get it."""
    heading("request, as the agent wrote it")
    quoted([visible(f"{asked['method']} {asked['url']}")])
    for name, value in asked["headers"]:
        quoted([visible(f"{name}: {value}")])
    kind, size = asked["body_is"], int(asked["body_size"])
    if kind == "none":
        return
    quoted([""])
    quoted(body(asked["body"], kind))
    say(f"({kind}, {size} bytes)")


def body(text: str, kind: str) -> list[str]:
    """Harmless lines: all of it. JSON on one line is laid out, each of its parts as it is written."""
    if kind == "binary":
        return hex_dump(b64decode(text, validate=True))
    if kind == "json" and "\n" not in text:
        try:
            parse(text.encode())
        except (BodyUnreadable, UnicodeError):
            return visible_lines(text)
        return [visible(line) for line in laid_out(text)]
    return visible_lines(text)


def quoted(lines: Sequence[str]) -> None:
    """Harmless lines that somebody else wrote, each behind a bar: on a terminal also those it would break."""
    width = max(20, shutil.get_terminal_size().columns - len(BAR))
    for line in lines:
        parts = chop_cells(line, width) if sys.stdout.isatty() else [line]
        for part in parts or [""]:
            click.echo(BAR + part)


def votes(name: str, found: Sequence[Document]) -> None:
    if not found:
        return
    heading(name)
    for vote in found:
        verb = {"approve": "approved", "deny": "denied"}[vote["decision"]]
        why = f": {vote['reason']}" if vote["reason"] else ""
        grant = f", granting {duration(float(vote['grant']))}" if vote["grant"] else ""
        say(f"{moment(instant(vote['at']))}  {vote['subject']} of {vote['issuer']} {verb}{grant}{why}", 2)


def recent(found: Sequence[Document]) -> None:
    """What this caller asked lately, held or not."""
    if not found:
        return
    heading("asked lately by the same")
    for each in found:
        action = f"{each['verb']} {each['target']} {each['resource']}"
        rule = f" by {each['rule']}" if each["rule"] else ""
        say(f"{moment(instant(each['at']))}  {each['verdict']}  {action}{rule}", 2)


def instant(text: str) -> datetime:
    """RFC 3339. Raises ValueError where it names no zone."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("no time zone")
    return found.astimezone(UTC)


def span(seconds: float) -> str:
    """About how long: `45s`, `12m`, `3h`, `2d`."""
    whole = max(0, int(seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= 2 * size:
            return f"{whole // size}{unit}"
    return f"{whole}s"
