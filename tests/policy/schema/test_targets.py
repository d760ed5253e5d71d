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


def test_methods_are_one_or_several() -> None:
    assert Target.model_validate({"url": "https://a.example", "methods": "PURGE"}).methods == ["PURGE"]
    several = Target.model_validate({"url": "https://a.example", "methods": ["PROPFIND", "X-SYNC"]})
    assert several.methods == ["PROPFIND", "X-SYNC"]


def test_content_types_are_one_or_several() -> None:
    one = Target.model_validate({"url": "https://a.example", "content_types": "text/csv"})
    assert one.content_types == ["text/csv"]
    several = Target.model_validate({"url": "https://a.example", "content_types": ["a/b+json", "c/d"]})
    assert several.content_types == ["a/b+json", "c/d"]


def test_where_it_says_nothing() -> None:
    target = Target.model_validate({"url": "https://a.example", "tls": {}})
    assert (target.private, target.cookies, target.credential, target.connect) == (False, None, None, None)
    assert (target.paths, target.methods, target.content_types) == ("strict", [], [])
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
        pytest.param({"url": "https://a.example", "paths": "loose"}, id="paths"),
        *(
            pytest.param({"url": "https://a.example", "methods": [method]}, id=f"method-{method}")
            for method in ("GET", "purge", "TRACE", "CONNECT", "PRI", "MOVE", "COPY", "BIND", "A B", "*", "any", "")
        ),
        pytest.param({"url": "https://a.example", "methods": []}, id="no-methods"),
        *(
            pytest.param({"url": "https://a.example", "content_types": [kind]}, id=f"type-{kind}")
            for kind in ("", "json", "text/*", "*/*", "Text/csv", "text/csv; charset=utf-8", "a/b/c", "text/csv ")
        ),
        pytest.param({"url": "https://a.example", "content_types": []}, id="no-types"),
    ],
)
def test_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Target.model_validate(entry)
