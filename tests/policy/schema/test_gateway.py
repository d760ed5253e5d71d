"""What an issuer may hold together, and what the gateway is where it says nothing."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lockgate.policy.schema.gateway import Gateway, Issuer

ISSUER = {"issuer": "https://login.example", "audience": "lockgate", "algorithms": ["RS256"], "roles": "$.roles"}

PROVIDER = {
    "issuer": "https://idp.example",
    "audience": "lockgate",
    "roles": "$.attributes.groups[*]",
    "saml": {"metadata": "idp.xml"},
}


def test_where_it_says_nothing() -> None:
    gateway = Gateway.model_validate({"issuers": []})
    assert (gateway.state, gateway.recordings.dir, gateway.recordings.max_body) == (".lockgate", "recordings", 10 << 20)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"dev": "true"}, id="development"),
        pytest.param(ISSUER, id="discovered"),
        pytest.param({**ISSUER, "issuer": "agents", "jwks": "https://login.example/keys"}, id="keys-at-a-url"),
        pytest.param({**ISSUER, "issuer": "agents", "jwks_file": "jwks.json"}, id="keys-in-a-file"),
        pytest.param({**PROVIDER, "issuer": "urn:idp"}, id="saml"),
    ],
)
def test_taken(entry: dict[str, Any]) -> None:
    issuer = Issuer.model_validate(entry)
    assert (issuer.leeway, issuer.keys_max_age, issuer.max_ttl) == (30.0, 3600.0, None)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"dev": "true", "leeway": "1s"}, id="development-with-more"),
        *(
            pytest.param({name: value for name, value in ISSUER.items() if name != left}, id=f"no-{left}")
            for left in ISSUER
        ),
        *(
            pytest.param({name: value for name, value in PROVIDER.items() if name != left}, id=f"saml-no-{left}")
            for left in PROVIDER
        ),
        *(
            pytest.param({**PROVIDER, name: value}, id=f"saml-with-{name}")
            for name, value in {
                "algorithms": ["RS256"],
                "jwks": "https://a.example",
                "jwks_file": "k.json",
                "ca": "ca.pem",
                "keys_max_age": "1h",
                "dev": "true",
            }.items()
        ),
        pytest.param({**PROVIDER, "saml": {}}, id="saml-without-metadata"),
        pytest.param({**PROVIDER, "saml": {"metadata": "idp.xml", "ttl": "1h"}}, id="saml-with-something-else"),
        pytest.param({**ISSUER, "jwks": "https://a.example", "jwks_file": "jwks.json"}, id="two-sets-of-keys"),
        pytest.param({**ISSUER, "jwks_file": "jwks.json", "ca": "ca.pem"}, id="ca-for-a-file"),
        pytest.param({**ISSUER, "issuer": "http://login.example"}, id="discovery-over-http"),
        pytest.param({**ISSUER, "issuer": "https://login.example?a=b"}, id="discovery-with-a-query"),
    ],
)
def test_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Issuer.model_validate(entry)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param(
            {**PROVIDER, "algorithms": ["RS256"], "ca": "ca.pem"},
            "a SAML identity provider issues no tokens: leave algorithms, ca out",
            id="keys-of-tokens",
        ),
        pytest.param(
            {"issuer": "idp", "saml": {"metadata": "idp.xml"}}, "the issuer lacks audience, roles", id="nothing-else"
        ),
    ],
)
def test_what_a_provider_is_told(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Issuer.model_validate(entry)
