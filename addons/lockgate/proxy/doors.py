"""The doors: the one place where bytes go to a target, and the one where they go to the agent (law 1, law 4).

A door demands proof and lets nothing else through: to the target only the frozen `Outgoing` that was decided and
recorded, to the agent only the frozen `Answer` that was masked or is the gateway's own. Of an answer that is streamed
the head is frozen, and each part goes through the pipeline that masks it, here. Stages produce the proof; one that is
forgotten, reordered or crashes therefore blocks. What is sent is a copy: the credential is never on the flow.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any

from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.connection import Connection, Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.http import (
    DropStream,
    ErrorCode,
    HttpErrorHook,
    HttpEvent,
    HttpRequestHeadersHook,
    HttpResponseHook,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

from lockgate.credentials.credential import Signer
from lockgate.errors import LockgateError, Refused
from lockgate.exchange import Answer, Dialled, Exchange, Outgoing, Session, exchange, session
from lockgate.model import Limits, Target, Verdict
from lockgate.proxy import latch
from lockgate.proxy.answers import protocol_refusal, refusal_response
from lockgate.proxy.internals import GetHttpConnection, HttpStream, SendHttp
from lockgate.recordings.delivered import By
from lockgate.refusals import Refusal

Commands = Generator[commands.Command, Any, None]
SHUT = "The gateway kept a door shut."
CLIENT_GONE = "The agent broke off the request."

REQUEST_KEPT = Refusal(503, "The gateway kept the request.", "Tell the operator the request id.", close=True)
ANSWER_KEPT = Refusal(502, "The answer cannot be passed on.", "Tell the operator the request id.", close=True)
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
DRAINED = 16 * 1024 * 1024  # bytes of a refused request's body that are read before the connection is cut

log = logging.getLogger(__name__)


class Shut(Exception):
    """Raised inside a door when the proof is missing: nothing more of this stream passes."""


@dataclass(eq=False, kw_only=True)
class Dial(GetHttpConnection):
    """Asks for a connection to a target: one of another target is not used for it, be it to the same address."""

    dialled: Dialled
    session: Session

    def connection_spec_matches(self, connection: Connection) -> bool:
        vetted = self.session.vetted.get(connection.id)
        return vetted is not None and vetted.dialled == self.dialled and super().connection_spec_matches(connection)


class GatedStream(HttpStream):
    """mitmproxy's HttpStream with a door at both ends."""

    def __init__(self, context: Any, stream_id: int) -> None:
        super().__init__(context, stream_id)
        self._received = 0  # bytes of the request's body
        self._answered_with = 0  # bytes of the answer's body
        self._answered = False
        self._streams = False  # the answer goes on as it comes
        self._form = ""

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, RequestHeaders):
            self._form = "absolute" if event.request.host else "origin"
        elif isinstance(event, RequestData) and self._let_go(len(event.data)):
            if self._received <= DRAINED:
                return  # an answer given before the request has ended would be lost to most clients
            event = ResponseProtocolError(self.stream_id, SHUT, ErrorCode.REQUEST_TOO_LARGE)
        elif code := self._fault_of_target(event):
            yield commands.CloseConnection(self.context.server)
            event = ResponseProtocolError(self.stream_id, SHUT, code)
        elif isinstance(event, ResponseHeaders):
            # mitmproxy reads the target's own head again, to see whether its connection can be used again.
            event = ResponseHeaders(self.stream_id, event.response.copy(), event.end_stream)
        yield from self._gated(super()._handle_event(event))

    def passthrough(self, event: events.Event) -> Commands:
        """A CONNECT tunnel's bytes: encrypted towards the agent, nothing towards a target but what inner doors pass."""
        yield from self._gated(super().passthrough(event))

    # What comes in

    def _let_go(self, size: int) -> bool:
        """Whether body bytes of the request are read for nothing: it is refused, or has grown past the limit."""
        self._received += size
        found = exchange(self.flow)
        limit = (found.target.limits if found.target else Limits()).request
        if self._received > limit and not found.refusal:
            found.refusal, found.stage = protocol_refusal(ErrorCode.REQUEST_TOO_LARGE, found), "door"
            self.flow.response = refusal_response(found.refusal, self.flow.request.method)
        return found.refusal is not None

    def _fault_of_target(self, event: events.Event) -> ErrorCode | None:
        """What is wrong with a part of an answer. An interim response would be taken for the final one, and the final
        one for the next request's; a bare CR or a second coding means other things to other readers.
        """
        if isinstance(event, ResponseHeaders):
            response = event.response
            coding = response.headers.get("transfer-encoding", "chunked").lower()
            odd = any(CONTROL.search(value) for _, value in response.headers.fields)
            if not 200 <= response.status_code <= 599 or coding != "chunked" or odd:
                return ErrorCode.GENERIC_SERVER_ERROR
        if isinstance(event, ResponseData):
            self._answered_with += len(event.data)
            target = exchange(self.flow).target
            if target is None:
                return ErrorCode.RESPONSE_TOO_LARGE
            limit = target.limits.streamed if self._streams else target.limits.response
            if limit is not None and self._answered_with > limit:
                return ErrorCode.RESPONSE_TOO_LARGE
        return None

    def start_response_stream(self) -> Commands:
        """An answer that has come whole by now, or has broken off, is not streamed: it has its length like any other,
        and a fault is a refusal.
        """
        ends = (ResponseEndOfMessage, ResponseProtocolError)
        if any(isinstance(event, ends) for event in self._paused_event_queue):
            self.server_state = self.state_consume_response_body
            return
        assert self.flow.response is not None
        self._streams = True
        yield SendHttp(ResponseHeaders(self.stream_id, self.flow.response, end_stream=False), self.context.client)
        self.server_state = self.state_stream_response_body

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> Commands:
        """What broke off the stream, in fixed words: mitmproxy's quote the wire."""
        found = exchange(self.flow)
        by: By = "agent"
        if isinstance(event, ResponseProtocolError):
            found.refusal = found.refusal or protocol_refusal(event.code, found)
            event.message = found.refusal.detail
            by = "gateway" if event.code is ErrorCode.RESPONSE_TOO_LARGE else "target"
        else:
            event.message = CLIENT_GONE
        if found.delivered is not None:
            found.delivered.end(by, event.message)
        yield from super().handle_protocol_error(event)

    # What goes out

    def _gated(self, base: Commands) -> Commands:
        reply = None
        while True:
            try:
                passed = self._door(base.send(reply))
                reply = None
                for one in passed:
                    reply = yield one
            except StopIteration:
                return
            except Exception as fault:  # of a door, or of mitmproxy's own
                base.close()
                yield from self._shut(fault)
                return

    def _door(self, command: commands.Command) -> Iterable[commands.Command]:
        if isinstance(command, SendHttp):
            if command.connection == self.context.client:
                return self._to_agent(command.event)
            return self._to_target(command.event, command.connection)
        if isinstance(command, GetHttpConnection):
            return self._dial(command)
        if isinstance(command, HttpRequestHeadersHook):
            exchange(self.flow).form = self._form
        if isinstance(command, HttpResponseHook) and self._streams:
            return self._stream_end(command)
        return (command,)

    def _dial(self, command: GetHttpConnection) -> tuple[commands.Command, ...]:
        found = exchange(self.flow)
        target = self._proven(found)
        # The pool compares addresses, so the address to dial is set here and never changed later.
        address = target.connect or (target.host, target.port)
        dialled = found.session.dials[address] = Dialled(target, found.certificate)
        return (Dial(address, command.tls, command.via, dialled=dialled, session=found.session),)

    def _to_target(self, event: HttpEvent, connection: Connection) -> tuple[commands.Command, ...]:
        found = exchange(self.flow)
        if isinstance(event, RequestHeaders):
            if found.sent:
                raise Shut("a request is sent once")
            target = self._proven(found)
            self._check_connection(found, target, connection)
            outgoing = found.outgoing
            assert outgoing is not None and found.on_sending is not None
            request = _with_credential(outgoing, found, time.time())
            found.on_sending()
            found.sent = True
            sends = [SendHttp(RequestHeaders(self.stream_id, request, not outgoing.body), connection)]
            if outgoing.body:
                sends.append(SendHttp(RequestData(self.stream_id, outgoing.body), connection))
            return tuple(sends)
        if isinstance(event, RequestData) and found.sent:
            return ()  # the frozen body has gone with the head
        if isinstance(event, RequestEndOfMessage) and found.sent:
            return (SendHttp(event, connection),)
        if isinstance(event, RequestProtocolError):
            return (SendHttp(event, connection),)  # closes the connection to the target
        raise Shut("only a frozen request goes to a target")

    def _proven(self, found: Exchange) -> Target:
        """The target of a request that was allowed, recorded, frozen and not touched since.

        Raises:
            Shut: any of these is missing.
            Refused: the caller or the target has been revoked since it was decided.
        """
        if latch.closed():
            raise Shut("the gateway is stopping")
        if self.flow.is_replay or found.refusal or self.flow.response or not found.target or not found.principal:
            raise Shut("not a live, identified request to a target")
        if found.decision is None or found.decision.verdict is not Verdict.ALLOW:
            raise Shut("not allowed")
        if not found.intended or found.on_sending is None:
            raise Shut("not recorded")
        if found.principal.expires_at <= time.time():
            raise Shut("the token has expired")
        if found.target.credential is not None and found.credential is None:
            raise Shut("the target's credential is missing")
        if found.target.tls.client_cert is not None and found.certificate is None:
            raise Shut("the client certificate is missing")
        if found.outgoing is None or Outgoing.of(self.flow.request) != found.outgoing or self.flow.request.trailers:
            raise Shut("not what was decided")
        if found.unrevoked is None:
            raise Shut("not known whether it is revoked")
        found.unrevoked(found)
        return found.target

    def _check_connection(self, found: Exchange, target: Target, connection: Connection) -> None:
        dialled = target.connect or (target.host, target.port)
        if not isinstance(connection, Server) or connection.address != dialled or connection.via:
            raise Shut("the connection leads elsewhere")
        if connection.tls != (target.scheme == "https"):
            raise Shut("the connection's encryption is not the target's")
        if connection.tls and not (connection.tls_established and connection.sni == target.server_name):
            raise Shut("the connection was verified for another name")
        vetted = found.session.vetted.get(connection.id)
        peer = connection.peername[0] if connection.peername else None
        if vetted is None or vetted.dialled != Dialled(target, found.certificate) or peer not in vetted.addresses:
            raise Shut("the connection's address was not vetted for this target")

    def _to_agent(self, event: HttpEvent) -> Iterable[commands.Command]:
        if isinstance(event, ResponseProtocolError):
            return self._error_to_agent(event)
        client = self.context.client
        if self._is_tunnel():
            session(client).tunnel = (self.flow.request.host, self.flow.request.port)
            return (SendHttp(event, client),)
        if isinstance(event, ResponseHeaders):
            if event.response.status_code == 100 and not event.response.headers and not self._answered:
                return (SendHttp(event, client),)  # mitmproxy's own answer to Expect: 100-continue
            answer = exchange(self.flow).answer
            if answer is None or self.flow.response is None or Answer.of(self.flow.response) != answer:
                raise Shut("the response is neither masked nor the gateway's own")
            if self._streams:
                return self._stream_head(answer)
            self._require_unrevoked()
            self._answered = True
            answer = self._handing(answer)
            sends = [SendHttp(ResponseHeaders(self.stream_id, answer.response(), not answer.body), client)]
            if answer.body:
                sends.append(SendHttp(ResponseData(self.stream_id, answer.body), client))
            return tuple(sends)
        if isinstance(event, ResponseData) and self._streams:
            return self._stream_part(event.data)
        if isinstance(event, ResponseData) and self._answered:
            return ()  # the frozen body has gone with the head
        if isinstance(event, ResponseEndOfMessage) and self._answered:
            found = exchange(self.flow)
            if self._streams and (found.refusal or not found.masked):
                raise Shut("a stage has refused what was streamed")
            end = SendHttp(event, client)
            # What a target sends late behind an answer without a body would be taken for the next one.
            return (commands.CloseConnection(self.flow.server_conn), end) if self._is_bodyless() else (end,)
        raise Shut("only a frozen answer goes to the agent")

    def _handing(self, answer: Answer) -> Answer:
        """With what is for the agent alone: like a credential, it is on the copy that is sent and nowhere else."""
        found = exchange(self.flow)
        if found.handed is None or found.refusal or not found.own:
            return answer
        return answer.handing(found.handed)

    # An answer that is streamed

    def _stream_head(self, answer: Answer) -> Commands:
        found = exchange(self.flow)
        if found.pipeline is None or found.delivered is None or answer.body:
            raise Shut("what would be streamed is not masked and recorded")
        self._require_standing(found)
        found.streaming = self._answered = True
        yield SendHttp(ResponseHeaders(self.stream_id, answer.response(), end_stream=False), self.context.client)

    def _stream_part(self, data: bytes) -> Commands:
        found = exchange(self.flow)
        assert found.pipeline is not None
        self._require_standing(found)
        yield from self._pass(found.pipeline.feed(data))

    def _stream_end(self, hook: HttpResponseHook) -> Commands:
        """What was held back goes out before the answer is recorded as complete."""
        found = exchange(self.flow)
        assert found.pipeline is not None and found.delivered is not None
        self._require_standing(found)
        yield from self._pass(found.pipeline.end())
        found.delivered.end("complete")
        yield hook

    def _pass(self, pieces: Iterable[bytes]) -> Commands:
        """Parts as the pipeline gives them: none is empty, which would end a chunked body."""
        delivered = exchange(self.flow).delivered
        assert delivered is not None
        for piece in pieces:
            delivered.add(piece)
            yield SendHttp(ResponseData(self.stream_id, piece), self.context.client)

    def _require_standing(self, found: Exchange) -> None:
        """Raise Shut or Refused unless what is streamed would still be allowed, masked as it is (law 7)."""
        if latch.closed():
            raise Shut("the gateway is stopping")
        if found.refusal or found.recheck is None:
            raise Shut("what is streamed is not allowed")
        found.recheck(found)

    def _require_unrevoked(self) -> None:
        """What a target answered goes to nobody whose access was revoked meanwhile."""
        found = exchange(self.flow)
        if found.sent and not found.refusal:
            if found.unrevoked is None:
                raise Shut("not known whether it is revoked")
            found.unrevoked(found)

    def _is_tunnel(self) -> bool:
        """Whether this stream is a CONNECT that Identify accepted: its bytes are TLS with the agent."""
        found, response = exchange(self.flow), self.flow.response
        accepted = found.principal is not None and found.refusal is None
        return (
            self.flow.request.method == "CONNECT" and accepted and response is not None and response.status_code == 200
        )

    def _is_bodyless(self) -> bool:
        found = exchange(self.flow)
        return found.sent and (self.flow.request.method == "HEAD" or found.upstream_status in (204, 304))

    # When a door stays shut, or the base reports an error

    def _error_to_agent(self, event: ResponseProtocolError) -> tuple[commands.Command, ...]:
        """Our own problem document, where nothing was answered yet, and the connection closed."""
        client = self.context.client
        close = SendHttp(ResponseProtocolError(self.stream_id, SHUT, ErrorCode.KILL), client)
        if self._answered or self._is_tunnel():
            return (close,)
        self._answered = True
        found = exchange(self.flow)
        response = refusal_response(found.refusal or protocol_refusal(event.code, found), self.flow.request.method)
        sends: list[commands.Command] = [
            SendHttp(ResponseHeaders(self.stream_id, response, not response.raw_content), client)
        ]
        if response.raw_content:
            sends.append(SendHttp(ResponseData(self.stream_id, response.raw_content), client))
        return (*sends, close)

    def _shut(self, fault: Exception) -> Commands:
        found = exchange(self.flow)
        why = _why(fault)
        log.log(logging.INFO if isinstance(fault, Refused) else logging.ERROR, "A door stayed shut: %s", why)
        if found.refusal is None:
            refusal = ANSWER_KEPT if found.sent else REQUEST_KEPT
            refusal = fault.refusal if isinstance(fault, Refused) else refusal
            found.refusal = replace(refusal, request_id=found.id, sent_upstream=found.sent)
        if self._streams and not found.streaming:
            found.answer = None  # its head has not gone out, and will not
        if found.delivered is not None:
            found.delivered.end("gateway", why)
        self.flow.error = mitmflow.Error(SHUT)
        # First of all: the target would go on sending while the record is made.
        yield from self._error_to_agent(ResponseProtocolError(self.stream_id, SHUT, ErrorCode.KILL))
        if found.sent:
            yield commands.CloseConnection(self.flow.server_conn)
        if not found.finished:
            yield HttpErrorHook(self.flow)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        yield DropStream(self.stream_id)


def _why(fault: Exception) -> str:
    """What is said of a fault: the text of one that is not ours may quote what came over the wire."""
    if isinstance(fault, Refused):
        return fault.refusal.detail
    return str(fault) if isinstance(fault, (Shut, LockgateError)) else type(fault).__name__


def _with_credential(outgoing: Outgoing, found: Exchange, now: float) -> http.Request:
    """The request as sent: a copy of what was decided, with the credential that only this copy carries."""
    path, headers = outgoing.path, outgoing.headers
    if isinstance(found.credential, Signer):
        found.credential = found.credential.sign(outgoing, now)  # which also knows what to remove from the answer
    if found.credential is not None:
        path, headers = found.credential.apply(path, headers)
    return http.Request(
        host=outgoing.host,
        port=outgoing.port,
        method=outgoing.method.encode(),
        scheme=outgoing.scheme.encode(),
        authority=b"",
        path=path.encode(),
        http_version=b"HTTP/1.1",
        headers=http.Headers(headers),
        content=outgoing.body,
        trailers=None,
        timestamp_start=now,
        timestamp_end=None,
    )
