"""Measures the gateway's whole chain beside bare mitmdump and Envoy, on the same traffic in one run.

Started by `scripts/bench`. Every proxy stands before the same target; what is asked of it directly is the baseline.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import bench_envoy
import bench_plot
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
sys.path.insert(0, str(ROOT / "examples" / "demo"))
import certificates  # noqa: E402 - the demo's

SIZES = ("200B", "10KiB", "1MiB")
WAYS = ("reverse", "tunnel")
PROXIES = ("mitmdump", "lockgate", "envoy")
CONNECTIONS = 8
LARGE_CONNECTIONS = 2  # for the largest bodies
SECONDS = 4.0  # of load, for each number
RATES = {"200B": 50.0, "10KiB": 50.0, "1MiB": 5.0}  # requests a second, where latency is measured
PROBES = 100.0  # requests a second beside a load of the largest bodies
FRESH = 15  # connections, of which the median counts
MANY = 50_000  # requests over which memory is watched

# The goals. What is added is measured beside bare mitmdump, which does none of the work.
SHARE = 0.6  # of its requests a second: 200 B
ADDED = 1.5  # ms, at the median
FIRST_BYTE = 5.0  # ms
STALL = 50.0  # ms
GROWTH = 16.0  # MiB over MANY requests: an allocator's own ups and downs

RULES = {
    "gateway.yaml": (
        f"issuers:\n  - issuer: {bench_envoy.ISSUER}\n    audience: {bench_envoy.AUDIENCE}\n"
        "    algorithms: [ES256]\n    roles: $.roles[*]\n    jwks_file: jwks.json\n"
    ),
    "credentials.yaml": "credentials: {}\n",
    "roles/reader.yaml": (
        "role: reader\nrules:\n  - id: read\n    allow: GET plain|secured /**\n"
        "    mask: {$..ssn: redact, $..email: redact}\n"
    ),
}


@dataclass
class Place:
    """Where a proxy is asked in one way: what wrk is given, and what our own client connects through."""

    port: int
    headers: dict[str, str]
    tunnel: bool
    proxy_token: str = ""


@dataclass
class Measured:
    """One proxy, one way, one size. Latencies in ms; `added` is beside asking the target directly in the same run."""

    proxy: str
    way: str
    size: str
    requests_per_second: float
    cpu_ms: float
    p50: float
    p99: float
    added_p50: float
    added_p99: float


@dataclass
class Report:
    rows: list[Measured] = field(default_factory=list)
    stalls_ms: dict[str, float] = field(default_factory=dict)
    first_byte_ms: dict[str, float] = field(default_factory=dict)
    peak_mib: dict[str, float] = field(default_factory=dict)
    memory_mib: list[float] = field(default_factory=list)
    goals: dict[str, bool] = field(default_factory=dict)


# Processes


@dataclass
class Bench:
    """What one run has started."""

    home: Path
    token: str
    upstream: int
    tls_upstream: int
    ca: Path
    pids: dict[str, int] = field(default_factory=dict)
    places: dict[tuple[str, str], Place] = field(default_factory=dict)


@contextmanager
def started(command: Sequence[str], log: Path, ports: Sequence[int], **environment: str) -> Iterator[int]:
    """A process that listens on `ports`; yields its id."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent, env=os.environ | environment
        )
    try:
        deadline = time.monotonic() + 30
        while not all(map(listens, ports)):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def bench(home: Path) -> Iterator[Bench]:
    """The target and every proxy before it, in both ways."""
    upstream, tls_upstream, envoy, envoy_tunnel, *rest = free_ports(8)
    ca, server = home / "ca.pem", home / "server.pem"
    certificates.make(["localhost"], ca, server)
    key = ec.generate_private_key(ec.SECP256R1())
    now = int(time.time())
    claims = {"iss": bench_envoy.ISSUER, "aud": bench_envoy.AUDIENCE, "sub": "bench", "roles": ["reader"]}
    token = jwt.encode(claims | {"iat": now, "exp": now + 7200}, key, "ES256", {"kid": "1"})
    public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwks = json.dumps({"keys": [public | {"kid": "1", "alg": "ES256", "use": "sig"}]})
    made = Bench(home, token, upstream, tls_upstream, ca)
    with ExitStack() as stack:

        def start(name: str, command: Sequence[str], ports: Sequence[int], **environment: str) -> None:
            made.pids[name] = stack.enter_context(started(command, home / f"{name}.log", ports, **environment))

        program = [sys.executable, str(ROOT / "scripts" / "bench_upstream.py")]
        start("target", [*program, str(upstream), str(tls_upstream), str(server)], [upstream, tls_upstream])
        trusting = ["--set", f"ssl_verify_upstream_trusted_ca={ca}", "--set", f"confdir={home / 'confdir'}"]
        for name, (tunnel, reverse) in (("mitmdump", rest[:2]), ("lockgate", rest[2:])):
            modes = ["--mode", f"regular@127.0.0.1:{tunnel}"]
            modes += ["--mode", f"reverse:http://localhost:{upstream}@127.0.0.1:{reverse}"]
            more = ["-q"] if name == "mitmdump" else ["-s", str(ROOT / "addons" / "main.py")]
            if name == "lockgate":
                write_rules(home / "rules", jwks, upstream, tls_upstream)
            start(name, [str(BIN / "mitmdump"), *modes, *trusting, *more], [tunnel, reverse])
            made.places[name, "reverse"] = Place(reverse, {"Authorization": f"Bearer {token}"}, False)
            made.places[name, "tunnel"] = Place(tunnel, {}, True, token)
        settings = bench_envoy.configuration(jwks, envoy, envoy_tunnel, upstream, tls_upstream, server, ca)
        bench_envoy.write(home / "envoy.json", settings)
        command = [str(BIN / "envoy"), "-c", str(home / "envoy.json"), "--concurrency", "1", "--log-level", "error"]
        start("envoy", [*command, "--use-dynamic-base-id"], [envoy, envoy_tunnel])
        shown = {"Authorization": f"Bearer {token}"}
        made.places["envoy", "reverse"] = Place(envoy, shown, False)
        made.places["envoy", "tunnel"] = Place(envoy_tunnel, shown, True, token)
        yield made


