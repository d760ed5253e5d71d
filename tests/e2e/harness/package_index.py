"""A Python package index (the simple API, PEP 503) with small wheels, as an answer of a recording target."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile

from harness.upstream import Connection, Seen

VERSION = "1.0"


class PackageIndex:
    """`wheels` is each package's only file, by the package's name."""

    def __init__(self, *names: str) -> None:
        self.wheels = {name: wheel(name) for name in names}

    def __call__(self, connection: Connection, seen: Seen) -> None:
        pages = {f"/simple/{name}/": page(name, content) for name, content in self.wheels.items()}
        files = {f"/files/{file_name(name)}": content for name, content in self.wheels.items()}
        body = pages.get(seen.path) or files.get(seen.path)
        status = "200 OK" if body else "404 Not Found"
        kind = "text/html" if seen.path in pages else "application/octet-stream"
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body or b'')}\r\n\r\n"
        connection.send(head.encode() + (b"" if seen.method == "HEAD" else body or b""))


def file_name(name: str) -> str:
    return f"{name}-{VERSION}-py3-none-any.whl"


def page(name: str, content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    return f'<!DOCTYPE html><a href="/files/{file_name(name)}#sha256={digest}">{file_name(name)}</a>'.encode()


def wheel(name: str) -> bytes:
    """A wheel with one empty module."""
    info = f"{name}-{VERSION}.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: lockgate-test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={encoded(text)},{len(text)}\n" for path, text in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return content.getvalue()


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
