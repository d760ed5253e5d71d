from __future__ import annotations

import io
from typing import BinaryIO

import pytest

from lockgate.recordings.pages import Altered, Pages


class Tens(Pages):
    """Ten bytes a page, each the page's own letter; the third is not as it was."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__(file)
        self.size = size

    def place(self, position: int) -> tuple[int, int]:
        return divmod(position, 10)

    def page(self, number: int) -> bytes:
        if number == 2:
            raise Altered("it is another")
        return bytes([97 + number]) * 10


def test_it_is_read_across_pages() -> None:
    file = io.BufferedReader(Tens(io.BytesIO(), 20), 4)
    file.seek(8)
    assert file.read(4) == b"aabb"
    assert file.seek(-3, io.SEEK_END) == 17
    assert file.read() == b"bbb"
    assert file.read() == b""
    file.close()


def test_what_was_altered_is_not_read() -> None:
    with io.BufferedReader(Tens(io.BytesIO(), 30)) as file, pytest.raises(Altered):
        file.read()


def test_it_closes_what_it_reads() -> None:
    inner = io.BytesIO()
    Tens(inner, 0).close()
    assert inner.closed
