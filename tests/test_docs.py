"""Documentation is tested: every command, option, rule key and script of ours appears in it, found from the code."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import click
import pytest

import lockgate
import lockgate.cli.main
from lockgate.policy import schema
from lockgate.policy.load import load

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "addons" / "lockgate"
OWN_PAGES = [ROOT / place / "README.md" for place in ("examples", "recordings")]  # of single directories
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *OWN_PAGES]
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`[^`\n]+`")


def code_in_docs() -> str:
    """All code of the documentation, fenced and inline: prose that happens to use a key's word does not explain it."""
    text = "\n".join(page.read_text() for page in PAGES if page.exists())
    return "\n".join(FENCED.findall(text) + INLINE.findall(FENCED.sub("", text)))


def commands() -> Iterator[str]:
    """Every command as it is typed, groups included: `lockgate approvals list`."""

    def walk(command: click.Command, typed: str) -> Iterator[str]:
        yield typed
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                if child and not child.hidden:
                    yield from walk(child, f"{typed} {name}")

    yield from walk(lockgate.cli.main.lockgate, "lockgate")


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
    parts = [import_module(f"{schema.__name__}.{part.name}") for part in iter_modules(schema.__path__)]
    members = [member for part in parts for _, member in inspect.getmembers(part, inspect.isclass)]
    models = [member for member in members if issubclass(member, schema.Model)]
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


def snippets(page: str) -> dict[str, str]:
    """The YAML of a page by the file it stands for: the last `NAME.yaml` named before it."""
    found: dict[str, str] = {}
    parts = re.split(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    for prose, block in zip(parts[::2], parts[1::2], strict=False):
        name = re.findall(r"((?:examples/rules/|(?<!/)rules/)?(?:roles/)?\w+\.yaml)", prose)[-1]
        found[name.removeprefix("rules/").replace("NAME", "support")] = block
    return found


def own(files: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in files.items() if not name.startswith("examples/")}


@pytest.mark.parametrize("page", ["README.md", "docs/rules.md"])
def test_rules_in_the_docs_load(page: str, tmp_path: Path) -> None:
    """A reader who copies them gets a directory the gateway takes."""
    files = own(snippets(page))
    assert {"targets.yaml", "credentials.yaml"} < files.keys()
    files.setdefault("gateway.yaml", "issuers:\n  - dev: true\n")
    files["roles/reader.yaml"] = "role: reader\nrules:\n  - id: list\n    allow: GET any-target /v1/customers\n"
    files["roles/reader.yaml"] = files["roles/reader.yaml"].replace("any-target", next(iter(targets(files))))
    files["jwks.json"] = '{"keys": []}'
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert load(tmp_path).targets.keys() == targets(files)


def targets(files: dict[str, str]) -> set[str]:
    return set(re.findall(r"^  (\w+):$", files["targets.yaml"], re.MULTILINE))


YAML_OF_CREDENTIALS = re.findall(
    r"^```yaml\n(.*?)^```", (ROOT / "docs/credentials.md").read_text(), re.MULTILINE | re.DOTALL
)
CREDENTIALS = [text for text in YAML_OF_CREDENTIALS if text.startswith("credentials:")]


@pytest.mark.parametrize("text", CREDENTIALS, ids=range(1, len(CREDENTIALS) + 1))
def test_each_file_of_credentials_in_the_docs_loads(text: str, tmp_path: Path) -> None:
    """With a target for each of its entries, where the page has none."""
    entries = re.findall(r"^  ([\w-]+):(.*?)hosts: \[([\w.-]+)\]", text, re.MULTILINE | re.DOTALL)
    assert entries
    lines = [f"  {name}: {{url: https://{host}, credential: {name}}}\n" for name, _, host in entries]
    made = "targets:\n" + "".join(lines)
    (shown,) = [text for text in YAML_OF_CREDENTIALS if text.startswith("targets:")]
    mutual = "client_cert:" in text
    (tmp_path / "targets.yaml").write_text(shown if mutual else made)
    (tmp_path / "credentials.yaml").write_text(text)
    (tmp_path / "gateway.yaml").write_text("issuers:\n  - dev: true\n")
    (tmp_path / "roles").mkdir()
    name = "bank" if mutual else entries[0][0]
    role = f"role: reader\nrules:\n  - id: list\n    allow: GET {name} /v1/customers\n"
    (tmp_path / "roles/reader.yaml").write_text(role)
    assert load(tmp_path).credentials.keys() == {name for name, *_ in entries}


ISSUERS = re.findall(r"^```yaml\n(issuers:.*?)^```", (ROOT / "docs/identity.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", ISSUERS, ids=range(1, len(ISSUERS) + 1))
def test_each_gateway_file_of_issuers_in_the_docs_loads(text: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "rules", tmp_path, dirs_exist_ok=True)
    (tmp_path / "gateway.yaml").write_text(text)
    assert len(load(tmp_path).gateway.issuers) == 1


EXAMPLES = {name: text for name, text in snippets("docs/rules.md").items() if name.startswith("examples/")}


def rules_in(text: str) -> list[str]:
    """The rules of a role file or of the guardrails, as they are written, without the comments between them."""
    chunks = re.split(r"^(?=  - id: )", text, flags=re.MULTILINE)[1:]
    return [re.sub(r"^(  #.*)?\n", "", chunk, flags=re.MULTILINE).rstrip() for chunk in chunks]


@pytest.mark.parametrize("name", EXAMPLES)
def test_excerpts_of_the_examples_are_what_the_files_say(name: str, tmp_path: Path) -> None:
    shown = rules_in(EXAMPLES[name])
    assert shown
    assert set(shown) <= set(rules_in((ROOT / name).read_text()))
    shutil.copytree(ROOT / "examples" / "rules", tmp_path / "rules")
    (tmp_path / name.removeprefix("examples/")).write_text(EXAMPLES[name])
    assert load(tmp_path / "rules").policy.rules


@pytest.mark.parametrize("directory", ["rules", "examples/rules"])
def test_shipped_rules_pass_their_tests_and_every_rule_is_reached(directory: str) -> None:
    assert lockgate.cli.main.main(["test", "--strict", str(ROOT / directory)]) == 0


def test_every_example_role_is_explained() -> None:
    roles = {path.relative_to(ROOT).as_posix() for path in (ROOT / "examples" / "rules" / "roles").iterdir()}
    assert roles - EXAMPLES.keys() == {"examples/rules/roles/reader.yaml"}  # what the others extend
