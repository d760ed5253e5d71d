"""How mitmproxy's events reach addons: by a list for each event, made once, instead of a walk over all of them.

mitmproxy asks each of its some 35 addons at each event whether it has a function for it, twice for each flow; that is
nearly half of what it spends on a request. Order and meaning are mitmproxy's own. Another tenth goes into looking
whether each member of each message is of its declared type, which `python -O` leaves out; so does the gateway.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from mitmproxy import exceptions, flow, hooks, http
from mitmproxy.addonmanager import AddonManager, safecall, traverse

Functions = tuple[tuple[Callable[..., Any], ...], ...]
"""The functions for one event: a tuple for each addon of the chain, in which those of addons nested in it stand too."""


class IndexedAddons(AddonManager):
    """An AddonManager that looks for the functions of an event once, and again when addons have changed."""

    _functions: dict[str, Functions]
    _indexed: tuple[Any, ...]

    def __init__(self, master: Any) -> None:
        super().__init__(master)
        self._forget()

    @classmethod
    def take_over(cls, addons: AddonManager) -> None:
        """Make an AddonManager that is in use one of these."""
        addons.__class__ = cls
        assert isinstance(addons, cls)
        addons._forget()

    def register(self, addon: Any) -> Any:
        try:
            return super().register(addon)
        finally:
            self._forget()

    def remove(self, addon: Any) -> None:
        try:
            super().remove(addon)
        finally:
            self._forget()

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        await self.trigger_event(event)
        message = event.args()[0]
        if isinstance(message, flow.Flow) and self._of("update"):
            await self.trigger_event(hooks.UpdateHook([message]))

    async def trigger_event(self, event: hooks.Hook) -> None:
        arguments = event.args()
        for functions in self._of(event.name):
            try:
                for function in functions:
                    result = function(*arguments)
                    if result is not None and inspect.isawaitable(result):
                        await result
            except exceptions.AddonHalt:
                return
            except Exception:
                with safecall():
                    raise

    def _of(self, event: str) -> Functions:
        chain = tuple(self.chain)  # mitmproxy and the gateway also put addons into the list itself
        if chain != self._indexed:
            self._forget()
            self._indexed = chain
        found = self._functions.get(event)
        if found is None:
            by_addon = (tuple(functions_of(addon, event)) for addon in chain)
            found = self._functions[event] = tuple(functions for functions in by_addon if functions)
        return found

    def _forget(self) -> None:
        self._functions, self._indexed = {}, ()


def install(addons: AddonManager) -> None:
    """Index the addons of an AddonManager that is in use, and leave out the looks at types."""
    IndexedAddons.take_over(addons)
    http.MessageData.__post_init__ = lambda _: None  # type: ignore[method-assign]


def functions_of(addon: Any, event: str) -> Iterator[Callable[..., Any]]:
    """Those that an addon and the ones nested in it have for an event.

    Raises AddonManagerError where one has something under that name that is neither a function nor a module.
    """
    for each in traverse([addon]):
        function = getattr(each, event, None)
        if callable(function):
            yield function
        elif function and not isinstance(function, ModuleType):
            raise exceptions.AddonManagerError(f"Addon handler {event} ({each}) not callable")
