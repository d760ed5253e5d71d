"""Whole bodies under masks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lockgate.errors import BodyUnreadable, MaskingFailed
from lockgate.masking.streams import Masks
from lockgate.masking.whole import mask_body
from lockgate.model import Mask

EMAIL = Mask("", "detect", "email", "support/read")
SSN = Mask("$..ssn", "redact", None, "support/read")


def of(masks: Sequence[Mask]) -> Masks:
    return Masks(tuple(masks))


def test_forms_are_found_in_every_string_of_a_document_beside_its_paths() -> None:
    body = b'{"ssn": "536-90-4399", "notes": ["ask ada@mail.example"], "ben@mail.example": 1}'
    masked, counts = mask_body(of([SSN, EMAIL]), body, "application/json")
    assert masked == b'{"ssn":"[redacted]","notes":["ask [redacted email]"],"[redacted email]":1}'
    assert counts == {"$..ssn": 1, "detect email": 2}


def test_forms_are_found_in_text() -> None:
    masked, counts = mask_body(of([EMAIL]), b"Ask ada@mail.example\n", "text/plain")
    assert masked == b"Ask [redacted email]\n"
    assert counts == {"detect email": 1}


def test_a_card_may_be_a_number() -> None:
    masked, _ = mask_body(of([Mask("", "detect", "card")]), b"[4111111111111111, 12]", "application/json")
    assert masked == b'["[redacted card]",12]'


@pytest.mark.parametrize(
    ("masks", "body", "content_type", "error"),
    [
        pytest.param([SSN], b"ssn", "text/plain", MaskingFailed, id="paths of a text"),
        pytest.param([SSN, EMAIL], b"ssn", "text/plain", MaskingFailed, id="paths beside forms"),
        pytest.param([EMAIL], b"ada@mail.example", "application/pdf", MaskingFailed, id="neither"),
        pytest.param([EMAIL], b"ada@mail.example", None, MaskingFailed, id="no type"),
        pytest.param([EMAIL], b"\xff", "text/plain", BodyUnreadable, id="not what it says"),
        pytest.param(
            [EMAIL], b'{"a@mail.example": 1, "b@mail.example": 2}', "application/json", MaskingFailed, id="one name"
        ),
    ],
)
def test_what_cannot_be_masked(masks: list[Mask], body: bytes, content_type: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        mask_body(of(masks), body, content_type)
