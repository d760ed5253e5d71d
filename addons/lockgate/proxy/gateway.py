"""The addon that mitmproxy loads: puts the guard, the doors, the lock and the sentinel in place, starts and stops
what the stages work with. It is in the chain only for its life-cycle; requests go through the guard.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import sys
from collections.abc import Awaitable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mitmproxy import addonmanager, ctx
from mitmproxy.proxy import mode_specs

from lockgate.errors import RecordingUnavailable, RulesInvalid, SetupError, StoreUnavailable
from lockgate.proxy import (
    answers,
    dispatch,
    doors,
    framing,
    http2,
    latch,
    lock,
    logs,
    pace,
    reach,
    sentinel,
    views,
    web,
    websocket,
)
from lockgate.proxy.doors import GatedStream
from lockgate.proxy.guard import Guard
from lockgate.proxy.internals import DumpMaster, WebMaster, http_layers, server
from lockgate.proxy.reload import Reload
from lockgate.runtime import Runtime
from lockgate.web.site import Site

NOTICES_END = 1.0  # seconds at the end for notices to be delivered
STREAMS_END = 5.0  # seconds at the end for streams to be broken off and recorded

log = logging.getLogger(__name__)


class Gateway:
    """Installs on `load`, checks and locks on the first `configure`, serves from `running` until `done`."""

    name = "lockgate"

    def __init__(self, runtime: Runtime, stages: Sequence[Any]) -> None:
        self._runtime = runtime
        self._guard = Guard(stages)
        self._locked: dict[str, Any] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._reloads: asyncio.Task[None] | None = None
        self._approvals: asyncio.Task[None] | None = None
        self._beside: set[asyncio.Task[None]] = set()
        self._site: Site | None = None
        self._script = Path()

    def load(self, loader: addonmanager.Loader) -> None:
        loader.add_option("lockgate_rules", str, "rules", "Directory of the rules.")
        loader.add_option("lockgate_recordings", str, "", "Directory of the recordings, instead of the rules' own.")
        loader.add_option("lockgate_state", str, "", "Directory of the gateway's state, instead of the rules' own.")
        if not isinstance(ctx.master, (DumpMaster, WebMaster)):
            refuse_start("Run it under mitmdump or mitmweb; the console can edit what was decided.")
        http_layers.HttpStream = GatedStream  # type: ignore[misc]
        reach.install()
        answers.install()
        framing.install()
        websocket.install()
        http2.install()
        pace.install()
        logs.install()
        views.add()
        # At the head, not in the script's own tree: no other addon's fault skips it, and unloading does not remove it.
        ctx.master.addons.chain.insert(0, self._guard)
        dispatch.install(ctx.master.addons)
        # mitmproxy applies --set options of ours next, and goes on without a word where it cannot.
        asyncio.get_running_loop().call_soon(self._require_configured)

    def configure(self, updated: set[str]) -> None:
        if self._locked is not None or "lockgate_rules" not in ctx.options:
            return
        self._locked = {}
        try:
            lock.check(ctx.options)
            lock.pin(ctx.options)
            self._script = Path(ctx.options.scripts[0].strip("'\" ")).expanduser()
            self._runtime.start(
                Path(ctx.options.lockgate_rules), ctx.options.lockgate_recordings, ctx.options.lockgate_state
            )
        except (SetupError, RulesInvalid) as error:
            refuse_start(str(error))
        lock.lock(ctx.options)
        self._locked = lock.snapshot(ctx.options)

    def _require_configured(self) -> None:
        if self._locked is None:
            names = ", ".join(sorted(ctx.options.deferred)) or "one of ours"
            refuse_start(f"An option that was set is not accepted: {names}. Give each once, with a value of its kind.")

    async def running(self) -> None:
        for script in ctx.master.addons.get("scriptloader").addons:
            if script.reloadtask:
                script.reloadtask.cancel()
        web.reduce(ctx.master, self._kill)
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a connection each, and one upstream
        await self._listen_where_told()
        await self._open_desk()
        self._runtime.warm()
        reload = Reload(self._runtime)
        self._reloads = asyncio.create_task(reload.run(), name="lockgate reload")
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.ask)
        watching = sentinel.watch(self._script, self._wrong, self._flush)
        self._watch = asyncio.create_task(watching, name="lockgate sentinel")
        generation = self._runtime.current.generation
        log.info("Lockgate is ready: generation %s, %d targets.", generation.id[:12], len(generation.targets))

    def done(self) -> Awaitable[None]:
        """Not a coroutine function: where the script is unloaded, mitmproxy would not call one."""
        if not ctx.master.should_exit.is_set() and self._watch is not None:
            sentinel.end("The gateway was unloaded while running.", self._flush)
        return self._end()

    async def _end(self) -> None:
        """End what is open, so that it is recorded, then what it needs."""
        latch.shut()
        if self._reloads is not None:
            self._reloads.cancel()
        await doors.streams_ended(STREAMS_END)
        if self._approvals is not None:
            self._approvals.cancel()
        if self._site is not None:
            await self._site.close()
        await self._runtime.notifications.close(NOTICES_END)
        if hasattr(self._runtime, "desk"):
            await self._runtime.desk.close()
        whole = self._flush()
        await self._runtime.workers.close()
        if not whole:
            sentinel.leave(sentinel.EXIT_CODE)

    def _kill(self, flow_id: str) -> bool:
        """Deny what a flow is held for; whether it is held."""
        approval_id = self._runtime.held.get(flow_id)
        if approval_id is not None:
            self._runtime.killed.add(flow_id)  # whether or not the store takes that it is denied
            self._start(self._denied(approval_id), "kill")
        return approval_id is not None

    async def _denied(self, approval_id: str) -> None:
        try:
            await self._runtime.desk.kill(approval_id, web.KILLED)
        except StoreUnavailable as error:
            log.error("What was killed in mitmweb is refused, but not denied for good: %s.", error)  # noqa: TRY400

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Do something beside what is being served, to its end."""
        task = asyncio.get_running_loop().create_task(work, name=f"lockgate {name}")
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def _flush(self) -> bool:
        """Write what is still to be written; whether all of it was."""
        try:
            self._runtime.stop()
        except RecordingUnavailable as error:
            log.error("At the end: %s.", error)  # noqa: TRY400 - its text is the operator's, a traceback is not
            return False
        return True

    async def _open_desk(self) -> None:
        """Let persons decide, where the rules say that they may."""
        self._approvals = asyncio.create_task(self._runtime.desk.run(), name="lockgate approvals")
        runtime = self._runtime
        self._site = Site(
            runtime.desk,
            lambda: runtime.current.generation.gateway.approvals,
            runtime.approver,
            runtime.recent.of,
            runtime.credentials.secret,
            lambda: runtime.current.generation.gateway.issuers,
        )
        listen = runtime.current.generation.gateway.approvals.listen
        reach.served.update({listen[1]} if listen else ())
        try:
            await self._site.start()
        except SetupError as error:
            refuse_start(str(error))

    async def _listen_where_told(self) -> None:
        """mitmproxy binds before scripts are loaded: to every interface, where no address was given."""
        proxyserver = ctx.master.addons.get("proxyserver")
        modes = [mode_specs.ProxyMode.parse(mode) for mode in ctx.options.mode]
        if any(mode.custom_listen_host is None for mode in modes) and ctx.options.listen_host == "127.0.0.1":
            if all(address[0] == "127.0.0.1" for address in proxyserver.listen_addrs()):
                return
            await proxyserver.servers.update([])
            for mode in modes:  # HTTP/3 is not spoken, and its UDP sockets may still be closing, which ends the start
                object.__setattr__(mode, "transport_protocol", "tcp")
            await proxyserver.servers.update(modes)

    def _wrong(self) -> str | None:
        """What is no longer as installed; None where all is."""
        if not ctx.master.addons.chain or ctx.master.addons.chain[0] is not self._guard:
            return "The guard is no longer at the head of the chain."
        if type(ctx.master.addons) is not dispatch.IndexedAddons:
            return "The order of the addons was taken out."
        if http_layers.HttpStream is not GatedStream:
            return "The doors were taken out."
        if server.ConnectionHandler.open_connection.__module__ != reach.__name__:
            return "The check on outgoing connections was taken out."
        if lock.snapshot(ctx.options) != self._locked:
            return "An option was changed past the lock."
        if ctx.master.addons.get(self.name) is not self:
            return "The gateway was unloaded while running."
        if self._approvals is None or (self._approvals.done() and not self._approvals.cancelled()):
            return "Approvals are no longer looked after."
        if self._reloads is None or (self._reloads.done() and not self._reloads.cancelled()):
            return "The rules are no longer looked at."
        return None


def refuse_start(why: str) -> NoReturn:
    """Say why, a line each, and end the process with 1."""
    for line in why.splitlines():
        sys.stderr.write(f"lockgate: {line}\n")
    sentinel.leave(1)
