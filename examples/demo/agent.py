"""An agent's process: httpx, and nothing of the gateway in it.

All it is given is HTTPS_PROXY (with its token), SSL_CERT_FILE, and calls to make: `METHOD URL [JSON]`, one a line on
standard input. It prints what it saw, one JSON object a line.
"""

from __future__ import annotations

import json
import sys

import httpx


def main() -> None:
    with httpx.Client(timeout=20) as client:
        for line in sys.stdin:
            method, url, *body = line.split(maxsplit=2)
            try:
                response = client.request(method, url, json=json.loads(body[0]) if body else None)
                seen = {"status": response.status_code, "body": response.text, "headers": dict(response.headers)}
            except httpx.ProxyError as error:
                seen = {"status": int(str(error)[:3]), "body": str(error), "headers": {}}
            print(json.dumps({"method": method, "url": url, **seen}), flush=True)


if __name__ == "__main__":
    main()
