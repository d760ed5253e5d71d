"""`lockgate script`: where the script lies that mitmproxy is to load."""

from __future__ import annotations

from pathlib import Path

import click

import lockgate


@click.command()
def script() -> None:
    """Print the path of the script for mitmproxy, in a checkout or as installed.

    \b
    mitmdump -s "$(lockgate script)"
    """
    package = Path(lockgate.__file__).parent
    installed = package / "script" / "main.py"
    click.echo(installed if installed.exists() else package.parent / "main.py")
