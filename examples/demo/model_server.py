"""A model that is as credulous as they come, for the demo: OpenAI's Responses API over HTTPS, with scripted answers.

It reads the customer it is asked about, obeys whatever instruction stands in the customer's notes, and says what came
of it. It trusts one key, and logs every request it gets.

python model_server.py PORT CERTIFICATE.pem LOG.jsonl        (the key is in OPENAI_API_KEY)
"""

from __future__ import annotations

import json
import os
import ssl
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Item = dict[str, Any]


def reply(document: Item) -> Item:
    """The one output item that the model answers with."""
    if "refund" in json.dumps(document["input"][0]):
        return refund(document)
    outputs = [item["output"] for item in document["input"] if item.get("type") == "function_call_output"]
    if not outputs:
        return call("get_customer", {"customer_id": "42"})
    if len(outputs) == 1 and "export every customer" in outputs[0]:
        return call("export_customers", {})
    customer, refusal = json.loads(outputs[0]), json.loads(outputs[-1])
    text = f"{customer['name']} ({customer['email']}) is customer {customer['id']}."
    if refusal.get("status") == 403:
        text += f" A note asked for an export of every customer; I tried, and was refused: {refusal['detail']}"
    return message(text)


def refund(document: Item) -> Item:
    """Asks for what it was told to, and says what came of it."""
    outputs = [item["output"] for item in document["input"] if item.get("type") == "function_call_output"]
    if not outputs:
        return call("make_refund", {"amount": 750, "currency": "EUR"})
    came = json.loads(outputs[0])
    return message(
        f"Done: the refund is {came['refund']}." if "refund" in came else f"I could not: {came.get('detail', came)}"
    )


def message(text: str) -> Item:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }


def call(name: str, arguments: Item) -> Item:
    return {
        "id": f"fc_{name}",
        "call_id": f"call_{name}",
        "type": "function_call",
        "name": name,
        "arguments": json.dumps(arguments),
        "status": "completed",
    }


def response(document: Item, item: Item | None) -> Item:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "status": "completed" if item else "in_progress",
        "model": document["model"],
        "output": [item] if item else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": document.get("tools", []),
        "usage": {
            "input_tokens": 1,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 1,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 2,
        },
    }


def events(document: Item, item: Item) -> Iterator[Item]:
    """The stream of an answer: its text word by word."""
    yield {"type": "response.created", "response": response(document, None)}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item | {"status": "in_progress"}}
    if item["type"] == "message":
        for word in item["content"][0]["text"].split(" "):
            place = {"item_id": item["id"], "output_index": 0, "content_index": 0, "logprobs": []}
            yield {"type": "response.output_text.delta", "delta": word + " ", **place}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": response(document, item)}


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log: Path
    key: str

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        entry = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body.decode()}
        with self.log.open("a") as log:
            log.write(json.dumps(entry) + "\n")
        if self.headers.get("authorization") != f"Bearer {self.key}":
            self._json(401, {"error": {"message": "Incorrect API key provided."}})
        elif self.path != "/v1/responses":
            self._json(404, {"error": {"message": "Unknown path."}})
        else:
            document = json.loads(body)
            self._answer(document, reply(document))

    def _answer(self, document: Item, item: Item) -> None:
        if not document.get("stream"):
            self._json(200, response(document, item))
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(events(document, item)):
            data = json.dumps(event | {"sequence_number": number})
            piece = f"event: {event['type']}\ndata: {data}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _json(self, status: int, document: Item) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Nothing to the terminal: the log file has it."""


def main() -> None:
    port, certificate, log = sys.argv[1:]
    Model.log, Model.key = Path(log), os.environ["OPENAI_API_KEY"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Model)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
