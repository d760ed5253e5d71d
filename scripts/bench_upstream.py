"""The target of `scripts/bench proxy`: answers at once, from memory, so that what is measured is what stands before it.

python bench_upstream.py PORT TLS_PORT CERTIFICATE.pem
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

SIZES = {"200B": 200, "10KiB": 10 * 1024, "1MiB": 1024 * 1024}
EVENT = b'data: {"id": 1, "email": "ada.marsh@customer.example", "ssn": "536-90-4399"}\n\n'
PAUSE = 0.5  # seconds between the events of a stream


def document(size: int) -> bytes:
    """About `size` bytes of JSON: customers, with what is masked in each."""
    customer = {"id": 42, "email": "ada.marsh@customer.example", "ssn": "536-90-4399", "note": "x" * 60}
    one = len(json.dumps(customer)) + 2
    return json.dumps([customer] * max(1, round(size / one))).encode()


def head(kind: str, length: int | None) -> bytes:
    framing = f"content-length: {length}" if length is not None else "transfer-encoding: chunked"
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n".encode()


ANSWERS = {
    f"/{name}".encode(): head("application/json", len(body)) + body
    for name, body in ((name, document(size)) for name, size in SIZES.items())
}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            path = request.split(b" ", 2)[1]
            if path == b"/stream":
                await stream(writer)
            else:
                writer.write(ANSWERS[path])
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client is done
    finally:
        writer.close()


async def stream(writer: asyncio.StreamWriter) -> None:
    writer.write(head("text/event-stream", None))
    for _ in range(2):
        writer.write(f"{len(EVENT):x}\r\n".encode() + EVENT + b"\r\n")
        await writer.drain()
        await asyncio.sleep(PAUSE)
    writer.write(b"0\r\n\r\n")


async def main() -> None:
    port, tls_port, certificate = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    plain = await asyncio.start_server(serve, "127.0.0.1", int(port))
    await asyncio.start_server(serve, "127.0.0.1", int(tls_port), ssl=context)
    await plain.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
