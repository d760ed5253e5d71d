"""Real clients, with nothing but HTTPS_PROXY, a token and a CA bundle in their environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from harness.answers import CUSTOMER
from harness.expect import leaks
from harness.gateway import Gateway
from harness.rules import CRM, PLAIN

URL = f"https://{CRM}/v1/json"
HTTPX = (
    f"import httpx; response = httpx.get({URL!r}, timeout=20); print(response.text, end=''); assert response.is_success"
)

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def environment(gateway: Gateway, token: str) -> dict[str, str]:
    proxy = f"http://agent:{token}@127.0.0.1:{gateway.port}"
    bundle = str(gateway.ca)
    return {"PATH": os.environ["PATH"], "HTTPS_PROXY": proxy, "SSL_CERT_FILE": bundle, "CURL_CA_BUNDLE": bundle}


def output(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout


def masked(text: str) -> None:
    assert json.loads(text)["name"] == CUSTOMER["name"]
    assert leaks(text.encode()) == []


@needs_curl
def test_curl(gateway: Gateway, token: str) -> None:
    masked(output(["curl", "-sS", "--fail", URL], environment(gateway, token)))


@needs_curl
def test_curl_with_a_bearer_token(gateway: Gateway, token: str) -> None:
    shown = ["--proxy", gateway.proxy, "--proxy-header", f"Proxy-Authorization: Bearer {token}"]
    masked(output(["curl", "-sS", "--fail", *shown, "--cacert", str(gateway.ca), URL], {"PATH": os.environ["PATH"]}))


@needs_curl
def test_curl_over_plain_http(gateway: Gateway, token: str) -> None:
    shown = ["--proxy", f"http://agent:{token}@127.0.0.1:{gateway.port}"]
    url = f"http://{PLAIN}/v1/json"
    masked(output(["curl", "-sS", "--fail", *shown, url], {"PATH": os.environ["PATH"]}))


@needs_curl
def test_curl_sees_why_it_is_refused(gateway: Gateway, token: str) -> None:
    problem = json.loads(output(["curl", "-sS", "-X", "DELETE", URL], environment(gateway, token)))
    assert (problem["status"], problem["rule"]) == (403, "support/no-delete")


def test_httpx(gateway: Gateway, token: str) -> None:
    masked(output([sys.executable, "-c", HTTPX], environment(gateway, token)))
