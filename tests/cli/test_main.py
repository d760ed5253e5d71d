from __future__ import annotations

import click
import pytest

from lockgate import __version__
from lockgate.cli import main as command_line
from lockgate.cli.main import lockgate, main
from lockgate.errors import SetupError


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"lockgate {__version__}\n", "")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_commands(capsys, option):
    assert main([option]) == 0
    output, errors = capsys.readouterr()
    assert all(name in output for name in command_line.COMMANDS)
    assert errors == ""


@pytest.mark.parametrize("name", sorted(command_line.COMMANDS))
def test_every_command_is_there_and_has_help(capsys, name):
    assert main([name, "--help"]) == 0
    assert f"lockgate {name}" in capsys.readouterr().out


def test_nothing_asked_shows_help_and_is_wrong_use(capsys):
    assert main([]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert "Usage: lockgate" in errors


@pytest.mark.parametrize(
    "arguments", [["no-such-command"], ["--no-such-option"], ["token", "--no-such-option"], ["token"]]
)
def test_wrong_use_is_one_line_and_exit_code_2(capsys, arguments):
    assert main(arguments) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("lockgate: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        pytest.param(SetupError("no disk"), 2, "lockgate: no disk\n", id="ours"),
        pytest.param(click.ClickException("no file"), 2, "lockgate: no file\n", id="click's"),
        pytest.param(click.exceptions.Exit(1), 1, "", id="found-something"),
        pytest.param(KeyboardInterrupt(), 130, "\n", id="interrupted"),
    ],
)
def test_how_a_command_ends(capsys, monkeypatch, error, code, line):
    @click.command()
    def token():
        raise error

    monkeypatch.setattr(lockgate, "get_command", lambda ctx, name: token)
    assert main(["token"]) == code
    assert capsys.readouterr() == ("", line)
