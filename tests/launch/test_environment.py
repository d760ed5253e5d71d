"""What an agent's process finds in its environment."""

from __future__ import annotations

import pytest

from lockgate.launch.environment import TRUST, changes, secret_variables
from lockgate.model import CredentialSpec, OAuth2, SecretSource

PROXY = "http://agent:secret@127.0.0.1:4000"


def test_every_client_finds_the_relay_and_trusts_the_bundle() -> None:
    environment = changes((), PROXY, "/tmp/ca.pem", ()).apply({"HOME": "/home/agent"})
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        assert environment.pop(name) == PROXY
    for name in TRUST:
        assert environment.pop(name) == "/tmp/ca.pem"
    assert environment == {"HOME": "/home/agent", "NO_PROXY": "", "no_proxy": "", "NODE_USE_ENV_PROXY": "1"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("CRM_TOKEN", id="a credential's secret"),
        pytest.param("SSL_CERT_DIR", id="more certificates"),
        pytest.param("NODE_TLS_REJECT_UNAUTHORIZED", id="no verification"),
        pytest.param("SSLKEYLOGFILE", id="the keys of sessions"),
        pytest.param("npm_config_https_proxy", id="another proxy for one tool"),
        pytest.param("NPM_CONFIG_NOPROXY", id="exceptions for one tool"),
        pytest.param("PIP_PROXY", id="another proxy for pip"),
        pytest.param("grpc_proxy", id="another proxy for gRPC"),
        pytest.param("no_grpc_proxy", id="exceptions for gRPC"),
        pytest.param("CARGO_HTTP_PROXY", id="another proxy for cargo"),
        pytest.param("CLOUDSDK_PROXY_ADDRESS", id="another proxy for gcloud"),
        pytest.param("GIT_SSL_CAPATH", id="more certificates for git"),
    ],
)
def test_what_leads_around_the_gateway_is_taken_out(name: str) -> None:
    inherited = {name: "1", "HOME": "/home/agent"}
    changed = changes(inherited, PROXY, "/tmp/ca.pem", {"CRM_TOKEN"})
    assert changed.removed == (name,)
    assert name not in changed.apply(inherited)


def test_exceptions_that_were_set_are_gone() -> None:
    inherited = {"NO_PROXY": "api.crm.example", "no_proxy": "*", "https_proxy": "http://elsewhere:1"}
    environment = changes(inherited, PROXY, "/tmp/ca.pem", ()).apply(inherited)
    assert (environment["NO_PROXY"], environment["no_proxy"], environment["https_proxy"]) == ("", "", PROXY)


def test_secrets_are_found_however_deep_an_entry_has_them() -> None:
    specs = [
        CredentialSpec("crm", "bearer", ("api.crm.example",), SecretSource("env", "CRM_TOKEN")),
        CredentialSpec("key", "bearer", ("api.key.example",), SecretSource("file", "/run/secrets/key")),
        CredentialSpec(
            "billing",
            "bearer",
            ("billing.example",),
            OAuth2("https://login.example/token", "gateway", client_secret=SecretSource("env", "BILLING_SECRET")),
        ),
    ]
    assert secret_variables(specs) == {"CRM_TOKEN", "BILLING_SECRET"}
