"""A target that answers what it is told, when it is told: a test sends a part only once the one before has arrived."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Event

from harness.upstream import Connection, Seen

PATIENCE = 20.0  # seconds

Step = Callable[[Connection], None]


class Told:
    """The steps of one answer after the other. `left` is set once the gateway is seen to have closed its connection."""

    def __init__(self) -> None:
        self.left = Event()
        self._steps: SimpleQueue[Step | None] = SimpleQueue()

    def __call__(self, connection: Connection, seen: Seen) -> None:
        self.left.clear()
        while (step := self._steps.get(timeout=PATIENCE)) is not None:
            step(connection)

    def head(self, kind: str, *fields: str, status: str = "200 OK") -> None:
        """Begin an answer with a chunked body."""
        lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", "transfer-encoding: chunked", *fields, "", ""]
        self.say("\r\n".join(lines).encode())

    def chunk(self, data: bytes) -> None:
        self.say(b"%x\r\n%b\r\n" % (len(data), data))

    def say(self, data: bytes) -> None:
        self._steps.put(lambda connection: connection.send(data))

    def do(self, step: Step) -> None:
        self._steps.put(step)

    def end(self) -> None:
        """End a chunked body, and the answer."""
        self.say(b"0\r\n\r\n")
        self.done()

    def done(self) -> None:
        """The answer is over: the next request is read."""
        self._steps.put(None)

    def hang_up(self, how: Step = Connection.close) -> None:
        """Close in the middle of an answer: without a word, or as `how` does."""
        self.do(how)
        self.done()

    def see_left(self) -> None:
        """Read until the gateway closes, and end the answer."""

        def watch(connection: Connection) -> None:
            while connection.receive():
                pass
            self.left.set()

        self.do(watch)
        self.done()
