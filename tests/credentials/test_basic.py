from __future__ import annotations

from base64 import b64encode

import pytest

from lockgate.credentials.basic import basic
from lockgate.errors import SecretUnavailable


def test_basic(spec, secret):
    credential = basic(spec("basic", user="gateway"), secret)
    pair = b64encode(f"gateway:{secret}".encode())
    assert credential.apply("/", ()) == ("/", ((b"Authorization", b"Basic " + pair),))
    assert credential.scrub(pair) == (b"[redacted]", 1)


@pytest.mark.parametrize("user", ["a:b", "é", "a\nb", "a\0"])
def test_users_that_basic_cannot_carry(spec, secret, user):
    with pytest.raises(SecretUnavailable, match="crm-token"):
        basic(spec("basic", user=user), secret)
