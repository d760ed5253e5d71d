from __future__ import annotations

import io

import pytest

from lockgate.errors import RecordingLocked
from lockgate.recordings.encrypted import CHUNK, HEADER, TAG, Decrypted, encrypt, secrets_of
from lockgate.recordings.pages import Altered

SECRET = "correct horse battery staple"
PLAIN = bytes(range(256)) * 600 + b"the end"


def encrypted(plain: bytes, secret: str = SECRET) -> bytes:
    out = io.BytesIO()
    encrypt(io.BytesIO(plain), out, secret)
    return out.getvalue()


def read(data: bytes, *secrets: str) -> bytes:
    with io.BufferedReader(Decrypted(io.BytesIO(data), secrets or (SECRET,))) as file:
        return file.read()


@pytest.mark.parametrize("plain", [b"", b"x", PLAIN, b"y" * CHUNK, b"z" * (CHUNK + 1)], ids=len)
def test_it_gives_back_what_it_was(plain: bytes) -> None:
    data = encrypted(plain)
    assert read(data) == plain
    assert not plain or plain not in data


def test_any_part_of_it_can_be_read() -> None:
    file = io.BufferedReader(Decrypted(io.BytesIO(encrypted(PLAIN)), [SECRET]))
    for position in (0, 5, CHUNK - 3, CHUNK, 2 * CHUNK + 1, len(PLAIN) - 7, len(PLAIN), len(PLAIN) + 5):
        file.seek(position)
        assert file.read(10) == PLAIN[position : position + 10]
    assert file.seek(0, io.SEEK_END) == len(PLAIN)
    file.close()


def test_the_same_file_is_never_the_same_twice() -> None:
    assert encrypted(PLAIN) != encrypted(PLAIN)


def test_of_several_keys_its_own_is_found() -> None:
    assert read(encrypted(PLAIN, "an older secret"), SECRET, "an older secret") == PLAIN


@pytest.mark.parametrize("secrets", [[], ["another secret"]])
def test_without_its_key_it_is_locked(secrets: list[str]) -> None:
    with pytest.raises(RecordingLocked, match="LOCKGATE_RECORDINGS_KEY"):
        Decrypted(io.BytesIO(encrypted(PLAIN)), secrets)


def test_no_bit_can_be_altered() -> None:
    data = encrypted(b"some text")
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= 1 << (position % 8)
        with pytest.raises((Altered, RecordingLocked)):
            read(bytes(altered))


CHUNKS = [b"a" * CHUNK, b"b" * CHUNK, b"c" * 10]


@pytest.mark.parametrize("cut", [0, 3, HEADER, HEADER + CHUNK + TAG, HEADER + 2 * (CHUNK + TAG), -1])
def test_it_cannot_be_cut_short(cut: int) -> None:
    with pytest.raises(Altered):
        read(encrypted(b"".join(CHUNKS))[:cut])


def test_chunks_cannot_be_moved_doubled_or_put_into_another_file() -> None:
    data, other = encrypted(b"".join(CHUNKS)), encrypted(b"".join(CHUNKS))
    size = CHUNK + TAG
    first, second, last = (
        data[HEADER : HEADER + size],
        data[HEADER + size : HEADER + 2 * size],
        data[HEADER + 2 * size :],
    )
    head = data[:HEADER]
    for forged in (
        head + second + first + last,
        head + first + first + last,
        head + first + last,
        head + other[HEADER : HEADER + size] + second + last,
        other[:HEADER] + first + second + last,
        data + last,
    ):
        with pytest.raises(Altered):
            read(forged)


def test_readers_take_keys_from_the_environment() -> None:
    assert secrets_of({"LOCKGATE_RECORDINGS_KEY": " new , old,"})[-2:] == ["new", "old"]
