"""What an agent's process finds in its environment: the way through the gateway, and none of the gateway's secrets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass

from lockgate.model import CredentialSpec, SecretSource

PROXY = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")  # clients differ in which letter case they read: both are set
NO_PROXY = "NO_PROXY"
# A list would be trusted beside what is set here, a switch would turn verification off, a log would give keys away.
WEAKENING = (
    "SSL_CERT_DIR",
    "GIT_SSL_CAPATH",
    "NODE_USE_SYSTEM_CA",
    "DENO_TLS_CA_STORE",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "GIT_SSL_NO_VERIFY",
    "PYTHONHTTPSVERIFY",
    "SSLKEYLOGFILE",
)
# Proxies of single tools, which go before the general ones.
OTHER_PROXIES = re.compile(
    r"(npm_config_(https?[-_])?(no)?proxy|pip_proxy|ftp_proxy|git_proxy_command|rsync_proxy|(no_)?grpc_proxy"
    r"|cargo_http_proxy|yarn_https?_proxy|cloudsdk_proxy_\w+|global_agent_(https?|no)_proxy)",
    re.IGNORECASE,
)

TRUST = (  # who reads it
    "SSL_CERT_FILE",  # OpenSSL: Python's ssl, httpx, Ruby, Go, uv
    "REQUESTS_CA_BUNDLE",  # requests
    "CURL_CA_BUNDLE",  # curl
    "NODE_EXTRA_CA_CERTS",  # Node: beside its own list
    "AWS_CA_BUNDLE",  # AWS's command line and SDKs
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
    "npm_config_cafile",
    "DENO_CERT",
    "HTTPLIB2_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "NIX_SSL_CERT_FILE",
    "BUNDLE_SSL_CA_CERT",
    "PERL_LWP_SSL_CA_FILE",
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What is set in an environment, by name, and the names taken out of it because a target's secret is there."""

    set: Mapping[str, str]
    removed: tuple[str, ...]

    def apply(self, environment: Mapping[str, str]) -> dict[str, str]:
        gone = frozenset(self.removed)
        return {name: value for name, value in environment.items() if name not in gone} | dict(self.set)


def changes(inherited: Collection[str], proxy: str, bundle: str, secrets: Collection[str]) -> Changes:
    """The changes to an environment with the names `inherited`, so that its processes use `proxy` for every host.

    `proxy` is a URL, `bundle` the path of the only certificates to trust, `secrets` names that may not be passed on.
    """
    proxies = {name: proxy for upper in PROXY for name in (upper, upper.lower())}
    # Node reads the proxy variables only when it is told to (from version 22.21 and 24).
    rest = {NO_PROXY: "", NO_PROXY.lower(): "", "NODE_USE_ENV_PROXY": "1"}
    added = {**proxies, **rest, **dict.fromkeys(TRUST, bundle)}
    removed = {name for name in inherited if name in secrets or name in WEAKENING or OTHER_PROXIES.fullmatch(name)}
    return Changes(added, tuple(sorted(removed - added.keys())))


def secret_variables(specs: Iterable[CredentialSpec]) -> frozenset[str]:
    """The environment variables that hold the gateway's own secrets."""
    return frozenset(source.name for spec in specs for source in sources(spec) if source.kind == "env")


def sources(part: object) -> Iterator[SecretSource]:
    """Every source of a secret in `part` of an entry, however deep."""
    if isinstance(part, SecretSource):
        yield part
    if isinstance(part, tuple):
        for member in part:
            yield from sources(member)
    elif is_dataclass(part):
        for each in fields(part):
            yield from sources(getattr(part, each.name))
