"""The `lockgate` command: what it can do, and how it ends.

Exit codes: 0 fine, 1 found something, 2 wrong use or unusable set-up. An error is one line on stderr.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from lockgate import __version__
from lockgate.cli.lazy import LazyGroup
from lockgate.errors import LockgateError

COMMANDS = {  # by name: the module in which a command of that name stands; imported when it is asked for
    "approvals": "lockgate.cli.approvals.command",
    "check": "lockgate.cli.check",
    "doctor": "lockgate.cli.doctor",
    "explain": "lockgate.cli.explain",
    "recordings": "lockgate.cli.recordings.command",
    "revoke": "lockgate.cli.revoke",
    "run": "lockgate.cli.run",
    "schema": "lockgate.cli.schema",
    "script": "lockgate.cli.script",
    "show": "lockgate.cli.show",
    "suggest": "lockgate.cli.suggest",
    "test": "lockgate.cli.test",
    "token": "lockgate.cli.token",
    "whatif": "lockgate.cli.whatif",
}

FINE, WRONG_USE, INTERRUPTED = 0, 2, 130


@click.group(cls=LazyGroup, commands_in=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lockgate", message="%(prog)s %(version)s")
def lockgate() -> None:
    """Lockgate, a role-based access gateway for AI agents.

    The gateway itself runs in mitmproxy: mitmdump -s addons/main.py, or mitmweb. These commands serve its operator.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (`sys.argv` where no `arguments` are given); return the exit code."""
    try:
        code = lockgate.main(arguments, prog_name="lockgate", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_USE
    except (click.ClickException, LockgateError) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"lockgate: {text}", err=True)
        return WRONG_USE
    except click.Abort:
        return INTERRUPTED
    return code if isinstance(code, int) else FINE
