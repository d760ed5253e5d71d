"""A real OpenID provider: `oidc-provider` of npm, which is certified, run by node on loopback with keys of ours."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from harness.gateway import free_port
from harness.pki import Authority

SOURCE = Path(__file__).parents[1] / "oidc_provider"
NAME = "localhost"
CLIENT, SECRET = "agent-7", "correct-horse-battery-staple"
DEVICE = "agent-8"  # a client without a secret, that a person lets in
PATIENCE = 30.0  # seconds


class OpenIdProvider:
    """Runs while it is started, always at the same port; `rotate` gives it another key and starts it anew."""

    def __init__(self, place: Path, authority: Authority, pages: dict[str, dict[str, str]] | None = None) -> None:
        """`pages` are those that persons sign in on, by client id: `back` is where they come back to, `audience` whom
        their access tokens are for, `secret` the client's, where it has one.
        """
        self._pages = pages or {}
        self._place = place
        self._authority = authority
        self._certificate = "".join(authority.issue(NAME))
        self._process: subprocess.Popen[str] | None = None
        self._count = 0
        self.port = free_port()
        self.issuer = f"https://{NAME}:{self.port}"
        self.keys: list[dict[str, Any]] = []
        self.new_key("RS256")

    def new_key(self, algorithm: str) -> None:
        """Replace its key."""
        self._count += 1
        self.algorithm = algorithm
        if algorithm == "ES256":
            key = jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
        else:
            key = jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048), as_dict=True)
        key.pop("key_ops", None)
        self.keys = [{**key, "kid": f"key-{self._count}", "use": "sig", "alg": algorithm}]

    def start(self) -> OpenIdProvider:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            ["node", "provider.js"], cwd=self._place, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        settings = {
            "issuer": self.issuer,
            "port": self.port,
            "certificate": self._certificate,
            "keys": self.keys,
            "algorithm": self.algorithm,
            "clients": {CLIENT: SECRET},
            "devices": [DEVICE],
            "pages": self._pages,
            "roles": {CLIENT: ["support"], DEVICE: ["support"]} | {page: ["finance"] for page in self._pages},
            "lifetime": 600,
        }
        assert self._process.stdin and self._process.stdout
        print(json.dumps(settings), file=self._process.stdin, flush=True)
        assert self._process.stdout.readline().startswith("listening"), "the OpenID provider does not start"
        return self

    @property
    def running(self) -> bool:
        return self._process is not None

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def rotate(self, algorithm: str = "RS256") -> None:
        self.stop()
        self.new_key(algorithm)
        self.start()

    def token(self) -> str:
        """An access token, as an agent gets it."""
        answer = httpx.post(
            f"{self.issuer}/token",
            data={"grant_type": "client_credentials"},
            auth=(CLIENT, SECRET),
            verify=ssl.create_default_context(cafile=self._authority.pem),
            trust_env=False,
            timeout=PATIENCE,
        )
        answer.raise_for_status()
        token: str = answer.json()["access_token"]
        return token

    def let_in(self, where: str, code: str, person: str) -> str:
        """What a person does with the code they were told (RFC 8628, 3.3): enter it, confirm, log in, agree; the page
        that they see in the end.
        """
        with self._browser() as browser:
            page = browser.get(where, follow_redirects=True)
            for fields in ({"user_code": code}, {"confirm": "yes"}, {"login": person, "password": "x"}, {}):
                page = browser.send(filled(browser, page, fields), follow_redirects=True)
                page.raise_for_status()
        return page.text

    def sign_in(self, where: str, person: str) -> str:
        """What a person does who was sent here to sign in: log in, agree; the URL that they are sent back to."""
        with self._browser() as browser:
            page = browser.get(where, follow_redirects=True)
            for fields in ({"login": person, "password": "x"}, {}):
                page = browser.send(filled(browser, page, fields))
                while page.next_request and str(page.next_request.url).startswith(self.issuer):
                    page = browser.send(page.next_request)
        assert page.next_request, page.text
        return str(page.next_request.url)

    def _browser(self) -> httpx.Client:
        trusted = ssl.create_default_context(cafile=self._authority.pem)
        return httpx.Client(verify=trusted, trust_env=False, timeout=PATIENCE)


def filled(browser: httpx.Client, page: httpx.Response, fields: dict[str, str]) -> httpx.Request:
    """The page's only form, filled in."""
    [(action, form)] = re.findall(r'<form[^>]*action="([^"]+)"[^>]*>(.*?)</form>', page.text, re.DOTALL)
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return browser.build_request("POST", str(page.url.join(action)), data={**dict(hidden), **fields})
