"""`lockgate recordings key`: the public key that checkpoints, tombstones and exports are signed with."""

from __future__ import annotations

from pathlib import Path

import click

from lockgate.recordings import trust


@click.command()
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=".lockgate",
    show_default=True,
    help="The gateway's state, where the private key lies.",
)
def key(state: Path) -> None:
    """Print the public key (PEM) that checkpoints are signed with: for `verify --key`, where there is no state.

    Keep it where nobody who may write to the recordings can replace it.
    """
    found = trust.known(state)
    if found is None:
        raise click.ClickException(f"{state} has no signing key: the gateway makes it at its first start")
    click.echo(found.verifier.pem, nl=False)
    click.echo(f"key {found.verifier.key_id}", err=True)
