"""The one addon at the head of mitmproxy's chain: runs the stages, and refuses on any exception.

mitmproxy logs an exception from a hook and forwards the request; here every hook of every stage is run inside the
guard, which turns an exception of whatever kind into a refusal. A stage refuses on purpose by raising `Refused`. After
a refusal only the stages that say `sees_refusals` run: they record it and freeze the answer.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple

from mitmproxy import flow as mitmflow
from mitmproxy import http, tls
from mitmproxy.connection import Client
from mitmproxy.proxy import layer
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from lockgate.errors import Refused
from lockgate.exchange import Exchange, exchange, session
from lockgate.proxy import latch, reach
from lockgate.proxy.answers import PAGES, refusal_response
from lockgate.proxy.doors import CLIENT_GONE, SHUT
from lockgate.proxy.strangers import Strangers
from lockgate.refusals import Refusal

BROKE_OFF = "The exchange broke off."
OUR_ERRORS = frozenset({mitmflow.Error.KILLED_MESSAGE, CLIENT_GONE, SHUT, BROKE_OFF})
NEXT = "Try again; if it stays so, tell the operator the request id."
FAULT = Refusal(503, "The gateway had a fault and kept the request.", NEXT)
ANSWER_FAULT = Refusal(502, "The gateway had a fault and kept the answer.", NEXT)
STOPPING = Refusal(503, "The gateway is stopping.", "Try again later.", close=True)
NOT_LIVE = Refusal(403, "A replayed request is not forwarded.")

HOOKS = (
    *("http_connect", "requestheaders", "request", "responseheaders", "response", "error"),
    *("ws_message", "ws_message_done", "websocket_end"),
)

log = logging.getLogger(__name__)


class Step(NamedTuple):
    """What one stage does at one hook."""

    stage: str
    method: Callable[[Any], Any]
    sees_refusals: bool


class Guard:
    """Runs each hook's stages in the order of the chain."""

    name = "lockgate-guard"

    def __init__(self, stages: Sequence[Any]) -> None:
        self._steps = {hook: steps_of(stages, hook) for hook in HOOKS}
        self._disconnected = steps_of(stages, "client_disconnected")
        self._reach = reach.Reach()
        self._strangers = Strangers()

    # A request's way in

    async def http_connect(self, flow: http.HTTPFlow) -> None:
        await self._run("http_connect", flow, FAULT)

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if flow.is_replay or not flow.live:
            self._refuse(flow, found, "guard", NOT_LIVE)
        elif flow.error:
            found.refusal = replace(PAGES[400], request_id=found.id)
            flow.error.msg = found.refusal.detail
        await self._run("requestheaders", flow, FAULT)

    async def request(self, flow: http.HTTPFlow) -> None:
        await self._run("request", flow, FAULT)

    # An answer's way out

    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        await self._run("responseheaders", flow, ANSWER_FAULT)

    async def response(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if found.refusal:
            # What came from the target since has been put into the refusal's place.
            flow.response = refusal_response(found.refusal, flow.request)
        await self._run("response", flow, ANSWER_FAULT)

    async def error(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if flow.error and flow.error.msg not in OUR_ERRORS and not found.refusal:
            flow.error.msg = BROKE_OFF
            if found.sent:  # mitmproxy found the answer's head invalid
                found.refusal = replace(PAGES[502], request_id=found.id, sent_upstream=True)
        if found.answer is None:
            flow.response = refusal_response(found.refusal, flow.request) if found.refusal else None
        await self._run("error", flow, ANSWER_FAULT)

    # A WebSocket: each of its messages on a flow of its own, and its end on the flow that opened it

    async def ws_message(self, flow: http.HTTPFlow) -> None:
        message = exchange(flow).message
        await self._run("ws_message", flow, FAULT if message is None or message.from_agent else ANSWER_FAULT)

    async def ws_message_done(self, flow: http.HTTPFlow) -> None:
        await self._run("ws_message_done", flow, ANSWER_FAULT)

    async def websocket_end(self, flow: http.HTTPFlow) -> None:
        await self._run("websocket_end", flow, ANSWER_FAULT)

    # Connections

    def client_connected(self, client: Client) -> None:
        try:
            admitted = not latch.closed() and self._strangers.admit(client)
        except BaseException as fault:
            self._log("client_connected", fault)
            admitted = False
        if not admitted:
            client.error = reach.REFUSED

    def client_disconnected(self, client: Client) -> None:
        for name, method, _ in self._disconnected:
            try:
                method(client)
            except BaseException as fault:
                self._log(f"{name}.client_disconnected", fault)

    def next_layer(self, next_layer: layer.NextLayer) -> None:
        try:
            self._reach.next_layer(next_layer)
        except BaseException as fault:
            self._log("next_layer", fault)
            next_layer.layer = reach.Close(next_layer.context)

    async def server_connect(self, data: ServerConnectionHookData) -> None:
        try:
            await self._reach.server_connect(data)
        except BaseException as fault:
            data.server.error = reach.REFUSED
            self._log("server_connect", fault)
            _reraise_cancellation(fault)

    def server_connected(self, data: ServerConnectionHookData) -> None:
        try:
            self._reach.server_connected(data)
        except BaseException as fault:
            self._log("server_connected", fault)
            session(data.client).vetted.pop(data.server.id, None)
            reach.abort(data.client, data.server)

    def tls_start_server(self, start: tls.TlsData) -> None:
        try:
            self._reach.tls_start_server(start)
        except BaseException as fault:
            self._log("tls_start_server", fault)
            session(start.context.client).vetted.pop(start.conn.id, None)

    # How a stage is run

    async def _run(self, hook: str, flow: http.HTTPFlow, fault_refusal: Refusal) -> None:
        found = exchange(flow)  # takes identity off the flow, whatever comes
        for name, method, sees_refusals in self._steps[hook]:
            if (found.refusal or found.own) and not sees_refusals:
                continue
            started = perf_counter()
            try:
                if latch.closed() and not found.refusal:
                    raise Refused(STOPPING)
                result = method(flow)
                if result is not None and inspect.isawaitable(result):
                    await result
            except Refused as refused:
                self._refuse(flow, found, name, refused.refusal)
            except BaseException as fault:
                self._log(f"{name}.{hook}", fault)
                self._refuse(flow, found, name, fault_refusal)
                _reraise_cancellation(fault)
            finally:
                found.timings[name] = found.timings.get(name, 0.0) + (perf_counter() - started) * 1000

    def _refuse(self, flow: http.HTTPFlow, found: Exchange, stage: str, refusal: Refusal) -> None:
        """Make the refusal what the agent gets. A later one replaces an earlier one: it is the graver."""
        found.refusal = replace(refusal, request_id=found.id, sent_upstream=found.sent)
        found.stage = stage
        found.answer = None
        flow.response = refusal_response(found.refusal, flow.request)

    def _log(self, where: str, fault: BaseException) -> None:
        """Where a fault arose and of which kind; its text may quote what came over the wire."""
        trace = fault.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown place"
        log.error("Fault in %s: %s at %s; refused.", where, type(fault).__name__, place)


def steps_of(stages: Sequence[Any], hook: str) -> tuple[Step, ...]:
    """What the stages do at a hook, in their order."""
    return tuple(
        Step(type(stage).__name__, getattr(stage, hook), getattr(stage, "sees_refusals", False))
        for stage in stages
        if getattr(stage, hook, None) is not None
    )


def _reraise_cancellation(fault: BaseException) -> None:
    """Let through what is about this task rather than the flow: its own cancellation, and Ctrl-C."""
    task = asyncio.current_task()
    if isinstance(fault, KeyboardInterrupt) or (
        isinstance(fault, asyncio.CancelledError) and task is not None and task.cancelling()
    ):
        raise fault
