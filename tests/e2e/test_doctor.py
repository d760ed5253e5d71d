"""`lockgate doctor` beside a running gateway: requests that must be denied, and the clients on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from harness.answers import CRM_TOKEN
from harness.gateway import Gateway
from harness.issuer import Issuer
from harness.upstream import RecordingUpstream


def test_it_finds_a_gateway_that_denies_what_it_must(
    gateway: Gateway, issuer: Issuer, crm: RecordingUpstream, tmp_path: Path
) -> None:
    watch = crm.watch()
    token = tmp_path / "token"
    token.write_text(issuer.token("support"))
    given = ["--rules", gateway.rules, "--state", gateway.state, "--recordings", gateway.recordings]
    given += ["--gateway", f"127.0.0.1:{gateway.port}", "--ca", gateway.confdir / "mitmproxy-ca-cert.pem"]
    command = [sys.executable, "-m", "lockgate", "doctor", *map(str, given), "--token-file", str(token), "--json"]
    done = subprocess.run(
        command, env=os.environ | {"CRM_TOKEN": CRM_TOKEN}, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    findings = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    assert findings["a request without a token"]["detail"] == "is refused with 407"
    assert findings["a request that must be denied"]["detail"] == "is denied"
    for subject in ("recordings", "state", "client curl", "client python3"):
        assert findings[subject]["level"] == "ok", findings[subject]
    # The targets are on loopback here, which any process reaches.
    assert findings["around the gateway to crm"]["level"] == "note"
    assert CRM_TOKEN not in done.stdout + done.stderr
    assert watch.plain == b""
