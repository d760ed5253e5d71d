from __future__ import annotations

import os

import pytest

from lockgate.errors import SecretUnavailable
from lockgate.model import SecretSource


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "secret"
    path.write_text("correct-horse")
    path.chmod(0o600)
    return path


@pytest.fixture
def read(secrets):
    def read(path):
        return secrets.read(SecretSource("file", str(path)))

    return read


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=repr)
async def test_read(path, end, read):
    path.write_bytes(b"correct-horse" + end.encode())
    assert await read(path) == "correct-horse"


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
async def test_private_modes(path, mode, read):
    path.chmod(mode)
    assert await read(path) == "correct-horse"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
async def test_open_to_others(path, mode, read):
    path.chmod(mode)
    with pytest.raises(SecretUnavailable, match="chmod 0600"):
        await read(path)


async def test_a_rotated_secret_counts_at_once(path, read):
    assert await read(path) == "correct-horse"
    path.write_text("battery-staple")
    assert await read(path) == "battery-staple"


async def test_a_link_is_followed_to_what_it_names(path, read):
    link = path.with_name("link")
    link.symlink_to(path)
    assert await read(link) == "correct-horse"
    path.chmod(0o644)
    with pytest.raises(SecretUnavailable, match="chmod 0600"):
        await read(link)


async def test_missing(tmp_path, read):
    with pytest.raises(SecretUnavailable, match=f"file:{tmp_path}/none: No such file"):
        await read(tmp_path / "none")


async def test_directory(tmp_path, read):
    with pytest.raises(SecretUnavailable, match="Is a directory"):
        await read(tmp_path)


async def test_named_pipe_does_not_block(tmp_path, read):
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SecretUnavailable, match="not a regular file"):
        await read(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"\n", "empty", id="newline-only"),
        pytest.param(b"correct-horse\n\n", "control character", id="two-newlines"),
        pytest.param(b"user\nsecret-word\n", "control character", id="two-lines"),
        pytest.param(b"correct-\xff-horse", "outside ASCII", id="not-ascii"),
        pytest.param(b"\xef\xbb\xbfcorrect-horse", "outside ASCII", id="bom"),
        pytest.param(b"x" * 10_000, "longer than 8192", id="long"),
        pytest.param(b"x" * 20_000, "larger than 16384", id="large"),
    ],
)
async def test_refused_without_its_value(path, content, message, read):
    path.write_bytes(content)
    with pytest.raises(SecretUnavailable, match=message) as caught:
        await read(path)
    assert "horse" not in repr(caught.value)
    assert caught.value.__context__ is None
