from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.json import dumps, parse
from lockgate.cli.approvals.layout import laid_out

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("1.10", ["1.10"], id="a number"),
        pytest.param('"a{,}"', ['"a{,}"'], id="a string"),
        pytest.param("{}", ["{}"], id="nothing"),
        pytest.param('{"a":[]}', ["{", '  "a": []', "}"], id="an empty list"),
        pytest.param(
            '[1,[2,{"b":-0}]]', ["[", "  1,", "  [", "    2,", "    {", '      "b": -0', "    }", "  ]", "]"], id="deep"
        ),
        pytest.param(
            '{"a\\"}":"\\u202e\\\\","b": 1e400}',
            ["{", '  "a\\"}": "\\u202e\\\\",', '  "b": 1e400', "}"],
            id="as written",
        ),
    ],
)
def test_it_is_laid_out(text: str, lines: list[str]) -> None:
    assert laid_out(text) == lines


@given(DOCUMENTS)
def test_it_means_the_same(document: Any) -> None:
    for text in (dumps(document).decode("utf-8", "surrogatepass"), json.dumps(document)):
        assert "".join("\n".join(laid_out(text)).split()) == "".join(text.split())
        assert parse("\n".join(laid_out(text)).encode()) == parse(text.encode())
