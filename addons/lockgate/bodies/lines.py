"""Lines out of bytes as they come, ended by LF, CRLF or CR. Sans-IO, pure."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.errors import BodyTooLarge


class Lines:
    """Takes bytes however they are cut, keeps no more of them than the line that has not ended yet.

    A line is out as soon as its end is: that a CR may be followed by an LF holds nothing back.
    """

    def __init__(self, limit: int) -> None:
        """`limit` is the longest line, in bytes without its end."""
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._after_cr = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that end in `data`, without their ends. Raises BodyTooLarge, behind those before it, for a line
        above the limit.
        """
        for piece in data.splitlines(keepends=True):  # of bytes: at LF, CRLF and CR only
            after_cr, self._after_cr = self._after_cr, piece.endswith(b"\r")
            if after_cr and piece == b"\n":
                continue
            content = piece.rstrip(b"\r\n")
            self._size += len(content)
            if self._size > self._limit:
                raise BodyTooLarge(f"a line is larger than {self._limit} bytes")
            self._parts.append(content)
            if len(content) < len(piece):
                yield self._take()

    def end(self) -> Iterator[bytes]:
        """The last line, where it has no end."""
        if self._size:
            yield self._take()

    def _take(self) -> bytes:
        line = b"".join(self._parts)
        self._parts, self._size = [], 0
        return line
