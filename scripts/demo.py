"""Shows the main job on real traffic: a business API, the gateway before it, an agent and curl that use it.

Started by `scripts/demo`. Needs no network and no root; everything it writes lies in `.lockgate/demo`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lockgate.identity import dev

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
HOST, API_PORT = "api.crm.example", 9443  # where rules/targets.yaml has the target
SECRET = "service-account-secret-7f3a9c"
UNMASKED = {"ssn": "536-90-4399", "e-mail": "ada.marsh@customer.example", "card": "4929 4212 3456 7891"}
CALLS = [
    ("reads a customer", f"GET https://{HOST}/v1/customers/42"),
    ("deletes it", f"DELETE https://{HOST}/v1/customers/42"),
    ("makes a small refund", f'POST https://{HOST}/v1/refunds {{"amount": 120, "currency": "EUR"}}'),
    ("tries another host", "GET https://elsewhere.example/"),
]
console = Console(width=110, highlight=False)


def main() -> int:
    formatter = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__, formatter_class=formatter)
    parser.add_argument("--keep-running", action="store_true", help="leave API and gateway running until Ctrl-C")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the API and the gateway end with it
    work = ROOT / ".lockgate" / "demo"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, mode=0o700)
    if in_use(API_PORT):
        console.print(f"Port {API_PORT} is in use: the demo's API listens there. Stop what uses it, and run again.")
        return 1
    make_certificates(work)
    port = free_port()
    with business_api(work), gateway(work, port):
        rows = run_agent(work, port)
        show(rows, work)
        if options.keep_running:
            console.print(f"\nThe gateway listens on 127.0.0.1:{port}; Ctrl-C ends it.")
            wait_for_interrupt()
    found = search(work)
    look(work)
    return 1 if found else 0


def run_agent(work: Path, port: int) -> list[tuple[str, dict[str, object]]]:
    """What the agent's process and curl saw: label and result, in order."""
    state = work / "state"
    token = dev.mint(state, ["support"], 3600, time.time(), subject="support-agent")
    expired = dev.mint(state, ["support"], 60, time.time() - 7200, subject="support-agent")
    (work / "tokens").write_text(f"{token}\n{expired}\n")
    rows = list(zip([label for label, _ in CALLS], agent(work, port, token, [call for _, call in CALLS]), strict=True))
    rows += [("with an expired token", agent(work, port, expired, [CALLS[0][1]])[0])]
    if shutil.which("curl"):
        rows.append(("curl reads the customer", curl(work, port, token)))
    return rows


