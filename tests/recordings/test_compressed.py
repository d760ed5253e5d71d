from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
import zstandard

from lockgate.recordings.compressed import ENTRY, FOOTER, FRAME, Decompressed, compress
from lockgate.recordings.pages import Altered

PLAIN = bytes(range(256)) * (10 * FRAME // 1024) + b"the end"


def compressed(plain: bytes) -> bytes:
    out = io.BytesIO()
    compress(io.BytesIO(plain), out)
    return out.getvalue()


@pytest.mark.parametrize("plain", [b"", b"x", PLAIN, b"y" * FRAME, b"z" * (FRAME + 1)], ids=len)
def test_it_gives_back_what_it_was(plain: bytes) -> None:
    data = compressed(plain)
    with io.BufferedReader(Decompressed(io.BytesIO(data))) as file:
        assert file.read() == plain
    stock = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
    assert stock == plain


def test_any_part_of_it_can_be_read() -> None:
    file = io.BufferedReader(Decompressed(io.BytesIO(compressed(PLAIN))))
    for position in (0, 5, FRAME - 3, FRAME, 2 * FRAME + 1, len(PLAIN) - 7, len(PLAIN), len(PLAIN) + 5):
        file.seek(position)
        assert file.read(10) == PLAIN[position : position + 10]
    assert file.seek(0, io.SEEK_END) == len(PLAIN)
    file.close()


def read(data: bytes) -> bytes:
    with io.BufferedReader(Decompressed(io.BytesIO(data))) as file:
        return file.read()


def test_what_was_altered_is_not_read() -> None:
    data = compressed(b"some text " * 50)
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= 1 << (position % 8)
        try:
            assert read(bytes(altered)) == b"some text " * 50  # a bit that says nothing, of the frame's header
        except Altered:
            continue
    for length in range(len(data)):
        with pytest.raises(Altered):
            read(data[:length])


def test_a_bomb_is_not_set_off() -> None:
    frame = zstandard.ZstdCompressor().compress(b"0" * 2000)
    table = ENTRY.pack(len(frame), 2**32 - 1) + FOOTER.pack(1, 0, 0x8F92EAB1)
    with pytest.raises(Altered, match="too large"):
        read(frame + b"\x5e\x2a\x4d\x18" + len(table).to_bytes(4, "little") + table)
    lying = ENTRY.pack(len(frame), 10) + FOOTER.pack(1, 0, 0x8F92EAB1)
    with pytest.raises(Altered, match="size"):
        read(frame + b"\x5e\x2a\x4d\x18" + len(lying).to_bytes(4, "little") + lying)


def test_the_tool_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mitm.zst"
    path.write_bytes(compressed(PLAIN))
    try:
        done = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True, timeout=30)
    except FileNotFoundError:
        return  # the library above is the same code
    assert done.stdout == PLAIN
