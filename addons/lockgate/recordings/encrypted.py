"""Closed record files, encrypted: AES-256-GCM in chunks, each bound to its place and to the file (as in STREAM, Hoang,
Reyhanitabar, Rogaway and Vizard, 2015), so that none can be altered, moved, left out at the end, or put into another.

    file     header chunk*
    header   "LGE1"  key id (8)  salt (16)
    chunk    64 KiB of plain text or, the last, less; AES-256-GCM with its 16 byte tag; the header is authenticated too

The key of a file is HKDF-SHA256 of the secret and the salt; a chunk's nonce is its number and whether it is the last.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lockgate.errors import RecordingLocked
from lockgate.recordings.pages import Altered, Pages

MAGIC = b"LGE1"
KEY_ID, SALT, TAG = 8, 16, 16
HEADER = len(MAGIC) + KEY_ID + SALT
CHUNK = 64 * 1024
VARIABLE = "LOCKGATE_RECORDINGS_KEY"  # where readers find the secrets, one or several separated by commas


def encrypt(source: BinaryIO, out: BinaryIO, secret: str) -> None:
    """Raises OSError."""
    header = MAGIC + key_id(secret) + os.urandom(SALT)
    cipher = AESGCM(file_key(secret, header))
    out.write(header)
    number, chunk = 0, source.read(CHUNK)
    while True:
        following = source.read(CHUNK)
        out.write(cipher.encrypt(nonce(number, last=not following), chunk, header))
        if not following:
            return
        number, chunk = number + 1, following


class Decrypted(Pages):
    """An encrypted file as it was before; a page is a chunk."""

    def __init__(self, file: BinaryIO, secrets: Sequence[str]) -> None:
        """Raises Altered where it is no such file, RecordingLocked where none of the secrets is its own."""
        super().__init__(file)
        end = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._header = file.read(HEADER)
        if len(self._header) != HEADER or not self._header.startswith(MAGIC) or end < HEADER + TAG:
            raise Altered("it is no encrypted recording")
        own = self._header[len(MAGIC) : len(MAGIC) + KEY_ID]
        secret = next((each for each in secrets if key_id(each) == own), None)
        if secret is None:
            raise RecordingLocked(f"encrypted with key {own.hex()}: put the secret of that into {VARIABLE}")
        self._cipher = AESGCM(file_key(secret, self._header))
        self._count, rest = divmod(end - HEADER, CHUNK + TAG)
        self._count += bool(rest)
        self.size = end - HEADER - self._count * TAG

    def place(self, position: int) -> tuple[int, int]:
        return divmod(position, CHUNK)

    def page(self, number: int) -> bytes:
        self._file.seek(HEADER + number * (CHUNK + TAG))
        chunk = self._file.read(CHUNK + TAG)
        try:
            return self._cipher.decrypt(nonce(number, last=number == self._count - 1), chunk, self._header)
        except InvalidTag:
            raise Altered("what is encrypted was altered, or is cut short") from None


_learnt: list[str] = []


def learn(secret: str) -> None:
    """Files that are encrypted with this secret can be read by this process from now on."""
    if secret not in _learnt:
        _learnt.append(secret)


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Those that files are tried with."""
    given = environment.get(VARIABLE, "")
    return _learnt + [each.strip() for each in (given, *given.split(",")) if each.strip()]  # one may have a comma


def key_id(secret: str) -> bytes:
    """Tells keys apart, and nothing of the secret, which has to be a random one."""
    return sha256(b"lockgate recordings key\0" + secret.encode()).digest()[:KEY_ID]


def file_key(secret: str, header: bytes) -> bytes:
    return HKDF(SHA256(), 32, header[-SALT:], b"lockgate recordings").derive(secret.encode())


def nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
