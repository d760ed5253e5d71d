"""Versions, and rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.doctor import installation


def test_what_the_tests_run_on_is_in_order() -> None:
    assert {finding.level for finding in installation.versions()} == {"ok"}


@pytest.mark.parametrize(
    ("version", "level"),
    [
        pytest.param("12.2.3", "ok", id="the one it was made for"),
        pytest.param("12.2.9", "ok", id="a later patch"),
        pytest.param("12.2.1", "wrong", id="an earlier patch"),
        pytest.param("12.3.0", "wrong", id="another minor"),
        pytest.param("11.1.3", "wrong", id="another major"),
        pytest.param(None, "wrong", id="none"),
    ],
)
def test_mitmproxys_release(monkeypatch: pytest.MonkeyPatch, version: str | None, level: str) -> None:
    monkeypatch.setattr(installation, "installed", lambda _: version)
    found = installation.mitmproxy()
    assert found.level == level
    assert ("pip install" in found.remedy) == (level == "wrong")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "installed", lambda name: None if name == "httpx" else "12.2.3")
    assert [finding.detail for finding in installation.versions() if finding.level == "wrong"] == [
        "not installed: httpx"
    ]


def test_every_error_in_the_rules_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("issuers: [{dev: maybe}]\nissuer: []\n")
    found, generation = installation.rules(tmp_path)
    assert generation is None
    assert {finding.level for finding in found} == {"wrong"}
    assert any(f"{tmp_path}/gateway.yaml:1:" in finding.detail for finding in found)
    assert any(f"{tmp_path}/gateway.yaml:2:" in finding.detail for finding in found)


def test_good_rules_say_how_many_targets_they_have(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("issuers: [{dev: true}]\n")
    (tmp_path / "targets.yaml").write_text("targets: {wiki: {url: https://wiki.example}}\n")
    found, generation = installation.rules(tmp_path)
    assert generation is not None
    assert found[0].level == "ok"
    assert "1 targets" in found[0].detail
