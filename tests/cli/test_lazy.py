from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lockgate.cli.lazy import LazyGroup

COMMANDS = {"list": "told_late", "say": "told_late"}
MODULE = """
import click

@click.command()
def say():
    click.echo("said")

@click.command("list")
def list_():
    click.echo("listed")
"""


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> click.Group:
    (tmp_path / "told_late.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "told_late", raising=False)
    return LazyGroup("group", commands_in=COMMANDS)


@pytest.mark.parametrize(("name", "said"), [("say", "said\n"), ("list", "listed\n")])
def test_a_command_stands_in_its_module(group: click.Group, name: str, said: str) -> None:
    result = CliRunner().invoke(group, [name])
    assert (result.exit_code, result.output) == (0, said)


def test_nothing_is_imported_before_it_is_asked_for(group: click.Group) -> None:
    assert group.list_commands(click.Context(group)) == ["list", "say"]
    assert "told_late" not in sys.modules


def test_no_other_command_is_known(group: click.Group) -> None:
    result = CliRunner().invoke(group, ["shout"])
    assert result.exit_code == 2
    assert "No such command" in result.output
