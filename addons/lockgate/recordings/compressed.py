"""Closed record files, compressed: zstd in frames that are found and read by themselves. `zstd -d` gives back the file.

The end is a seek table, in a frame that other readers skip (zstd's seekable format, contrib/seekable_format): for each
frame its compressed and its plain size, 4 bytes each, little-endian; their number; a descriptor byte; a magic number.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import BinaryIO

import zstandard

from lockgate.recordings.pages import Altered, Pages

FRAME = 1024 * 1024  # plain bytes
MOST = 64 * 1024 * 1024  # plain bytes of a frame: what says that it has more is not ours
FRAMES = 1024 * 1024  # at most
SKIPPABLE, SEEKABLE = 0x184D2A5E, 0x8F92EAB1
HEADER = struct.Struct("<II")
ENTRY = struct.Struct("<II")
FOOTER = struct.Struct("<IBI")
LEVEL = 9


def compress(source: BinaryIO, out: BinaryIO) -> None:
    """Raises OSError."""
    entries = []
    for plain in iter(lambda: source.read(FRAME), b""):
        frame = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(plain)
        out.write(frame)
        entries.append((len(frame), len(plain)))
    table = b"".join(ENTRY.pack(*entry) for entry in entries) + FOOTER.pack(len(entries), 0, SEEKABLE)
    out.write(HEADER.pack(SKIPPABLE, len(table)) + table)


class Decompressed(Pages):
    """A compressed file as it was before; a page is a frame."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises Altered where it is no such file."""
        super().__init__(file)
        sizes = list(seek_table(file))
        self._starts = [0, *accumulate(compressed for compressed, _ in sizes)]
        self._offsets = [0, *accumulate(plain for _, plain in sizes)]
        self.size = self._offsets[-1]

    def place(self, position: int) -> tuple[int, int]:
        index = bisect_right(self._offsets, position) - 1
        return index, position - self._offsets[index]

    def page(self, number: int) -> bytes:
        plain = self._offsets[number + 1] - self._offsets[number]
        self._file.seek(self._starts[number])
        frame = self._file.read(self._starts[number + 1] - self._starts[number])
        try:
            if zstandard.frame_content_size(frame) != plain:
                raise Altered("a frame is not of the size that the seek table says")
            return zstandard.ZstdDecompressor().decompress(frame, max_output_size=plain, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise Altered("a frame cannot be decompressed") from error


def seek_table(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """The compressed and the plain size of each frame. Raises Altered where there is no table of all of the file."""
    end = file.seek(0, io.SEEK_END)
    try:
        file.seek(end - FOOTER.size)
        count, descriptor, magic = FOOTER.unpack(file.read(FOOTER.size))
        if count > FRAMES:
            raise ValueError("more frames than any file of ours has")
        length = count * ENTRY.size + FOOTER.size
        begin = file.seek(end - length - HEADER.size)
        header = HEADER.unpack(file.read(HEADER.size))
        entries = list(ENTRY.iter_unpack(file.read(count * ENTRY.size)))
    except (struct.error, ValueError, OSError) as error:
        raise Altered("there is no seek table at its end") from error
    whole = sum(compressed for compressed, _ in entries) == begin
    if (magic, descriptor, header) != (SEEKABLE, 0, (SKIPPABLE, length)) or not whole:
        raise Altered("there is no seek table at its end")
    if any(plain > MOST or not plain for _, plain in entries):
        raise Altered("its frames are too large, or empty")
    yield from entries
