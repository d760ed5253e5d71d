from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.echoes import base64_windows, echoes

SECRET = "s3cr/t+<k&y>='\"\\?~"
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40)

ENCODERS = [
    pytest.param(lambda text: text.encode(), id="plain"),
    pytest.param(lambda text: b64encode(text.encode()), id="base64"),
    pytest.param(lambda text: b64encode(text.encode()).rstrip(b"="), id="base64-unpadded"),
    pytest.param(lambda text: urlsafe_b64encode(text.encode()), id="base64url"),
    pytest.param(lambda text: b64encode(b"user:" + text.encode()), id="base64-of-basic"),
    pytest.param(lambda text: quote(text, safe="").encode(), id="percent"),
    pytest.param(lambda text: quote(text).encode(), id="percent-but-slash"),
    pytest.param(lambda text: quote_plus(text).encode(), id="form"),
    pytest.param(lambda text: json.dumps(text).encode(), id="json"),
    pytest.param(lambda text: json.dumps(text).replace("/", "\\/").encode(), id="json-slash"),
    pytest.param(
        lambda text: json.dumps(text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode(),
        id="json-go",
    ),
    pytest.param(lambda text: html.escape(text).encode(), id="html"),
    pytest.param(lambda text: html.escape(text, quote=False).encode(), id="html-text"),
]


@pytest.mark.parametrize("encode", ENCODERS)
def test_finds_what_an_encoder_makes(encode):
    echo = b"before " + encode(SECRET) + b" after"
    assert any(form in echo for form in echoes(SECRET))


@pytest.mark.parametrize("encode", ENCODERS)
@given(text=VISIBLE)
def test_finds_any_secret(encode, text):
    echo = encode(text)
    assert any(form in echo for form in echoes(text))


@given(VISIBLE)
def test_forms_are_ordered_unique_and_long_enough(text):
    forms = echoes(text)
    assert list(forms) == sorted(set(forms), key=lambda form: (-len(form), form))
    assert min(map(len, forms)) >= 8


@given(before=st.binary(max_size=7), text=VISIBLE, after=st.binary(max_size=7))
def test_windows_find_text_at_any_offset(before, text, after):
    whole = before + text.encode() + after
    windows = base64_windows(text)
    assert any(window in b64encode(whole) for window in windows)
    assert any(window in urlsafe_b64encode(whole) for window in windows)
