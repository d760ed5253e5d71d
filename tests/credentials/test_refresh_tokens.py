from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate import state
from lockgate.credentials.refresh_tokens import RefreshTokens
from lockgate.errors import SecretUnavailable
from lockgate.model import OAuth2, SecretSource

SPEC = OAuth2("https://login.example/token", "lockgate", refresh_token=SecretSource("env", "REFRESH"))
KEY = b"k" * 32


@pytest.fixture
def directory(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def tokens(directory):
    return RefreshTokens(directory, KEY)


async def test_the_sources_counts_until_there_is_another(tokens, directory):
    assert await tokens.current(SPEC, "the-first-one") == "the-first-one"
    assert list(directory.iterdir()) == []


async def test_the_latest_counts_after_a_restart_too(tokens, directory):
    await tokens.keep(SPEC, "the-first-one", "the-second-one")
    await tokens.keep(SPEC, "the-first-one", "the-third-one")
    assert await tokens.current(SPEC, "the-first-one") == "the-third-one"
    assert await RefreshTokens(directory, KEY).current(SPEC, "the-first-one") == "the-third-one"


async def test_a_new_one_at_the_source_counts_again(tokens, directory):
    await tokens.keep(SPEC, "the-first-one", "the-second-one")
    assert await tokens.current(SPEC, "authorised-anew") == "authorised-anew"
    assert await RefreshTokens(directory, KEY).current(SPEC, "authorised-anew") == "authorised-anew"
    await tokens.keep(SPEC, "authorised-anew", "after-that")
    assert await RefreshTokens(directory, KEY).current(SPEC, "authorised-anew") == "after-that"


async def test_others_have_their_own(tokens):
    await tokens.keep(SPEC, "the-first-one", "the-second-one")
    for other in (
        replace(SPEC, token_url="https://other.example/token"),
        replace(SPEC, client_id="other"),
        replace(SPEC, refresh_token=SecretSource("env", "OTHER")),
    ):
        assert await tokens.current(other, "the-first-one") == "the-first-one"
    assert await tokens.current(replace(SPEC, scope="less"), "the-first-one") == "the-second-one"


async def test_the_file_is_the_owners_alone_and_has_no_other_secret(tokens, directory):
    await tokens.keep(SPEC, "the-first-one", "the-second-one")
    (path,) = directory.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "the-first-one" not in path.read_text()
    assert "the-second-one" in path.read_text()


async def test_one_that_others_may_read_is_not_used(tokens, directory):
    await tokens.keep(SPEC, "the-first-one", "the-second-one")
    (path,) = directory.iterdir()
    path.chmod(0o644)
    with pytest.raises(SecretUnavailable, match="chmod 0600"):
        await RefreshTokens(directory, KEY).current(SPEC, "the-first-one")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"\xff", b'{"origin": "x"}', b'"token"'])
async def test_one_that_is_broken_is_not_used(tokens, directory, content):
    await tokens.keep(SPEC, "the-first-one", "the-second-one")
    (path,) = directory.iterdir()
    path.write_bytes(content)
    with pytest.raises(SecretUnavailable, match="delete it"):
        await RefreshTokens(directory, KEY).current(SPEC, "the-first-one")


async def test_one_that_cannot_be_written_counts_until_the_end(tokens, directory, monkeypatch, caplog):
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(state, "replace", full)
    await tokens.keep(SPEC, "the-first-one", "the-second-one")
    assert await tokens.current(SPEC, "the-first-one") == "the-second-one"
    assert "cannot be kept (No space left on device)" in caplog.text
    assert "-one" not in caplog.text
    assert await RefreshTokens(directory, KEY).current(SPEC, "the-first-one") == "the-first-one"
