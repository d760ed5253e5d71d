"""Documentation is tested: every command, option, rule key and script of ours appears in it, found from the code."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pydantic
import pytest

import lockgate

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "addons" / "lockgate"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "recordings" / "README.md"]
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`[^`\n]+`")


def code_in_docs() -> str:
    """All code of the documentation, fenced and inline: prose that happens to use a key's word does not explain it."""
    text = "\n".join(page.read_text() for page in PAGES if page.exists())
    return "\n".join(FENCED.findall(text) + INLINE.findall(FENCED.sub("", text)))


def commands() -> Iterator[str]:
    """Every command as it is typed, groups included: `lockgate approvals list`."""

    def walk(command: click.Command, typed: str) -> Iterator[str]:
        if command.hidden:
            return
        yield typed
        if isinstance(command, click.Group):
            for name, child in sorted(command.commands.items()):
                yield from walk(child, f"{typed} {name}")

    main = importlib.import_module("lockgate.cli.main").main
    assert isinstance(main, click.Group)
    yield from walk(main, "lockgate")


def mitmproxy_options() -> set[str]:
    """The names given to `loader.add_option` anywhere in the source."""
    return {
        call.args[0].value
        for path in SOURCE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "add_option"
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def rules_keys() -> set[str]:
    """Every key that the rules' schema knows, under the name it is written with in a file."""
    schema = importlib.import_module("lockgate.policy.schema")
    models = [
        value
        for _, value in inspect.getmembers(schema, inspect.isclass)
        if issubclass(value, pydantic.BaseModel) and value.__module__ == schema.__name__
    ]
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


def undocumented(words: set[str]) -> list[str]:
    code = code_in_docs()
    return sorted(word for word in words if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", code))


def test_every_command_is_documented() -> None:
    found = set(commands())
    assert len(found) > 1, "no command was found: has lockgate.cli.main changed its shape?"
    assert undocumented(found) == []


def test_every_mitmproxy_option_is_documented() -> None:
    found = mitmproxy_options()
    assert "lockgate_rules" in found
    assert all(name.startswith("lockgate_") for name in found)
    assert undocumented(found) == []


def test_every_rules_key_is_documented() -> None:
    found = rules_keys()
    assert {"allow", "mask"} <= found, "no rule keys were found: has lockgate.policy.schema changed its shape?"
    assert undocumented(found) == []


def test_every_script_is_documented() -> None:
    found = {f"scripts/{path.name}" for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix}
    assert "scripts/setup" in found
    assert undocumented(found) == []


@pytest.mark.parametrize("page", [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in PAGES])
def test_links_to_files_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", FENCED.sub("", page.read_text()))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_changelog_covers_this_version() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings
    assert headings[0] in {"Unreleased", lockgate.__version__}
