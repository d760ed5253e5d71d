"""When the record cannot be written nothing goes out; when it can be again, the gateway goes on by itself."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from harness.expect import eventually, refused
from harness.gateway import MakeGateway
from harness.upstream import RecordingUpstream

LIMIT = 400_000  # bytes a file of the gateway's may have
FULL_DISK = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
"""


def test_a_full_disk_stops_every_request_and_room_lets_them_pass_again(
    make_gateway: MakeGateway, crm: RecordingUpstream, token: str, script_with: Callable[[str], Path]
) -> None:
    """A limit on the size of files stands for a full disk: a write past it fails, as with ENOSPC."""
    gateway = make_gateway(script=script_with(FULL_DISK)).start()
    assert gateway.ask("GET", "/v1/json", token).status == 200
    body = b'{"pad": "' + b"x" * 100_000 + b'"}'
    for _ in range(8):
        reply = gateway.ask("POST", "/open/json", token, "Content-Type: application/json", body=body)
        if reply.status == 503:
            break
    problem = refused(reply, 503)
    assert "record" in problem["detail"]
    seen = crm.watch()
    for _ in range(3):
        refused(gateway.ask("POST", "/open/json", token, "Content-Type: application/json", body=body), 503)
    assert (seen.connections, seen.raw) == (0, b"")

    assert gateway.process is not None
    soft_and_hard = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, soft_and_hard)
    eventually(lambda: gateway.ask("GET", "/v1/json", token).status == 200, "it goes on by itself")
    assert gateway.stop() == 0
    command = [sys.executable, "-m", "lockgate", "recordings", "verify", str(gateway.recordings)]
    verified = subprocess.run(command, capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
