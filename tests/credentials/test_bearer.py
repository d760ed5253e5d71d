from __future__ import annotations

from lockgate.credentials.bearer import bearer


def test_bearer(spec, secret):
    credential = bearer(spec("bearer"), secret)
    assert credential.apply("/", ()) == ("/", ((b"Authorization", b"Bearer " + secret.encode()),))
