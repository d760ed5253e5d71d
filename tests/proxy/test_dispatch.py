"""Events reach the same functions, in the same order, as with mitmproxy's own manager."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from mitmproxy import exceptions, hooks, master, options
from mitmproxy.addonmanager import AddonManager
from mitmproxy.proxy.layers.http import HttpRequestHook, HttpResponseHook
from mitmproxy.test import tflow

from lockgate.proxy.dispatch import IndexedAddons

Called = list[str]


class Addon:
    """Notes each call under its name."""

    def __init__(self, name: str, called: Called, *addons: Any, fault: BaseException | None = None) -> None:
        self.name = name
        self.addons = list(addons)
        self._called = called
        self._fault = fault

    def request(self, _flow: Any) -> None:
        self._called.append(self.name)
        if self._fault is not None:
            raise self._fault


class Awaited(Addon):
    async def response(self, _flow: Any) -> None:
        self._called.append(f"{self.name} answered")


class Shown(Addon):
    def update(self, _flows: Any) -> None:
        self._called.append(f"{self.name} updated")


Build = Callable[[Called], list[Any]]


def manager(kind: type[AddonManager]) -> AddonManager:
    opts = options.Options()
    made = master.Master(opts)
    made.addons = kind(made)
    return made.addons


async def calls(kind: type[AddonManager], build: Build) -> Called:
    called: Called = []
    addons = manager(kind)
    addons.add(*build(called))
    for event in (HttpRequestHook(tflow.tflow()), HttpResponseHook(tflow.tflow(resp=True))) * 2:
        try:
            await addons.handle_lifecycle(event)
        except exceptions.OptionsError:
            called.append("options error")
    return called


BUILDS: dict[str, Build] = {
    "in-a-row": lambda called: [Addon("a", called), Awaited("b", called), Shown("c", called)],
    "nested": lambda called: [Addon("a", called, Awaited("b", called, Shown("c", called))), Awaited("d", called)],
    "fault": lambda called: [Addon("a", called, fault=ValueError("x")), Addon("b", called)],
    "fault-of-one-nested": lambda called: [
        Addon("a", called, Addon("b", called, fault=ValueError("x")), Addon("c", called)),
        Addon("d", called),
    ],
    "halt": lambda called: [Shown("a", called, fault=exceptions.AddonHalt()), Addon("b", called)],
    "options-error": lambda called: [Addon("a", called, fault=exceptions.OptionsError()), Addon("b", called)],
    "no-function": lambda called: [types.SimpleNamespace(name="x", request=sys), Addon("a", called)],
    "nothing": lambda _: [],
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
async def test_calls_are_those_of_mitmproxy(build: Build) -> None:
    assert await calls(IndexedAddons, build) == await calls(AddonManager, build)


async def triggered(addons: AddonManager) -> None:
    await addons.handle_lifecycle(HttpRequestHook(tflow.tflow()))


async def test_addons_that_come_and_go_are_noticed() -> None:
    called: Called = []
    addons = manager(IndexedAddons)
    first, second, head = (Addon(name, called) for name in ("first", "second", "head"))
    addons.add(first)
    await triggered(addons)
    addons.add(second)
    await triggered(addons)
    addons.chain.insert(0, head)
    await triggered(addons)
    addons.remove(first)
    await triggered(addons)
    assert called == ["first", "first", "second", "head", "first", "second", "head", "second"]


async def test_one_that_another_registers_is_noticed() -> None:
    called: Called = []
    addons = manager(IndexedAddons)
    outer = Addon("outer", called)
    addons.add(outer)
    await triggered(addons)
    outer.addons.append(addons.register(Addon("inner", called)))
    await triggered(addons)
    assert called == ["outer", "outer", "inner"]


async def test_takes_over_a_manager_in_use() -> None:
    called: Called = []
    addons = manager(AddonManager)
    addons.add(Addon("a", called))
    IndexedAddons.take_over(addons)
    await triggered(addons)
    assert called == ["a"]


async def test_a_name_that_is_taken_by_no_function_is_an_error() -> None:
    addons = manager(IndexedAddons)
    addons.add(types.SimpleNamespace(name="x", request=7))
    with pytest.raises(exceptions.AddonManagerError, match="not callable"):
        await addons.trigger_event(HttpRequestHook(tflow.tflow()))


async def test_an_update_goes_out_where_somebody_listens() -> None:
    called: Called = []
    addons = manager(IndexedAddons)
    addons.add(Shown("view", called))
    await triggered(addons)
    assert called == ["view", "view updated"]
    assert hooks.UpdateHook.name == "update"
