"""Whose key an error is about, and what is said of an unknown one; each whole message is in test_wrong_files.py."""

from __future__ import annotations

import pytest

from lockgate.policy.schema import Model
from lockgate.policy.schema.credentials import Basic, Credential
from lockgate.policy.schema.gateway import Gateway
from lockgate.policy.schema.rules import Rule
from lockgate.policy.schema.targets import Limits, Target
from lockgate.policy.schema.wording import MAX_ECHO, owner_of, unknown_key


@pytest.mark.parametrize(
    ("model", "loc", "owner"),
    [
        pytest.param(Target, ("limits",), Limits, id="nested"),
        pytest.param(Credential, ("basic",), Basic, id="optional"),
        pytest.param(Rule, ("mask", "$.a"), Rule, id="mapping"),
        pytest.param(Gateway, (), Gateway, id="itself"),
    ],
)
def test_whose_key_it_is(model: type[Model], loc: tuple[str, ...], owner: type[Model]) -> None:
    assert owner_of(model, loc) is owner


def test_a_key_that_may_be_a_secret_is_not_repeated() -> None:
    assert unknown_key("hunter2", ["user", "password"], echo=False) == "unknown key: known here: user, password"


def test_a_long_key_is_cut() -> None:
    assert unknown_key("k" * 100, ["url"], echo=True) == f"unknown key {'k' * MAX_ECHO}...: known here: url"
