from __future__ import annotations

from lockgate.credentials.query import query


def test_query(spec, secret):
    credential = query(spec("query", field="api key"), secret)
    assert credential.apply("/a", ()) == (f"/a?api%20key={secret}", ())
