"""What a target may hold together, and what it is where it says nothing; messages are in test_wrong_files.py."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lockgate.policy.schema.targets import Target

ONE = ("https", "a.example", 443)
OTHER = ("http", "b.example", 8080)


@pytest.mark.parametrize(
    ("entry", "origins"),
    [
        pytest.param({"url": "https://a.example"}, [ONE], id="url"),
        pytest.param({"urls": ["https://a.example", "http://b.example:8080"]}, [ONE, OTHER], id="urls"),
    ],
)
def test_its_origins(entry: dict[str, Any], origins: list[tuple[str, str, int]]) -> None:
    assert Target.model_validate(entry).origins == origins


def test_where_it_says_nothing() -> None:
    target = Target.model_validate({"url": "https://a.example", "tls": {}})
    assert (target.private, target.cookies, target.credential, target.connect) == (False, None, None, None)
    assert target.tls is not None and target.tls.min_version == "1.2"


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({}, id="no-address"),
        pytest.param({"url": "https://a.example", "urls": ["https://b.example"]}, id="url-and-urls"),
        pytest.param({"urls": []}, id="no-urls"),
        pytest.param({"url": "http://a.example", "tls": {}}, id="tls-over-http"),
        pytest.param({"urls": ["https://a.example", "http://b.example"], "tls": {}}, id="tls-over-http-for-one"),
        pytest.param({"url": "https://a.example", "tls": {"min_version": "1.0"}}, id="old-tls"),
    ],
)
def test_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Target.model_validate(entry)