def write_rules(directory: Path, jwks: str, upstream: int, tls_upstream: int) -> None:
    targets = (
        f'targets:\n  plain: {{url: "http://localhost:{upstream}", private: true}}\n'
        f'  secured: {{url: "https://localhost:{tls_upstream}", private: true}}\n'
    )
    for name, text in {**RULES, "jwks.json": jwks, "targets.yaml": targets}.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


# Load, by wrk


def loaded(made: Bench, name: str, way: str, size: str, seconds: float = SECONDS) -> tuple[float, float]:
    """Requests a second, and the proxy's CPU milliseconds for each."""
    place = made.places[name, way]
    large = size == SIZES[-1]
    connections, seconds = (LARGE_CONNECTIONS, max(seconds, SECONDS)) if large else (CONNECTIONS, seconds)
    with ExitStack() as stack:
        url, headers = f"http://127.0.0.1:{place.port}/{size}", dict(place.headers)
        if place.tunnel:
            port = stack.enter_context(through(made, place))
            url, headers = f"https://localhost:{port}/{size}", headers | {"Host": f"localhost:{made.tls_upstream}"}
        wrk(url, headers, connections, SECONDS if large else 1)
        before = cpu_seconds(made.pids[name])
        count, rate = wrk(url, headers, connections, seconds)
        used = cpu_seconds(made.pids[name]) - before
    return rate, used * 1000 / max(count, 1)


@contextmanager
def through(made: Bench, place: Place) -> Iterator[int]:
    """socat, which asks the proxy for a tunnel for each connection. Without nodelay every answer waits 40 ms."""
    (port,) = free_ports(1)
    tunnel = f"PROXY:127.0.0.1:localhost:{made.tls_upstream}"
    to = f"{tunnel},proxyport={place.port},proxyauth=agent:{place.proxy_token},nodelay"
    family, bind = localhost()
    listen = f"{family}-LISTEN:{port},bind={bind},fork,reuseaddr,nodelay"
    with started(["socat", listen, to], made.home / "socat.log", []):
        time.sleep(0.5)  # to look whether it listens would open a tunnel
        yield port


def localhost() -> tuple[str, str]:
    """What wrk takes `localhost` for: the first of its addresses, for socat."""
    family = socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)[0][0]
    return ("TCP6", "[::1]") if family == socket.AF_INET6 else ("TCP4", "127.0.0.1")


def wrk(url: str, headers: dict[str, str], connections: int, seconds: float) -> tuple[int, float]:
    """How many requests were answered, and how many a second. Ends the run where one is not answered with 200."""
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", *given, url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in printed or "Socket errors" in printed:
        sys.exit(f"{url} is not answered as it should be:\n{printed}")
    count = re.search(r"(\d+) requests in", printed)
    rate = re.search(r"Requests/sec: +([\d.]+)", printed)
    if count is None or rate is None or not int(count[1]):
        sys.exit(f"wrk measured nothing:\n{printed}")
    return int(count[1]), float(rate[1])


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    if found is None:
        sys.exit(f"/proc/{pid}/status has no {name}")
    return int(found[1]) / 1024


