"""Plays a case of the evasion corpus through a gateway, between an agent and targets that keep every byte they get."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from harness.corpus import TO_CRM, Answer, Case, Step, forwarded, request
from harness.expect import leaks, refused
from harness.gateway import Gateway
from harness.issuer import Issuer
from harness.rules import CRM
from harness.upstream import Connection, RecordingUpstream, Seen
from harness.wire import Incomplete, Reply, Wire, dial, start_tls

QUIET = 0.3  # seconds without a byte that count as silence
PATIENCE = 8.0  # seconds within which the gateway answers, or closes
PROMPT = 2.0  # seconds within which another client is answered, whatever this one sends
PROBE = "/open/probe"


@dataclass
class Stage:
    """Where cases are played. `answer` is what a target says next, but to a probe; None is an echo."""

    gateway: Gateway
    issuer: Issuer
    targets: dict[str, RecordingUpstream]
    reverse: Mapping[str, int]  # the ports in reverse mode: to a target, and to a host that is none
    answer: Answer | None = None
    token: str = field(init=False, repr=False)
    total: dict[str, int] = field(default_factory=dict)  # bytes that each target has got, and was to get, so far

    def __post_init__(self) -> None:
        self.token = self.issuer.token("support")

    def settled(self) -> bool:
        """Whether nothing has arrived late, behind the back of a case."""
        return self.total == self._got()

    def _got(self) -> dict[str, int]:
        return {name: sum(len(one.plain) for one in target.connections) for name, target in self.targets.items()}

    def respond(self, connection: Connection, seen: Seen) -> None:
        """How the targets answer."""
        answer = self.answer
        if answer is None or seen.path == PROBE:
            said = json.dumps({"line": f"{seen.method} {seen.target}"}).encode()
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(said)}\r\n\r\n".encode()
            connection.send(head if seen.method == "HEAD" else head + said)
            return
        for part in answer.parts:
            if isinstance(part, bytes):
                connection.send(part)
            else:
                time.sleep(part)
        if answer.closes:
            connection.close()

    def play(self, case: Case) -> None:
        """Do what the case says and assert what it expects."""
        try:
            self._play(case)
        except BaseException:
            self.total = self._got()
            raise

    def _play(self, case: Case) -> None:
        before = {name: len(target.connections) for name, target in self.targets.items()}
        self.answer = case.answer
        expected: dict[str, bytes] = {}
        with ExitStack() as stack:
            wires: dict[str, Wire] = {}
            for step in case.steps(self.issuer, self.token):
                wire = wires.get(step.connection)
                if wire is None:
                    wire = wires[step.connection] = stack.enter_context(self._enter(case))
                replies = list(self._take(case, wire, step))
                arrived = b"".join(self._arrives(case, step, replies))
                expected[step.connection] = expected.get(step.connection, b"") + arrived
                self._own_answers(case, step, replies)
            if case.probes:
                for name, wire in wires.items():
                    expected[name] += self._probe(case, wire)
            for wire in wires.values():
                assert not leaks(wire.received), leaks(wire.received)
                assert [secret for secret in case.never if secret in wire.received] == []
        self._compare(case, before, [sent for sent in expected.values() if sent])

    def _enter(self, case: Case) -> Wire:
        """A connection of the agent's, by the way the case goes."""
        if case.via == "tunnel":
            return self.gateway.tunnel(self.token)
        if case.via == "bare-tunnel":
            wire, reply = self.gateway.connect(self.token)
            assert reply.status == 200
            return wire
        if case.via == "tls":
            return start_tls(self.gateway.dial(), CRM, str(self.gateway.ca))
        if case.via in self.reverse:
            return dial(self.reverse[case.via])
        assert case.via in ("port", "connect", "identity"), case.via
        return self.gateway.dial()

    def _take(self, case: Case, wire: Wire, step: Step) -> Iterator[Reply]:
        """Send, and take as many answers as are expected."""
        if case.prompts:
            sender = threading.Thread(target=_send, args=(wire, step), daemon=True)
            sender.start()
            self._answers_others()
            sender.join(PATIENCE)
        else:
            _send(wire, step)
        for number, allowed in enumerate(step.expect):
            method = step.methods[min(number, len(step.methods) - 1)]
            wire.socket.settimeout(QUIET if "silent" in allowed else PATIENCE)
            try:
                reply = wire.reply(to=method)
            except Incomplete as incomplete:
                found = _end(wire, incomplete)
                if found not in allowed:
                    raise AssertionError(f"{found} instead of {sorted(allowed)}") from None
                return
            assert str(reply.status) in allowed, f"{reply.status} instead of {sorted(allowed)}: {reply}"
            yield reply

    def _arrives(self, case: Case, step: Step, replies: list[Reply]) -> tuple[bytes, ...]:
        """What must have arrived: where a case leaves it open, nothing of what was refused."""
        either = any("200" in allowed and len(allowed) > 1 for allowed in step.expect)
        passed = any(reply.status < 400 for reply in replies)
        return () if either and not passed and case.answer is None else step.arrives

    def _own_answers(self, case: Case, step: Step, replies: list[Reply]) -> None:
        """Each answer that is not a refusal is the one to its own request."""
        lines = [one.partition(b" HTTP/1.1\r\n")[0].decode() for one in step.arrives]
        for reply in replies:
            if reply.status >= 400 and case.answer is None:
                assert reply.status != 407 or reply.headers["proxy-authenticate"]
                if reply.body or "HEAD" not in step.methods:
                    refused(reply, reply.status)
            elif reply.status >= 200 and case.answer is None and reply.body and b'"line"' in reply.body:
                assert json.loads(reply.body)["line"] == lines.pop(0)
        if case.body is not None:
            assert replies[-1].body == case.body

    def _probe(self, case: Case, wire: Wire) -> bytes:
        """The next request on the connection gets its own answer, or none; what of it arrives at the target."""
        time.sleep(case.pause)
        path = f"{PROBE}?{case.name}"
        via = "tunnel" if case.via == "bare-tunnel" else case.via
        wire.socket.settimeout(PATIENCE)
        wire.send(
            request(
                "port" if via in ("connect", "tls", "identity") else via, b"GET", path.encode(), self.token.encode(), []
            )
        )
        try:
            reply = wire.reply()
        except Incomplete as incomplete:
            if _end(wire, incomplete) != "closed":
                raise AssertionError("the next request is not answered") from None
            return b""
        if reply.status != 200:
            refused(reply, reply.status)
            return b""
        assert json.loads(reply.body) == {"line": f"GET {path}"}
        assert wire.rest(0.0) == b""
        return forwarded("crm" if via in TO_CRM else "plain", b"GET", path.encode())

    def _answers_others(self) -> None:
        """Nobody makes the others wait."""
        time.sleep(0.05)
        begun = time.monotonic()
        with self.gateway.dial() as other:
            other.socket.settimeout(PATIENCE)
            assert other.ask(b"GET http://plain.example/ HTTP/1.1\r\nHost: plain.example\r\n\r\n").status == 407
        assert time.monotonic() - begun < PROMPT

    def _compare(self, case: Case, before: dict[str, int], expected: list[bytes]) -> None:
        """The target got what is expected to the byte, and the other one was not connected to."""
        for name, target in self.targets.items():
            opened = target.connections[before[name] :]
            wanted = expected if name == case.to else []
            got = [connection.plain for connection in opened if connection.plain]
            if len(wanted) == 1:
                got = [b"".join(got)] if got else got
            assert sorted(got) == sorted(wanted) or (case.may_be_left and not got), f"{name} got {got!r}"
            assert wanted or not opened, f"{name} was connected to"
            self.total[name] = self.total.get(name, 0) + sum(map(len, got))


def _end(wire: Wire, incomplete: Incomplete) -> str:
    """How a connection ended that gave no answer: `closed`, `silent`, or within one."""
    if incomplete.received:
        return f"half an answer, {incomplete.received[:300]!r},"
    return "closed" if wire.closed(0.01) else "silent"


def _send(wire: Wire, step: Step) -> None:
    """Send what a step has, with its pauses."""
    for part in step.parts:
        if isinstance(part, bytes):
            wire.send(part)
        elif part is None:
            wire.socket.shutdown(socket.SHUT_WR)
        else:
            time.sleep(part)
