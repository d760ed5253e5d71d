"""The approvals page and API, over loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from harness.scene import Scene, staged


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """What ends with the test."""
    async with AsyncExitStack() as entered:
        yield entered


@pytest.fixture
def make_scene(stack: AsyncExitStack) -> Callable[..., Awaitable[Scene]]:
    """Sets one up; keyword arguments change `approvals`."""

    async def make(**changes: Any) -> Scene:
        return await stack.enter_async_context(staged(**changes))

    return make


@pytest.fixture
async def scene(make_scene: Callable[..., Awaitable[Scene]]) -> Scene:
    return await make_scene()


@pytest.fixture
def api(scene: Scene, stack: AsyncExitStack) -> Callable[[str], Awaitable[httpx.AsyncClient]]:
    """Makes an HTTP client with a token."""

    async def make(token: str = "fiona.finance") -> httpx.AsyncClient:
        return await stack.enter_async_context(scene.browser(token))

    return make


@pytest.fixture
def browser(scene: Scene, stack: AsyncExitStack) -> Callable[[str], Awaitable[httpx.AsyncClient]]:
    """Makes one that has signed in on the page."""

    async def make(token: str = "fiona.finance") -> httpx.AsyncClient:
        signed_in = await scene.signed_in(token)
        stack.push_async_callback(signed_in.aclose)
        return signed_in

    return make