# Latency, by a client of our own: requests leave at a constant rate, whatever became of the ones before


async def connected(
    made: Bench, place: Place | None, *, tls: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection through a proxy, or to the target itself where there is none."""
    port = place.port if place else made.tls_upstream if tls else made.upstream
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if place and place.tunnel:
        credentials = b64encode(f"agent:{place.proxy_token}".encode()).decode()
        where = f"localhost:{made.tls_upstream}"
        writer.write(
            f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\nProxy-Authorization: Basic {credentials}\r\n\r\n".encode()
        )
        if b" 200 " not in await reader.readuntil(b"\r\n\r\n"):
            sys.exit("a tunnel was refused")
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # each proxy has a CA of its own
        await writer.start_tls(context, server_hostname="localhost")
    return reader, writer


def request(made: Bench, place: Place | None, path: str, *, tls: bool) -> bytes:
    host = f"localhost:{made.tls_upstream if tls else made.upstream}"
    lines = [f"GET /{path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (place.headers if place else {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def answered(reader: asyncio.StreamReader) -> None:
    """Read one whole answer, which has a Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    if b" 200 " not in head.split(b"\r\n")[0] or length is None:
        sys.exit(f"not the answer that was expected:\n{head.decode(errors='replace')}")
    await reader.readexactly(int(length[1]))


async def latencies(
    made: Bench, place: Place | None, size: str, *, tls: bool, rate: float, seconds: float
) -> list[float]:
    """How many ms each request took from when it was due: one that waits for another to end counts with its wait."""
    pool = [await connected(made, place, tls=tls) for _ in range(CONNECTIONS)]
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for pair in pool:
        free.put_nowait(pair)
    asked = request(made, place, size, tls=tls)
    took: list[float] = []

    async def one(due: float) -> None:
        reader, writer = await free.get()
        writer.write(asked)
        await answered(reader)
        took.append((time.perf_counter() - due) * 1000)
        free.put_nowait((reader, writer))

    start = time.perf_counter() + 0.05
    async with asyncio.TaskGroup() as group:
        for number in range(round(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due))
    for _, writer in pool:
        writer.close()
    return took[len(took) // 10 :]


async def first_byte(made: Bench, place: Place | None, path: str = "stream", begins: bytes = b'data: {"id"') -> float:
    """The median ms on a fresh connection to the first event of a stream, whose second comes much later."""
    took = []
    for _ in range(FRESH):
        reader, writer = await connected(made, place, tls=False)
        started_at = time.perf_counter()
        writer.write(request(made, place, path, tls=False))
        await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(begins)
        took.append((time.perf_counter() - started_at) * 1000)
        writer.close()
    return median(took)


def p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


# The run


def measure(made: Bench, *, quick: bool) -> Report:
    report = Report()
    seconds = 1.0 if quick else SECONDS
    for way in WAYS:
        tls = way == "tunnel"
        for size in SIZES:
            progress(f"{way}, {size}")
            direct = asyncio.run(latencies(made, None, size, tls=tls, rate=RATES[size], seconds=seconds))
            for name in PROXIES:
                rate, cpu = loaded(made, name, way, size, seconds)
                place = made.places[name, way]
                took = asyncio.run(latencies(made, place, size, tls=tls, rate=RATES[size], seconds=seconds))
                added = (median(took) - median(direct), p99(took) - p99(direct))
                report.rows.append(Measured(name, way, size, rate, cpu, median(took), p99(took), *added))
    progress("streams")
    report.first_byte_ms["direct"] = asyncio.run(first_byte(made, None))
    report.first_byte_ms["lockgate"] = asyncio.run(first_byte(made, made.places["lockgate", "reverse"]))
    # Bare mitmdump keeps a stream until its end, and so does the mask in Lua: a small answer stands for it.
    bare = first_byte(made, made.places["mitmdump", "reverse"], SIZES[0], b"{")
    report.first_byte_ms["mitmdump, small answer"] = asyncio.run(bare)
    for name in PROXIES:
        progress(f"the longest stall of {name}")
        report.stalls_ms[name] = stall(made, name, seconds)
        report.peak_mib[name] = memory_mib(made.pids[name], "VmHWM")
    report.memory_mib = over_many(made, 2_000 if quick else MANY)
    judge(report)
    return report


def stall(made: Bench, name: str, seconds: float) -> float:
    """The slowest of small requests, in ms, beside one client that asks for the largest bodies without a pause."""
    place = made.places[name, "reverse"]
    asked = request(made, place, SIZES[-1], tls=False)

    async def load(until: float) -> None:
        reader, writer = await connected(made, place, tls=False)
        while time.perf_counter() < until:
            writer.write(asked)
            await answered(reader)
        writer.close()

    async def both() -> float:
        busy = asyncio.create_task(load(time.perf_counter() + seconds))
        took = await latencies(made, place, SIZES[0], tls=False, rate=PROBES, seconds=seconds)
        await busy
        return max(took)

    return asyncio.run(both())


def over_many(made: Bench, requests: int) -> list[float]:
    """The gateway's memory in MiB, at the beginning and then after each tenth of `requests`."""
    place = made.places["lockgate", "reverse"]
    url = f"http://127.0.0.1:{place.port}/{SIZES[0]}"
    held, done = [memory_mib(made.pids["lockgate"], "VmRSS")], 0
    while done < requests:
        progress(f"memory: {done:,} of {requests:,} requests")
        count, _ = wrk(url, place.headers, CONNECTIONS, max(1.0, requests / 10 / 500))
        done += count
        held.append(memory_mib(made.pids["lockgate"], "VmRSS"))
    return held


def judge(report: Report) -> None:
    rows = {(row.proxy, row.way, row.size): row for row in report.rows}
    for way in WAYS:
        own, bare = rows["lockgate", way, SIZES[0]], rows["mitmdump", way, SIZES[0]]
        share = own.requests_per_second / bare.requests_per_second
        report.goals[f"{way}: {SHARE} of bare mitmdump's requests a second"] = share >= SHARE
        report.goals[f"{way}: p50 less than {ADDED} ms above bare mitmdump's"] = own.p50 - bare.p50 < ADDED
    added = report.first_byte_ms["lockgate"] - report.first_byte_ms["mitmdump, small answer"]
    report.goals[f"first event of a stream less than {FIRST_BYTE:.0f} ms later"] = added < FIRST_BYTE
    report.goals[f"no stall over {STALL:.0f} ms"] = report.stalls_ms["lockgate"] <= STALL
    growth = report.memory_mib[-1] - report.memory_mib[1]
    report.goals["memory flat"] = growth < GROWTH


def show(report: Report, console: Console) -> None:
    for way in WAYS:
        table = Table(title=f"{way}: {'CONNECT and TLS' if way == 'tunnel' else 'plain HTTP'}")
        for heading in (
            "body",
            "proxy",
            "requests/s",
            "of mitmdump",
            "CPU ms",
            "p50 ms",
            "p99 ms",
            "added p50",
            "added p99",
        ):
            table.add_column(heading, justify="left" if heading in ("body", "proxy") else "right")
        bare = {row.size: row for row in report.rows if row.proxy == "mitmdump" and row.way == way}
        for row in report.rows:
            if row.way == way:
                share = row.requests_per_second / bare[row.size].requests_per_second
                numbers = (row.cpu_ms, row.p50, row.p99, row.added_p50, row.added_p99)
                cells = [f"{row.requests_per_second:,.0f}", f"{share:.2f}", *(f"{number:.2f}" for number in numbers)]
                table.add_row(row.size, row.proxy, *cells)
        console.print(table)
    console.print("First byte on a fresh connection: " + of_each(report.first_byte_ms, "ms", 2))
    console.print("Slowest small request beside 1 MiB bodies: " + of_each(report.stalls_ms, "ms"))
    console.print("Peak memory: " + of_each(report.peak_mib, "MiB"))
    held = report.memory_mib
    console.print(
        f"Memory while {MANY:,} requests are answered: {held[1]:.0f} MiB at first, {held[-1]:.0f} MiB at the end."
    )
    for goal, met in report.goals.items():
        console.print(f"{'met   ' if met else 'MISSED'}  {goal}")


def of_each(values: dict[str, float], unit: str, digits: int = 0) -> str:
    return ", ".join(f"{name} {value:.{digits}f} {unit}" for name, value in values.items())


def progress(text: str) -> None:
    print(f"{text} ...", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench proxy", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw requests a second and added latency")
    parser.add_argument("--quick", action="store_true", help="a tenth of the time: to see that it works")
    options = parser.parse_args()
    missing = [program for program in ("wrk", "socat") if shutil.which(program) is None]
    if missing:
        print(
            f"scripts/bench: install {' and '.join(missing)} first (Debian: apt-get install wrk socat)", file=sys.stderr
        )
        return 2
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-") as home, bench(Path(home)) as made:
        report = measure(made, quick=options.quick)
    document: dict[str, Any] = asdict(report)
    if options.plot:
        options.plot.write_text(bench_plot.draw(document["rows"]))
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        show(report, Console(width=120, highlight=False))
    return 0 if all(report.goals.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
