"""Texts that differ in letter case only, by whatever rules a target has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.policy.folding import fold


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Admin", "aDMIN", id="ascii"),
        pytest.param("É", "é", id="accented"),
        pytest.param("straße", "STRASSE", id="sharp-s"),
        pytest.param("admin", "admın", id="dotless-i"),
        pytest.param("admin", "ADMİN", id="dotted-capital-i"),
        pytest.param("k", "\u212a", id="kelvin-sign"),
        pytest.param("s", "ſ", id="long-s"),
        pytest.param("admin", "ａｄｍｉｎ", id="full-width"),
        pytest.param("Σ", "ς", id="final-sigma"),
    ],
)
def test_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("e", "é"), ("a", "а"), ("", "a")])
def test_not_alike(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text(max_size=20))
def test_capitals_and_small_letters_are_alike(text: str) -> None:
    assert fold(text) == fold(text.upper()) == fold(text.lower())
