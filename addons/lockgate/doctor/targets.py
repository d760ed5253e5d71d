"""Whether targets are reached: by the gateway, which needs to, and by the agent's process around it, which must not."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Collection, Sequence

from lockgate.doctor.finding import Finding, note, ok, wrong
from lockgate.model import Target

TIME = 5.0  # seconds for each
PROBE = (
    "import socket, sys\n"
    "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()\n"
    "except OSError: sys.exit(9)"
)
BLOCKED = 9  # the probe's exit code where it is not connected
EGRESS = (
    "Block the agent's own way out: by a network of its own, or a firewall that lets its user reach the gateway only."
)


def reached(target: Target) -> Finding:
    """Whether the gateway's machine gets a connection, and over TLS one whose certificate verifies."""
    subject = f"target {target.name}"
    host, port = target.connect or (target.host, target.port)
    try:
        with socket.create_connection((host, port), TIME) as connection:
            if target.scheme == "https":
                # Its client certificate is not shown: a server that asks for one says so after it was verified.
                context = ssl.create_default_context(cafile=target.tls.ca)
                with context.wrap_socket(connection, server_hostname=target.server_name):
                    pass
    except ssl.SSLCertVerificationError as error:
        remedy = "Name its CA in targets.yaml (tls: {ca: FILE}), or to mitmproxy (ssl_verify_upstream_trusted_ca)."
        return note(subject, f"the certificate of {host}:{port} does not verify: {error.verify_message}", remedy)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return wrong(
            subject, f"{host}:{port} is not reached: {reason}", "Check its url, DNS, and the gateway's own firewall."
        )
    return ok(subject, f"{host}:{port} is reached")


def around(target: Target, prefix: Sequence[str], hidden: Collection[str]) -> Finding:
    """Whether a process started with `prefix` (as the agent is: `sudo -u agent`) gets a connection by itself.

    `hidden` names variables that it may not have: others of its user could read them.
    """
    subject = f"around the gateway to {target.name}"
    host, port = target.connect or (target.host, target.port)
    python = "python3" if prefix else sys.executable
    command = [*prefix, python, "-c", PROBE, host, str(port)]
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        # What --as names is the operator's own command line.
        code = subprocess.run(  # noqa: S603
            command, env=environment, capture_output=True, timeout=TIME * 3, check=False
        ).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        return wrong(subject, f"cannot be tried: {type(error).__name__}", "Check what --as names.")
    if code == BLOCKED:
        return ok(subject, f"{host}:{port} is not reached")
    if code != 0:
        return wrong(
            subject, f"cannot be tried: it ended with {code}", "Check what --as names, and that it has python3."
        )
    who = f"what {' '.join(prefix)} starts" if prefix else "a process of this user on this machine"
    level = wrong if prefix else note
    return level(subject, f"{who} connects to {host}:{port} directly", EGRESS)
