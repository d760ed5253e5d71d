"""Finding a target by its origin."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockgate.policy.generation import Generation


@pytest.mark.parametrize(
    ("scheme", "host", "port", "name"),
    [
        pytest.param("https", "api.crm.example", 443, "crm", id="exact"),
        pytest.param("https", "API.CRM.Example", 443, "crm", id="case"),
        pytest.param("http", "api.crm.example", 443, None, id="scheme"),
        pytest.param("https", "api.crm.example", 8443, None, id="port"),
        pytest.param("https", "api.crm.example.", 443, None, id="final-dot"),
        pytest.param("https", "crm.example", 443, None, id="parent"),
        pytest.param("https", "x.api.crm.example", 443, None, id="child"),
        pytest.param("http", "wiki.internal", 8080, "wiki", id="with-port"),
    ],
)
def test_target_for(loaded: Callable[..., Generation], scheme: str, host: str, port: int, name: str | None) -> None:
    target = loaded().target_for(scheme, host, port)
    assert (target.name if target else None) == name


def test_a_generation_shows_no_content(loaded: Callable[..., Generation]) -> None:
    assert "role: support" not in repr(loaded())
