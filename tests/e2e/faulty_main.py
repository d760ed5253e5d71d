"""The chain with faults on demand, for `mitmdump -s`: a request, or a CONNECT, says in a header what is to break.

`x-fault: STAGE.HOOK.EXCEPTION` raises before the stage's own hook is run, with `.after` behind it after it;
`x-fault: STAGE.skip` leaves the stage out altogether.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from mitmproxy import http
from mitmproxy.exceptions import AddonHalt

from lockgate.chain import build, stages

HEADER = "x-fault"
EXCEPTIONS: dict[str, type[BaseException]] = {
    "Exception": Exception,
    "AddonHalt": AddonHalt,
    "CancelledError": asyncio.CancelledError,
    "SystemExit": SystemExit,
}
HOOKS = frozenset(
    {"http_connect", "http_connect_error", "requestheaders", "request", "responseheaders", "response", "error"}
    | {"ws_message", "ws_message_done", "websocket_end"}
)


class Faulty:
    """Stands where a stage does, and is it in everything but the fault that a flow asks for."""

    def __init__(self, stage: Any) -> None:
        self._stage = stage

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._stage, name)
        if name not in HOOKS:
            return real

        async def hook(flow: http.HTTPFlow) -> None:
            asked = flow.request.headers.get(HEADER, "")
            stage = type(self._stage).__name__
            if asked == f"{stage}.skip":
                return
            if asked.rpartition(".")[0] == f"{stage}.{name}":
                raise EXCEPTIONS[asked.rpartition(".")[2]]
            result = real(flow)
            if inspect.isawaitable(result):
                await result
            if asked.endswith(".after") and asked.startswith(f"{stage}.{name}."):
                raise EXCEPTIONS[asked.split(".")[2]]

        return hook


def faulty(stage: Any) -> Faulty:
    """The stage in its wrapper, under its own name."""
    made: Faulty = type(type(stage).__name__, (Faulty,), {})(stage)
    return made


addons = build(lambda runtime: [faulty(stage) for stage in stages(runtime)])