def agent(work: Path, port: int, token: str, calls: list[str]) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo" / "agent.py"],
        input="\n".join(calls),
        env=agent_environment(work, port, token),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def curl(work: Path, port: int, token: str) -> dict[str, object]:
    url = f"https://{HOST}/v1/customers/42"
    done = subprocess.run(
        ["curl", "-sS", "-w", "\n%{http_code}", url],
        env=agent_environment(work, port, token) | {"CURL_CA_BUNDLE": str(ca_bundle(work))},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    body, _, status = done.stdout.rpartition("\n")
    return {"method": "GET", "url": url, "status": int(status), "body": body, "headers": {}}


def agent_environment(work: Path, port: int, token: str) -> dict[str, str]:
    """All that an agent is given."""
    proxy = f"http://agent:{token}@127.0.0.1:{port}"
    return {"PATH": os.environ["PATH"], "HTTPS_PROXY": proxy, "SSL_CERT_FILE": str(ca_bundle(work))}


def ca_bundle(work: Path) -> Path:
    return work / "ca" / "mitmproxy-ca-cert.pem"


def show(rows: list[tuple[str, dict[str, object]]], work: Path) -> None:
    """Three columns: what the agent saw, what the API got, what the recording says."""
    recorded = recordings(work)
    received = [json.loads(line) for line in (work / "api.jsonl").read_text().splitlines()]
    for entry in received:
        assert "proxy-authorization" not in {name.lower() for name in entry["headers"]}
    table = Table(show_lines=True, title="The agent has a token for the gateway, and no credential of the API's")
    for heading in ("", "what the agent saw", "what the API received", "what the recording says"):
        table.add_column(heading, overflow="fold")
    at_api = iter(received)
    for (label, seen), record in zip(rows, recorded, strict=True):
        got = describe_received(next(at_api)) if record["sent"] else "nothing"
        table.add_row(*map(Text, (label, describe_seen(seen), got, describe_record(record))))
    console.print(table)


def describe_seen(seen: dict[str, object]) -> str:
    body = str(seen["body"])
    try:
        document = json.loads(body)
    except ValueError:
        return f"{seen['status']}\n{body}"
    if "detail" in document:
        return f"{seen['status']} {document['title']}\n{document['detail']}\n{document.get('rule', '')}".rstrip()
    return f"{seen['status']}\n{json.dumps(document)}"


def describe_received(entry: dict[str, object]) -> str:
    headers = entry["headers"]
    assert isinstance(headers, dict)
    authorization = next(value for name, value in headers.items() if name.lower() == "authorization")
    whose = "the service account's own" if authorization == f"Bearer {SECRET}" else "WRONG"
    return f"{entry['method']} {entry['path']}\nauthorization: {whose}\n{entry['body']}".rstrip()


def describe_record(record: dict[str, object]) -> str:
    decision, refusal, principal = record["decision"], record["refusal"], record["principal"]
    lines = []
    if isinstance(principal, dict):
        lines.append(f"{principal['subject']} as {', '.join(principal['roles'])}")
    if isinstance(decision, dict):
        lines.append(f"{decision['verdict']} {decision['rule'] or ''}")
    if isinstance(refusal, dict):
        lines.append(f"refused {refusal['status']}")
    if isinstance(record["masks"], dict) and record["masks"]:
        lines.append("masked " + ", ".join(f"{path} x{count}" for path, count in record["masks"].items()))
    if record["injected"]:
        lines.append(f"injected {', '.join(map(str, record['injected']))}")  # type: ignore[call-overload]
    return "\n".join(lines)


def recordings(work: Path) -> list[dict[str, object]]:
    """The metadata of every recorded request, in order; waits for the recorder to have written them."""
    from mitmproxy.io import FlowReader

    deadline = time.monotonic() + 10
    while True:
        records = []
        for file in sorted((work / "recordings").glob("*.mitm")):
            with file.open("rb") as dump:
                flows = [flow for flow in FlowReader(dump).stream() if flow.request.host != "lockgate.invalid"]
                records += [flow.metadata["lockgate"] for flow in flows]
        expected = len(CALLS) + 1 + bool(shutil.which("curl"))
        if len(records) >= expected or time.monotonic() > deadline:
            return records
        time.sleep(0.1)


def search(work: Path) -> int:
    """Look for what must not be anywhere in what was written: unmasked values, the secret, the agents' tokens."""
    tokens = (work / "tokens").read_text().split()
    wanted = {**UNMASKED, "the API's secret": SECRET, "the agent's tokens": tokens[0], "expired": tokens[1]}
    (work / "tokens").unlink()
    places = [work / "recordings", work / "state", work / "gateway.log"]
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*")) if file.is_file()]
    hits = [(name, file) for name, value in wanted.items() for file in files if value.encode() in file.read_bytes()]
    size = sum(file.stat().st_size for file in files)
    console.print(f"\nSearched {len(files)} files ({size:,} bytes) the gateway wrote for {', '.join(wanted)}:")
    for name, file in hits:
        console.print(f"  FOUND {name} in {file.relative_to(ROOT)}")
    console.print("  nothing found" if not hits else f"  {len(hits)} found")
    return len(hits)


def look(work: Path) -> None:
    where = (work / "recordings").relative_to(ROOT)
    console.print("\nLook at it yourself:")
    console.print(f"  .venv/bin/lockgate recordings list {where}")
    console.print(f"  .venv/bin/lockgate recordings verify {where}")
    console.print(f"  .venv/bin/mitmweb -n -r {where}/*.mitm")


@contextmanager
def business_api(work: Path) -> Iterator[None]:
    log = work / "api.jsonl"
    log.touch()
    program = ROOT / "examples" / "demo" / "business_api.py"
    command = [sys.executable, str(program), str(API_PORT), str(work / "api.pem"), str(log)]
    with process(command, work / "api.log", os.environ | {"CRM_TOKEN": SECRET}, API_PORT):
        yield


@contextmanager
def gateway(work: Path, port: int) -> Iterator[None]:
    command = [str(BIN / "mitmdump"), "-s", "addons/main.py", "-p", str(port)]
    settings = {
        "lockgate_rules": "rules",
        "lockgate_recordings": work / "recordings",
        "lockgate_state": work / "state",
        "confdir": work / "ca",
        "ssl_verify_upstream_trusted_ca": work / "api-ca.pem",
    }
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    console.print("$ CRM_TOKEN=... mitmdump -s addons/main.py\n")
    with process(command, work / "gateway.log", os.environ | {"CRM_TOKEN": SECRET}, port):
        yield


@contextmanager
def process(command: list[str], log: Path, environment: dict[str, str], port: int) -> Iterator[None]:
    """A process that listens on `port`, ended on leaving."""
    with log.open("w") as output:
        started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        while not in_use(port):
            if started.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{Path(command[0]).name} did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield
    finally:
        started.terminate()
        started.wait(15)


def make_certificates(work: Path) -> None:
    """A CA of the API's own, and its server certificate."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Business API demo CA")])
    ca = certificate(issuer, issuer, ca_key, ca_key, ca=True)
    server = certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]), issuer, key, ca_key, ca=False)
    encoding = serialization.Encoding.PEM
    (work / "api-ca.pem").write_bytes(ca.public_bytes(encoding))
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (work / "api.pem").write_bytes(private + server.public_bytes(encoding))


def certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(signer, hashes.SHA256())
    )


def in_use(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(main())
