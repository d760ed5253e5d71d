from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.model import SecretSource
from lockgate.policy.sources import NEEDED, PROBLEMS, pem_source, source, text_source


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("env:CRM_TOKEN", SecretSource("env", "CRM_TOKEN")),
        ("file:/run/secrets/crm", SecretSource("file", "/run/secrets/crm")),
        ("file:../a b#c", SecretSource("file", "../a b#c")),
        ("exec:op read 'op://a b/crm/token'", SecretSource("exec", "op read 'op://a b/crm/token'")),
        ("exec:/usr/local/bin/get-secret", SecretSource("exec", "/usr/local/bin/get-secret")),
        ("vault:secret/crm#token", SecretSource("vault", "secret/crm#token")),
        ("vault:kv/teams/a b/crm#api key", SecretSource("vault", "kv/teams/a b/crm#api key")),
        ("keyring:crm/gateway", SecretSource("keyring", "crm/gateway")),
        ("keyring:https://crm.example/gateway@crm", SecretSource("keyring", "https://crm.example/gateway@crm")),
    ],
)
def test_source(given: str, expected: SecretSource) -> None:
    assert source(given) == expected
    assert str(expected).split(maxsplit=1)[0] == given.split(maxsplit=1)[0]
    assert text_source(given) == replace(expected, form="text")
    assert pem_source(given) == replace(expected, form="pem")


LITERALS = ["hunter2", "ENV:A", "env", "hunter2:x", "", ["hunter2"], {"hunter2": "x"}, None]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        *(
            pytest.param(given, re.escape(NEEDED), id=f"literal-{number}")
            for number, given in enumerate(
                ["hunter2", "ENV:A", "env", "hunter2:x", "", ["hunter2"], {"hunter2": "x"}, None]
            )
        ),
        pytest.param("env:", "after env: the name", id="env-nothing"),
        pytest.param("env:hunter2 hunter2", "after env: the name", id="env-space"),
        pytest.param("env: A", "after env: the name", id="env-space-first"),
        pytest.param("env:$A", "after env: the name", id="env-dollar"),
        pytest.param("env:A\n", "after env: the name", id="env-newline"),
        pytest.param("env:1A", "after env: the name", id="env-digit"),
        pytest.param("file:", "after file: a path", id="file-nothing"),
        pytest.param("file:/a\n/hunter2", "after file: a path", id="file-newline"),
        pytest.param("file:/a\0", "after file: a path", id="file-nul"),
        pytest.param("exec:", "after exec: a command", id="exec-nothing"),
        pytest.param("exec:  ", "after exec: a command", id="exec-spaces"),
        pytest.param("exec:'' hunter2", "after exec: a command", id="exec-no-program"),
        pytest.param("exec:op\nread", "after exec: a command", id="exec-newline"),
        pytest.param("exec:op read 'hunter2", "a quote is opened", id="exec-quote"),
        pytest.param("exec:op read hunter2\\", "a quote is opened", id="exec-backslash"),
        pytest.param("exec:./get hunter2", "on the PATH", id="exec-relative"),
        pytest.param("exec:bin/get", "on the PATH", id="exec-relative-without-dot"),
        pytest.param("exec:cat hunter2 | head -1", "no shell", id="exec-pipe"),
        pytest.param("exec:cat /a > hunter2", "no shell", id="exec-redirection"),
        pytest.param("exec:a ; b", "no shell", id="exec-two"),
        pytest.param("vault:", "after vault: MOUNT/PATH#FIELD", id="vault-nothing"),
        pytest.param("vault:hunter2", "after vault: MOUNT/PATH#FIELD", id="vault-no-path"),
        pytest.param("vault:secret/crm", "after vault: MOUNT/PATH#FIELD", id="vault-no-field"),
        pytest.param("vault:secret/crm#", "after vault: MOUNT/PATH#FIELD", id="vault-empty-field"),
        pytest.param("vault:secret#token", "after vault: MOUNT/PATH#FIELD", id="vault-mount-alone"),
        pytest.param("vault:/secret/crm#token", "after vault: MOUNT/PATH#FIELD", id="vault-slash-first"),
        pytest.param("vault:secret//crm#token", "after vault: MOUNT/PATH#FIELD", id="vault-two-slashes"),
        pytest.param("vault:secret/crm/#token", "after vault: MOUNT/PATH#FIELD", id="vault-slash-last"),
        pytest.param("vault:secret/../sys/raw#token", "after vault: MOUNT/PATH#FIELD", id="vault-dots"),
        pytest.param("vault:secret/crm#a#b", "after vault: MOUNT/PATH#FIELD", id="vault-two-fields"),
        pytest.param("vault:secret/crm\n#token", "after vault: MOUNT/PATH#FIELD", id="vault-newline"),
        pytest.param("keyring:", "after keyring: SERVICE/USER", id="keyring-nothing"),
        pytest.param("keyring:hunter2", "after keyring: SERVICE/USER", id="keyring-no-user"),
        pytest.param("keyring:crm/", "after keyring: SERVICE/USER", id="keyring-empty-user"),
        pytest.param("keyring:/hunter2", "after keyring: SERVICE/USER", id="keyring-empty-service"),
        pytest.param("keyring:crm/a\tb", "after keyring: SERVICE/USER", id="keyring-tab"),
    ],
)
def test_refused_without_repeating_it(given: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        source(given)
    assert "hunter2" not in str(caught.value)


def test_every_kind_is_known() -> None:
    assert set(PROBLEMS) == set(get_args(get_type_hints(SecretSource)["kind"]))


@given(st.text(st.characters(codec="ascii"), min_size=8))
def test_no_message_is_of_what_was_given(rest: str) -> None:
    """One message for each kind of mistake, whatever the text. The mark stands in no message by itself."""
    for kind in PROBLEMS:
        problem = PROBLEMS[kind](f"{rest}#qz~")
        assert problem is None or (problem.startswith(f"after {kind}: ") and "#qz~" not in problem)


@given(st.lists(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1), min_size=1, max_size=4))
def test_a_command_is_read_as_it_will_be_run(words: list[str]) -> None:
    given_ = f"exec:{shlex.join(['get', *words])}"
    try:
        named = source(given_)
    except ValueError:
        return
    assert shlex.split(named.name) == ["get", *words]
