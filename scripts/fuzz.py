#!/usr/bin/env python3
"""Fuzzes the readers of requests with atheris: bytes led by what they reach, against the laws in tests/e2e/harness.

scripts/check --deep calls it; an input that breaks a law is left in the working directory and named, exit code 77.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SEEDS = (
    b"GET /v1/customers/7?a=b&c=%20d body",
    b"/a/%2e%2e/%EF%BC%8F/%c0%af;x\\",
    b"a=1&a=2&%5fmethod=x;b",
    b'{"a": [1, -0, 1.10, "\\ud83d\\ude00", null], "\\u0061": true}',
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03KL\x04\x00\x45\xe1\xfc\xf9\x03\x00\x00\x00",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300, help="how long (default: %(default)s)")
    parser.add_argument("--corpus", type=Path, default=ROOT / ".lockgate" / "fuzz", help="where inputs are kept")
    arguments = parser.parse_args()
    sys.path[:0] = [str(ROOT / "addons"), str(ROOT / "tests" / "e2e")]
    import atheris

    with atheris.instrument_imports(include=["lockgate.actions", "lockgate.bodies"]):
        from harness.laws import check_bytes

    arguments.corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (arguments.corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={arguments.seconds}", "-max_len=512", "-timeout=10", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], str(arguments.corpus), *limits], check_bytes)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
