"""Files that are read page by page, each taken out of what it was put into, as if they were plain ones."""

from __future__ import annotations

import io
from abc import abstractmethod
from typing import BinaryIO


class Altered(OSError):
    """What was put away is not as it was."""


class Pages(io.RawIOBase):
    """To be read anywhere; one page is in memory."""

    size: int  # of all pages, in bytes

    def __init__(self, file: BinaryIO) -> None:
        """`file` is closed with this."""
        self._file = file
        self.size = 0
        self._position = 0
        self._number, self._page = -1, b""

    @abstractmethod
    def place(self, position: int) -> tuple[int, int]:
        """The number of the page in which a position is, and how far in."""

    @abstractmethod
    def page(self, number: int) -> bytes:
        """Raises Altered where it is not what was written there."""

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
        """Raises Altered."""
        if self._position >= self.size:
            return 0
        number, begin = self.place(self._position)
        if number != self._number:
            self._page, self._number = self.page(number), number
        piece = self._page[begin : begin + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()
