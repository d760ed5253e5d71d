"""`lockgate script`: where the script lies that mitmproxy is to load."""

from __future__ import annotations

from pathlib import Path

import click

import lockgate


@click.command()
@click.option("--views", is_flag=True, help="That of the content view, to look at recordings with.")
def script(views: bool) -> None:
    """Print the path of the script for mitmproxy, in a checkout or as installed.

    \b
    mitmdump -s "$(lockgate script)"
    mitmweb -n -r recordings/FILE.mitm -s "$(lockgate script --views)"
    """
    name = "views.py" if views else "main.py"
    package = Path(lockgate.__file__).parent
    installed = package / "script" / name
    click.echo(installed if installed.exists() else package.parent / name)
