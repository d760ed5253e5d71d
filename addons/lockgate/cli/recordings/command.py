"""`lockgate recordings`: what the gateway recorded, listed, told and verified. Works while it writes."""

from __future__ import annotations

import click

from lockgate.cli.lazy import LazyGroup

COMMANDS = {  # by name: the module in which a command of that name stands; imported when it is asked for
    "export": "lockgate.cli.recordings.export",
    "follow": "lockgate.cli.recordings.follow",
    "key": "lockgate.cli.recordings.key",
    "list": "lockgate.cli.recordings.list",
    "prune": "lockgate.cli.recordings.prune",
    "replay": "lockgate.cli.recordings.replay",
    "serve": "lockgate.cli.recordings.serve",
    "show": "lockgate.cli.recordings.show",
    "stats": "lockgate.cli.recordings.stats",
    "verify": "lockgate.cli.recordings.verify",
}


@click.group(cls=LazyGroup, commands_in=COMMANDS)
def recordings() -> None:
    """What the gateway recorded: list it, tell one request's story, verify that nothing was changed."""
