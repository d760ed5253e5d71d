from __future__ import annotations

import pytest

from lockgate.credentials.header import header


@pytest.mark.parametrize("prefix", ["", "Token ", "key="])
def test_header(spec, secret, prefix):
    credential = header(spec("header", field="X-Api-Key", prefix=prefix), secret)
    assert credential.apply("/", ()) == ("/", ((b"X-Api-Key", f"{prefix}{secret}".encode()),))
