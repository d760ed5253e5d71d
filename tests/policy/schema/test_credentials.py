"""What a credential may hold together, and that none of its models lets a key be repeated."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pydantic import ValidationError

from lockgate.policy.schema import Model, credentials
from lockgate.policy.schema.credentials import CREDENTIAL_KINDS, Credential, Credentials, Hmac, Jwt, OAuth2, Vault

SECRET = "env:A"
CLIENT = {"token_url": "https://login.example/token", "client_id": "lockgate"}
SIGNER = {"key": SECRET, "algorithm": "RS256", "issuer": "app"}
KEY = {"key": SECRET, "algorithm": "RS256"}
KINDS: dict[str, Any] = {
    "bearer": SECRET,
    "basic": {"user": "gateway", "password": SECRET},
    "header": {"name": "X-Key", "value": SECRET},
    "query": {"name": "key", "value": SECRET},
    "oauth2": {**CLIENT, "client_secret": SECRET},
    "jwt": SIGNER,
    "aws": {"access_key_id": SECRET, "secret_access_key": SECRET, "region": "eu-central-1", "service": "s3"},
    "hmac": {"secret": SECRET, "content": "{body}", "headers": {"X-Signature": "{signature}"}},
    "client_cert": {"cert": "crm.pem", "key": SECRET},
}


def test_only_the_names_of_credentials_are_ever_repeated() -> None:
    """A secret may stand where a key belongs; at the top of the file stand names and the Vault."""
    models = {value for _, value in inspect.getmembers(credentials, inspect.isclass) if issubclass(value, Model)}
    assert {model for model in models - {Model} if model.echo} == {Credentials}


@pytest.mark.parametrize("kind", CREDENTIAL_KINDS)
def test_each_kind_is_taken(kind: str) -> None:
    credential = Credential.model_validate({"hosts": ["a.example"], kind: KINDS[kind]})
    assert [each for each in CREDENTIAL_KINDS if getattr(credential, each) is not None] == [kind]


@pytest.mark.parametrize(
    ("model", "entry"),
    [
        pytest.param(Credential, {"hosts": ["a.example"]}, id="no-kind"),
        pytest.param(Credential, {"hosts": ["a.example"], "bearer": SECRET, "jwt": SIGNER}, id="two-kinds"),
        pytest.param(Credential, {"hosts": [], "bearer": SECRET}, id="for-no-host"),
        pytest.param(OAuth2, CLIENT, id="client-without-secret"),
        pytest.param(OAuth2, {**CLIENT, "client_secret": SECRET, "client_key": KEY}, id="client-with-two"),
        pytest.param(OAuth2, {**CLIENT, "client_key": KEY, "auth": "post"}, id="auth-of-no-secret"),
        pytest.param(Jwt, {**SIGNER, "scope": "read"}, id="scope-without-token-url"),
        pytest.param(Jwt, {**SIGNER, "claims": {"exp": "1"}}, id="claim-of-its-own-key"),
        pytest.param(Hmac, {**KINDS["hmac"], "headers": {"X-Key": "a"}}, id="no-signature"),
        pytest.param(Hmac, {**KINDS["hmac"], "content": "{timestamp}"}, id="timestamp-that-is-not-sent"),
        pytest.param(Vault, {"address": "https://vault.internal", "token": "vault:a/b#c"}, id="token-inside-vault"),
    ],
)
def test_refused(model: type[Model], entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(entry)
