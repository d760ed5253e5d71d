"""Loading a directory as a whole; what each wrong file is told is in test_wrong_files.py."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from lockgate.errors import Problem, RulesInvalid
from lockgate.policy.generation import Generation
from lockgate.policy.load import identify, load

Problems = Callable[..., tuple[Problem, ...]]

ROLE = "roles/support.yaml"
ROOT = Path(__file__).parents[2]


def test_all_errors_at_once_in_order_of_place(problems: Problems) -> None:
    found = problems(
        {
            "gateway.yaml": "issuers:\n  - dev: maybe\nstat: x\n",
            "targets.yaml": "targets:\n  crm: {url: https://api.crm.example, privat: true}\n  b: {url: nothing}\n",
            "credentials.yaml": None,
            ROLE: (
                "role: support\nrules:\n  - {id: a, allow: GET crm x}\n  - {id: b, allow: GET nowhere /x, when: 1 +}\n"
            ),
            "roles/other.yaml": "role: other\nrules: [",
        }
    )
    assert [str(problem).partition(": ")[0] for problem in found] == [
        "gateway.yaml:2:10",
        "gateway.yaml:3:1",
        "roles/other.yaml:2:9",
        "roles/support.yaml:3:28",
        "roles/support.yaml:4:24",
        "roles/support.yaml:4:45",
        "targets.yaml:2:39",
        "targets.yaml:3:12",
    ]


def test_an_unreadable_file_does_not_make_others_wrong(problems: Problems) -> None:
    found = problems({"targets.yaml": "targets: [\n", "credentials.yaml": "{\n"})
    assert [problem.file for problem in found] == ["credentials.yaml", "targets.yaml"]


def test_a_missing_directory_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(RulesInvalid, match=r"there is no directory .*: name the one with gateway\.yaml"):
        load(tmp_path / "nowhere")


def test_a_directory_in_place_of_a_file_is_no_traceback(problems: Problems, write: Callable[..., Path]) -> None:
    (write({}) / "gateway.yaml").unlink()
    (write({"gateway.yaml": None}) / "gateway.yaml").mkdir()
    (problem,) = problems({"gateway.yaml": None})
    assert str(problem) == "gateway.yaml:1:1: not a regular file: take it away"


def test_depth_is_no_traceback(problems: Problems) -> None:
    found = problems({"gateway.yaml": "[" * 200_000 + "]" * 200_000})
    assert [problem.message for problem in found] == ["nested more than 20 deep"]


def test_the_generation_is_named_by_its_content(loaded: Callable[..., Generation]) -> None:
    generation = loaded()
    expected = sha256()
    for name, content in sorted(generation.files.items()):
        expected.update(f"{len(name)}:{name}{len(content)}:".encode() + content)
    assert generation.id == expected.hexdigest()
    assert sorted(generation.files) == ["credentials.yaml", "gateway.yaml", "roles/support.yaml", "targets.yaml"]


@pytest.mark.parametrize("name", ["tests/a.yaml", "schema.json", ".hidden", ".git/x.yaml", "roles/support.yaml~"])
def test_what_is_no_part_of_a_generation(loaded: Callable[..., Generation], name: str) -> None:
    before = loaded().id
    assert loaded({name: "anything"}).id == before


def test_names_and_contents_do_not_run_together() -> None:
    assert identify({"a": b"bc"}) != identify({"ab": b"c"})
    assert identify({"a": b"1", "b": b"2"}) == identify({"b": b"2", "a": b"1"})


def test_other_files_count(loaded: Callable[..., Generation]) -> None:
    assert "jwks.json" in loaded({"jwks.json": "{}"}).files


def test_the_shipped_rules_load() -> None:
    generation = load(ROOT / "rules")
    assert sorted(generation.targets) == ["crm", "model"]
    assert generation.policy.knows("support")
