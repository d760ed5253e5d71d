"""mitmweb reduced to looking: it has one password for all who open it, and cannot say who pressed a button."""

from __future__ import annotations

from collections.abc import Callable
from functools import partialmethod
from typing import Any

from mitmproxy import ctx
from mitmproxy.addons.view import View
from mitmproxy.flow import Flow

from lockgate.proxy.internals import WebMaster, web_app

ACTS = ("post", "put", "patch", "delete")
MAY_POST = (web_app.IndexHandler,)  # the login form
KILLED = "killed in mitmweb"
MAX_FLOWS = 1000
MAX_BYTES = 64 * 1024 * 1024  # of bodies
LOOKING_ONLY = "This mitmweb only looks: the gateway decides. Change the rules, or approve through the approvals API."


def reduce(master: Any, kill: Callable[[str], bool]) -> None:
    """Refuse every handler and command that edits, replays, uploads, runs or sets something.

    What is held can be killed, which is a denial: `kill` says whether the flow of that id was held.
    """
    # Every built-in command can be called over HTTP, and nothing of the gateway's needs one.
    master.commands.commands.clear()
    if not isinstance(master, WebMaster):
        return
    master.view.sig_view_add.connect(_let_go)
    for _, handler in web_app.handlers:
        if handler in MAY_POST or not issubclass(handler, web_app.RequestHandler):
            continue
        for method in ACTS:
            setattr(handler, method, _refuse)
    web_app.KillFlow.post = partialmethod(_kill, kill)  # type: ignore[assignment]


def _let_go(flow: Flow) -> None:
    """mitmweb keeps every flow for ever: beyond a number or a size the oldest that are over are let go."""
    view: View = ctx.master.addons.get("view")
    kept = list(view._store.values())
    size = sum(map(_size, kept))
    for old in kept:
        if len(view._store) <= MAX_FLOWS and size <= MAX_BYTES:
            return
        if not old.live and old is not flow:
            size -= _size(old)
            view.remove([old])


def _size(flow: Flow) -> int:
    messages = (getattr(flow, "request", None), getattr(flow, "response", None))
    return sum(len(message.raw_content or b"") for message in messages if message)


def _kill(handler: Any, kill: Callable[[str], bool], flow_id: str) -> None:
    if not kill(flow_id):
        _refuse(handler)


def _refuse(handler: Any, *_: Any, **__: Any) -> None:
    handler.set_status(403)
    handler.finish(LOOKING_ONLY)
