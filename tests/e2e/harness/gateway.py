"""A real gateway: mitmdump or mitmweb in a process of its own, with rules, CA, recordings and state of its own."""

from __future__ import annotations

import base64
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from mitmproxy import exceptions, flow
from mitmproxy.io import FlowReader

from harness.answers import CRM_TOKEN
from harness.rules import CRM
from harness.starts import Start
from harness.wire import Reply, Wire, dial, start_tls
from lockgate.recordings.files import in_order, opened

ROOT = Path(__file__).parents[3]
MAIN = ROOT / "addons" / "main.py"
READY = "Lockgate is ready"
PATIENCE = 30.0  # seconds: for a process to start or end on a busy machine


class Gateway:
    """One gateway in the directory `home`, which is also its working directory.

    Args:
        rules: file contents by path within the rules directory.
        confdir: a mitmproxy CA to copy; one of its own is made where none is given.
        trusted_ca: PEM file of who signs the targets' certificates.
        program: `mitmdump` or `mitmweb`, next to `python`.
        options: further command line arguments.
        environment: variables beside PATH, HOME and the target's credential; None takes one away.
        ready: text in the output that says it serves.
    """

    def __init__(
        self,
        home: Path,
        rules: Mapping[str, str],
        *,
        confdir: Path | None = None,
        trusted_ca: Path | None = None,
        program: str = "mitmdump",
        script: Path | None = MAIN,
        python: Path = Path(sys.executable),
        options: Sequence[str] = (),
        environment: Mapping[str, str | None] | None = None,
        ready: str = READY,
    ) -> None:
        self.home = home
        self.rules = home / "rules"
        self.recordings = home / "recordings"
        self.state = home / ".lockgate"
        self.confdir = home / "confdir"
        self.output_file = home / "output.log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._ready = ready
        self.write_rules(rules)
        if confdir:
            shutil.copytree(confdir, self.confdir)
        self._command = [
            *_program(python, program),
            *(["-s", str(script)] if script else []),
            *("-p", str(self.port), "--set", f"confdir={self.confdir}"),
            *(["--set", f"lockgate_rules={self.rules}"] if script else []),
            *(["--set", f"ssl_verify_upstream_trusted_ca={trusted_ca}"] if trusted_ca else []),
            *options,
        ]
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONUNBUFFERED": "1",
            "CRM_TOKEN": CRM_TOKEN,
            **(environment or {}),
        }
        self._environment = {name: value for name, value in given.items() if value is not None}

    # Its process

    def launch(self) -> None:
        """Start the process; do not wait for it."""
        with self.output_file.open("ab") as output:
            self.process = subprocess.Popen(
                self._command, cwd=self.home, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )

    def to_start(self) -> Start:
        """What it would be started with, for `harness.starts`."""
        return Start(self._command[1:], str(self.home), self._environment, str(self.output_file))

    def start(self) -> Gateway:
        """Start the process and wait until it serves."""
        seen = len(self.output)
        self.launch()
        deadline = time.monotonic() + PATIENCE
        while self._ready not in self.output[seen:] or not self.listens():
            assert self.running, f"it ended with {self.exit_code}:\n{self.output}"
            assert time.monotonic() < deadline, f"it is not ready after {PATIENCE} seconds:\n{self.output}"
            time.sleep(0.02)
        return self

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self.process.poll() if self.process else None

    def wait_exit(self, timeout: float = PATIENCE) -> int:
        """The exit code, once it has ended by itself."""
        assert self.process
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs after {timeout} seconds:\n{self.output}") from None

    def stop(self) -> int:
        """End it as a supervisor would, with SIGTERM; its exit code."""
        assert self.process
        if self.running:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.wait_exit()
        finally:
            self.kill9()

    def kill9(self) -> None:
        """End it at once, whatever it is doing."""
        if self.process and self.running:
            self.process.kill()
            self.process.wait()

    def listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    # What it is told and what it leaves behind

    def write_rules(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.rules / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    @property
    def output(self) -> str:
        """All it has printed and logged."""
        return self.output_file.read_text(errors="replace") if self.output_file.exists() else ""

    def dumps(self) -> list[Path]:
        return in_order(self.recordings) if self.recordings.is_dir() else []

    def flows(self) -> list[flow.Flow]:
        """Every recorded flow, read by stock mitmproxy. A tail that is being written is left out."""
        found: list[flow.Flow] = []
        for path in self.dumps():
            with opened(path) as dump:
                try:
                    found += FlowReader(dump).stream()
                except exceptions.FlowReadException:
                    assert self.running, f"{path.name} is torn, and nobody is writing it"
        return found

    def records(self, count: int = 0, *, path: str | None = None, timeout: float = 10.0) -> list[dict[str, Any]]:
        """What Lockgate says of each recorded flow, with the flow under `flow`; waits until there are `count`.

        `path` picks those whose request had it.
        """
        deadline = time.monotonic() + timeout
        while True:
            found = [
                {**one.metadata["lockgate"], "flow": one}
                for one in self.flows()
                if "lockgate" in one.metadata and (path is None or getattr(one, "request", None) is not None)
            ]
            found = [one for one in found if path is None or one["flow"].request.path == path]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"{len(found)} records, not {count}:\n{self.output}"
            time.sleep(0.05)

    @property
    def journal(self) -> bytes:
        """The bytes of everything in the recordings that is no dump."""
        return b"".join(
            path.read_bytes()
            for path in sorted(self.recordings.rglob("*"))
            if path.is_file() and ".mitm" not in path.name
        )

    def traces(self) -> dict[Path, bytes]:
        """Everything it has left on disk, its CA and its rules apart: recordings, state, output. What is compressed is
        taken apart: a secret in it is one all the same.
        """
        kept = {self.confdir, self.rules}
        paths = [path for path in self.home.rglob("*") if path.is_file() and not kept & set(path.parents)]
        return {path: content(path) for path in paths}

    # Ways to it

    @property
    def ca(self) -> Path:
        return self.confdir / "mitmproxy-ca-cert.pem"

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, token: str, **arguments: Any) -> httpx.Client:
        """An ordinary client, with the token as `HTTPS_PROXY=http://agent:TOKEN@HOST:PORT` has it."""
        return httpx.Client(
            proxy=httpx.Proxy(self.proxy, auth=("agent", token)),
            verify=ssl.create_default_context(cafile=self.ca),
            trust_env=False,
            **{"timeout": 30.0, **arguments},
        )

    def dial(self) -> Wire:
        """A bare TCP connection to the proxy's port."""
        return dial(self.port)

    def raw(self, data: bytes, timeout: float = 5.0) -> bytes:
        """Send bytes to the proxy's port; what comes back until it closes or is silent for `timeout` seconds."""
        with self.dial() as wire:
            wire.send(data)
            return wire.rest(timeout)

    def connect(self, token: str | None, host: str = CRM, port: int = 443, *fields: str) -> tuple[Wire, Reply]:
        """A CONNECT and its answer. `fields` are further header lines."""
        wire = self.dial()
        lines = [*identity(token), *fields]
        return wire, wire.ask(head("CONNECT", f"{host}:{port}", f"{host}:{port}", *lines), to="CONNECT")

    def tunnel(self, token: str, host: str = CRM, port: int = 443, sni: str | None = None) -> Wire:
        """TLS inside an accepted CONNECT, verified against the gateway's CA."""
        wire, reply = self.connect(token, host, port)
        assert reply.status == 200, reply
        return start_tls(wire, sni or host, str(self.ca))

    def ask(self, method: str, path: str, token: str, *fields: str, body: bytes = b"", host: str = CRM) -> Reply:
        """One request in a tunnel of its own."""
        with self.tunnel(token, host) as wire:
            return wire.ask(head(method, path, host, *fields, body=body), to=method)


def content(path: Path) -> bytes:
    if path.parent.name == "recordings" and path in in_order(path.parent):
        with opened(path) as file:
            return file.read()
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""  # it was put away just now


MakeGateway = Callable[..., Gateway]  # takes what Gateway takes but `home`


def head(method: str, target: str, host: str, *fields: str, body: bytes = b"") -> bytes:
    """A request as bytes, its body with it; `host` is the Host header."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def identity(token: str | None, *, scheme: str = "Bearer") -> list[str]:
    """The header line that presents a token; none for None."""
    if token is None:
        return []
    if scheme == "Basic":
        token = base64.b64encode(f"agent:{token}".encode("latin-1")).decode()
    return [f"Proxy-Authorization: {scheme} {token}"]


def free_port() -> int:
    """A port nobody listens at; below those that the system gives to outgoing connections, which could take it."""
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue


def _program(python: Path, program: str) -> list[str]:
    installed = python.parent / program
    if installed.exists():
        return [str(installed)]
    return [str(python), "-c", f"import sys; from mitmproxy.tools.main import {program} as main; sys.exit(main())"]
