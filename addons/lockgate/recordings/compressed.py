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

FRAME = 1024 * 1024  # plain bytes
MOST = 64 * 1024 * 1024  # plain bytes of a frame: what says that it has more is not ours
FRAMES = 1024 * 1024  # at most
SKIPPABLE, SEEKABLE = 0x184D2A5E, 0x8F92EAB1
HEADER = struct.Struct("<II")
ENTRY = struct.Struct("<II")
FOOTER = struct.Struct("<IBI")
LEVEL = 9


class Altered(OSError):
    """What was put away is not as it was."""


def compress(source: BinaryIO, out: BinaryIO) -> None:
    """Raises OSError."""
    entries = []
    for plain in iter(lambda: source.read(FRAME), b""):
        frame = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(plain)
        out.write(frame)
        entries.append((len(frame), len(plain)))
    table = b"".join(ENTRY.pack(*entry) for entry in entries) + FOOTER.pack(len(entries), 0, SEEKABLE)
    out.write(HEADER.pack(SKIPPABLE, len(table)) + table)


class Decompressed(io.RawIOBase):
    """A compressed file as it was before, to be read anywhere. One frame of it is in memory."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises Altered where it is no such file."""
        self._file = file
        sizes = list(seek_table(file))
        self._starts = [0, *accumulate(compressed for compressed, _ in sizes)]
        self._offsets = [0, *accumulate(plain for _, plain in sizes)]
        self.size = self._offsets[-1]
        self._position = 0
        self._frame, self._plain = -1, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Raises Altered where a frame is not what the table says."""
        if self._position >= self.size:
            return 0
        index = bisect_right(self._offsets, self._position) - 1
        if index != self._frame:
            self._plain, self._frame = self._read(index), index
        begin = self._position - self._offsets[index]
        piece = self._plain[begin : begin + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _read(self, index: int) -> bytes:
        plain = self._offsets[index + 1] - self._offsets[index]
        self._file.seek(self._starts[index])
        frame = self._file.read(self._starts[index + 1] - self._starts[index])
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
