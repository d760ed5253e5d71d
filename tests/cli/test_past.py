from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from harness.past import Asked, generation, recorded
from lockgate.cli.past import progress, since, walk_of

FILES = {
    "gateway.yaml": "issuers:\n  - dev: true\n",
    "targets.yaml": "targets:\n  wiki: {url: https://wiki.example}\n",
    "roles/support.yaml": "role: support\nrules:\n  - id: all\n    allow: GET wiki /**\n",
}


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    asked = [Asked("GET", f"https://wiki.example/{number}") for number in range(3)]
    return recorded(tmp_path / "recordings", generation(FILES), asked)


@pytest.fixture
def option() -> tuple[click.Context, click.Option]:
    return click.Context(click.Command("x")), click.Option(["--since"])


def test_since_when(option: tuple[click.Context, click.Option]) -> None:
    week = since(*option, "7d")
    assert week is not None
    assert abs(datetime.now(UTC) - timedelta(days=7) - week) < timedelta(minutes=1)
    assert since(*option, "2030-01-31") == datetime(2030, 1, 31, tzinfo=UTC)
    assert since(*option, None) is None


@pytest.mark.parametrize("value", ["", "yesterday", "7", "999999999d", "2030-13-01", "-1d"])
def test_since_never(option: tuple[click.Context, click.Option], value: str) -> None:
    with pytest.raises(click.BadParameter, match="7d, 12h"):
        since(*option, value)


def test_no_recordings(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="there are no recordings"):
        walk_of((tmp_path,), None)


def test_all_of_them_with_a_bar_on_a_terminal(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []

    class Bar:
        def __init__(self, *_: object, hidden: bool, length: int, **__: object) -> None:
            assert hidden
            assert length > 0

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None: ...

        def update(self, steps: int) -> None:
            shown.append(steps)

    monkeypatch.setattr(click, "progressbar", Bar)
    walk = walk_of((recordings,), None)
    with progress(walk) as requests:
        assert [past.id for past, _ in requests] == ["r0", "r1", "r2"]
    assert sum(shown) == walk.size


def test_a_file_that_goes_away_is_one_line(recordings: Path) -> None:
    walk = walk_of((recordings,), None)
    walk.files[0].unlink()
    with pytest.raises(click.ClickException, match="cannot be read"), progress(walk) as requests:
        list(requests)
