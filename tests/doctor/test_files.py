"""Who may read and write what."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.doctor import files


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "state"
    place.mkdir(mode=0o700)
    (place / "hash.key").write_text("k")
    (place / "hash.key").chmod(0o600)
    return place


def test_what_is_the_owners_alone_is_in_order(place: Path) -> None:
    assert files.private("state", [place]).level == "ok"


@pytest.mark.parametrize("mode", [pytest.param(0o640, id="group reads"), pytest.param(0o604, id="all read")])
def test_a_file_that_others_can_read_is_named(place: Path, mode: int) -> None:
    (place / "hash.key").chmod(mode)
    found = files.private("state", [place])
    assert found.level == "wrong"
    assert str(place / "hash.key") in found.detail
    assert found.remedy == f"chmod -R go= {place}"


def test_others_may_read_the_rules_but_not_write_them(place: Path) -> None:
    (place / "hash.key").chmod(0o644)
    place.chmod(0o755)
    assert files.unwritable("rules' files", [place]).level == "ok"
    place.chmod(0o775)
    found = files.unwritable("rules' files", [place])
    assert (found.level, found.remedy) == ("wrong", f"chmod -R go-w {place}")


def test_what_another_user_owns(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = place.stat().st_uid
    monkeypatch.setattr(files.os, "geteuid", lambda: owner + 1)
    found = files.private("state", [place])
    # Root owns what a system's administrator put there.
    assert found.level == ("ok" if owner == 0 else "wrong")


def test_a_link_is_not_followed(place: Path, tmp_path: Path) -> None:
    (tmp_path / "open").write_text("x")
    (tmp_path / "open").chmod(0o666)
    (place / "link").symlink_to(tmp_path / "open")
    assert files.private("state", [place]).level == "ok"


def test_what_is_not_there_yet_is_not_wrong(tmp_path: Path) -> None:
    assert files.private("state", [tmp_path / "none"]).detail == "not there yet"


def test_many_are_counted() -> None:
    assert files.listed([Path(str(number)) for number in range(7)]) == "0, 1, 2, 3, 4 and 2 more"
