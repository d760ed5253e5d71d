"""What is kept: the intent, durable before the request is sent; the whole flow when it is over, refused ones too."""

from __future__ import annotations

import asyncio
from functools import partial

from mitmproxy import http

from lockgate.errors import BodyUnreadable, MaskingFailed, RecordingUnavailable, Refused
from lockgate.exchange import Exchange, exchange
from lockgate.policy.generation import Generation
from lockgate.projection import fingerprint, projection, wire, with_facts
from lockgate.recordings.delivered import Delivered
from lockgate.recordings.dump import State, flow_state
from lockgate.recordings.recorder import Outcome
from lockgate.recordings.redact import Found
from lockgate.recordings.redactions import compile_redactions
from lockgate.recordings.strangers import PERIOD
from lockgate.recordings.tnetstring import Written
from lockgate.refusals import Refusal
from lockgate.runtime import Runtime

LARGE = 64 * 1024  # bytes of bodies: from here on they are scrubbed off the loop
UNWRITABLE = Refusal(503, "The record cannot be written.", "Tell the operator; nothing was sent.")
MARKS = {"allow": ":white_check_mark:", "deny": ":no_entry:", "hold": ":raised_hand:", "fault": ":warning:"}


class Record:
    """Hands scrubbed copies to the recorder; the flow itself only gets a marker and a comment for mitmweb."""

    sees_refusals = True

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._counting: asyncio.TimerHandle | None = None

    async def http_connect(self, flow: http.HTTPFlow) -> None:
        if exchange(flow).refusal:
            await self._finish(flow, "done")

    async def request(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if found.refusal or found.own:
            return
        if found.spend is not None:
            await found.spend()  # what was approved is used up before there is an intent, so that it is used once
        _annotate(flow, found)
        try:
            await self._runtime.recorder.intent(flow.id, await self._intent(flow, found))
        except RecordingUnavailable:
            raise Refused(UNWRITABLE) from None
        found.intended = True
        found.on_sending = partial(self._runtime.recorder.sending, flow.id)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if flow.response is not None and flow.response.stream:
            max_body = self._generation(found).gateway.recordings_max_body
            found.delivered = Delivered(max_body)

    async def response(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        opens = flow.response is not None and flow.response.status_code == 101
        if found.refusal or not opens:  # a WebSocket is recorded when it is over, each of its messages by itself
            await self._finish(flow, "done" if found.sent or not found.intended else "not-sent", soon=True)

    async def ws_message(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        self._show(flow, found)
        if found.message is not None and found.message.from_agent:
            await self.request(flow)

    async def ws_message_done(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        self._show(flow, found)
        await self._finish(flow, "done" if found.sent or not found.intended else "not-sent")

    async def websocket_end(self, flow: http.HTTPFlow) -> None:
        await self._finish(flow, "done")

    def _show(self, flow: http.HTTPFlow, found: Exchange) -> None:
        """Put onto the flow what may be seen of a message: nothing of one that was not read, or not masked."""
        assert flow.websocket is not None and found.message is not None
        message = found.message
        if found.facts is None or not (message.from_agent or found.masked):
            return
        content = message.content
        if message.from_agent:
            try:
                kind = "application/json" if message.is_text else ""
                content = compile_redactions(self._redactions(found)).body(content, kind, Found())
            except (BodyUnreadable, MaskingFailed):
                content = b""
        flow.websocket.messages[0].content = content

    async def error(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        await self._finish(flow, "failed" if found.sent or not found.intended else "not-sent")

    async def _finish(self, flow: http.HTTPFlow, outcome: Outcome, *, soon: bool = False) -> None:
        """`soon`: not before the answer has gone. Seal has frozen it, and nothing of the flow changes any more."""
        found = exchange(flow)
        if found.finished:
            return
        _annotate(flow, found)
        if self._counts_alone(flow, found):
            found.finished = True
            return
        if soon and self._size(flow, found) <= LARGE and not found.streaming:
            make = partial(self.make_state, flow, found, shows_answer=_shows_answer(found), is_over=True)
            self._runtime.recorder.finish_soon(flow.id, make, outcome)
        else:
            self._runtime.recorder.finish(flow.id, await self._state(flow, found, is_over=True), outcome)
        found.finished = True
        if found.delivered is not None:
            found.delivered.release()

    def _counts_alone(self, flow: http.HTTPFlow, found: Exchange) -> bool:
        """Whether the refusal of a caller that nobody knows goes into a count instead of a record of its own."""
        if found.principal or found.session.principal or found.refusal is None or found.intended:
            return False
        if not self._runtime.counts_alone(flow.client_conn.peername[0], found.refusal.detail):
            return False
        if self._counting is None:
            self._counting = asyncio.get_running_loop().call_later(PERIOD, self._record_counts)
        return True

    def _record_counts(self) -> None:
        self._counting = None
        self._runtime.record_strangers()

    async def _intent(self, flow: http.HTTPFlow, found: Exchange) -> State:
        """A small one is serialised here, where what it is made of is still in the processor's cache."""
        state = await self._state(flow, found, is_over=False)
        return Written(state) if self._size(flow, found) <= LARGE else state

    async def _state(self, flow: http.HTTPFlow, found: Exchange, *, is_over: bool) -> State:
        work = partial(self.make_state, flow, found, shows_answer=_shows_answer(found), is_over=is_over)
        return await asyncio.to_thread(work) if self._size(flow, found) > LARGE else work()

    def make_state(self, flow: http.HTTPFlow, found: Exchange, *, shows_answer: bool, is_over: bool) -> State:
        """Of what is over, what takes a while to find out too."""
        max_body = self._generation(found).gateway.recordings_max_body
        redactions = self._redactions(found)
        streamed = found.delivered if found.streaming else None
        said = projection(flow, found)
        if is_over:
            said["decision"] = with_facts(said["decision"], found, redactions)
            said["fingerprint"] = fingerprint(flow, found)
            said["digests"] = wire(flow, found).digests(self._runtime.hash_key)
        state = flow_state(flow, said, max_body=max_body, redactions=redactions, streamed=streamed)
        if not shows_answer:
            state["response"] = None
        return state

    def _size(self, flow: http.HTTPFlow, found: Exchange) -> int:
        """Bytes of bodies that a state is made of."""
        size = len(flow.request.raw_content or b"") + len((flow.response and flow.response.raw_content) or b"")
        size += found.delivered.length if found.delivered and found.streaming else 0
        size += sum(len(message.content) for message in flow.websocket.messages) if flow.websocket else 0
        return size

    def _generation(self, found: Exchange) -> Generation:
        """That of the request; a request that was refused before anything else has none of its own."""
        return found.generation or self._runtime.current.generation

    def _redactions(self, found: Exchange) -> tuple[str, ...]:
        """What is left out of the record of the request: all that any rule leaves out, until it has been decided."""
        if found.decision is not None:
            return found.decision.redactions
        generation = self._generation(found)
        targets = [found.target.name] if found.target else generation.targets
        texts = {text for target in targets for text in generation.policy.redactions(target)}
        return tuple(sorted(texts))


def _shows_answer(found: Exchange) -> bool:
    """Whether the answer that is on the flow now may be recorded: it has been masked, or is the gateway's own."""
    return bool(found.masked or found.refusal or found.own or found.streaming)


def _annotate(flow: http.HTTPFlow, found: Exchange) -> None:
    """What mitmweb shows beside the flow."""
    verdict = str(found.decision.verdict) if found.decision else "deny"
    if found.refusal and found.refusal.status not in (401, 403, 407):
        verdict = "fault"
    flow.marked = MARKS[verdict]
    parts = [
        verdict,
        (found.decision.rule if found.decision else None),
        found.refusal.detail if found.refusal else None,
    ]
    flow.comment = ": ".join(part for part in parts if part)
