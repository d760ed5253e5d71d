from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.recordings.signing import Signer, Verifier

SIGNER = Signer(b"s" * 32)
DOCUMENT = {"kind": "checkpoint", "number": 7, "note": "é\u2028", "files": [{"name": "a"}]}


def test_what_is_signed_is_known_again() -> None:
    signed = SIGNER.signed(DOCUMENT)
    assert Verifier.of_pem(SIGNER.verifier.pem).is_signed(json.loads(json.dumps(signed)))
    assert signed["key"] == SIGNER.verifier.key_id
    assert len(SIGNER.verifier.key_id) == 16


def test_the_order_of_its_members_means_nothing() -> None:
    assert SIGNER.verifier.is_signed(dict(reversed(SIGNER.signed(DOCUMENT).items())))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"number": 8}, id="altered"),
        pytest.param({"number": "7"}, id="of-another-type"),
        pytest.param({"more": 1}, id="added"),
        pytest.param({"key": "0" * 16}, id="key"),
        pytest.param({"signature": "00" * 64}, id="signature"),
        pytest.param({"signature": "zz"}, id="no-hexadecimal"),
        pytest.param({"signature": None}, id="none"),
        pytest.param({"note": float("nan")}, id="no-json"),
    ],
)
def test_what_was_altered_is_not(change: dict[str, Any]) -> None:
    assert not SIGNER.verifier.is_signed({**SIGNER.signed(DOCUMENT), **change})


@pytest.mark.parametrize("document", [None, [], "x", {}, {"key": SIGNER.verifier.key_id}])
def test_what_was_never_signed_is_not(document: object) -> None:
    assert not SIGNER.verifier.is_signed(document)


def test_nor_what_another_key_has_signed() -> None:
    other = Signer(b"o" * 32)
    assert not SIGNER.verifier.is_signed(other.signed(DOCUMENT))
    assert not SIGNER.verifier.is_signed({**other.signed(DOCUMENT), "key": SIGNER.verifier.key_id})


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_public_key(pem: bytes) -> None:
    with pytest.raises(ValueError, match="not a public key"):
        Verifier.of_pem(pem)


def test_its_seed_shows_nowhere() -> None:
    assert "ssss" not in repr(SIGNER) + repr(vars(SIGNER))
