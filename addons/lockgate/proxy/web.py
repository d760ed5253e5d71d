"""mitmweb reduced to looking: it has one password for all who open it, and cannot say who pressed a button."""

from __future__ import annotations

from typing import Any

from lockgate.proxy.internals import WebMaster, web_app

ACTS = ("post", "put", "patch", "delete")
MAY_POST = (web_app.IndexHandler,)  # the login form
LOOKING_ONLY = "This mitmweb only looks: the gateway decides. Change the rules, or approve through the approvals API."


def reduce(master: Any) -> None:
    """Refuse every handler and command that edits, replays, uploads, runs or sets something."""
    # Every built-in command can be called over HTTP, and nothing of the gateway's needs one.
    master.commands.commands.clear()
    if not isinstance(master, WebMaster):
        return
    for _, handler in web_app.handlers:
        if handler in MAY_POST or not issubclass(handler, web_app.RequestHandler):
            continue
        for method in ACTS:
            setattr(handler, method, _refuse)


def _refuse(handler: Any, *_: Any, **__: Any) -> None:
    handler.set_status(403)
    handler.finish(LOOKING_ONLY)
