"""The doors: the one place where bytes go to a target, and the one where they go to the agent (law 1, law 4).

A door demands proof and lets nothing else through: to the target only the frozen `Outgoing` that was decided and
recorded, to the agent only the frozen `Answer` that was masked or is the gateway's own. Of an answer that is streamed
the head is frozen, and each part goes through the pipeline that masks it, here. Stages produce the proof; one that is
forgotten, reordered or crashes therefore blocks. What is sent is a copy: the credential is never on the flow.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Generator, Iterable
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakSet

from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.connection import Connection, Server
from mitmproxy.net.http.http1 import expected_http_body_size
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
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)

from lockgate.bodies.pipeline import Passed
from lockgate.credentials.credential import Signer
from lockgate.errors import LockgateError, Refused
from lockgate.exchange import Answer, Dialled, Exchange, Outgoing, exchange, session
from lockgate.model import Limits, Target, Verdict
from lockgate.proxy import framing, http2, latch, pace
from lockgate.proxy.answers import protocol_refusal, refusal_response
from lockgate.proxy.internals import GetHttpConnection, HttpStream, SendHttp
from lockgate.proxy.latch import Shut
from lockgate.proxy.pool import Dial
from lockgate.proxy.websocket import GatedWebsocket
from lockgate.recordings.delivered import By
from lockgate.recordings.digests import Seen
from lockgate.refusals import Refusal

Commands = Generator[commands.Command, Any, None]
SHUT = "The gateway kept a door shut."
CLIENT_GONE = "The agent broke off the request."

REQUEST_KEPT = Refusal(503, "The gateway kept the request.", "Tell the operator the request id.", close=True)
ANSWER_KEPT = Refusal(502, "The answer cannot be passed on.", "Tell the operator the request id.", close=True)
TRAILERS = Refusal(400, "The request has trailers.", "Send everything in the header fields and the body.", close=True)
NO_HTTP2 = Refusal(502, "The target does not speak HTTP/2, which gRPC needs.", "Tell the operator.")
TOO_MUCH = Refusal(429, "The caller sends too much at once.", "Wait for requests to end.", close=True, retry_after=1)
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
DRAINED = 16 * 1024 * 1024  # bytes of a refused request's body that are read before the connection is cut

LOOK = 1.0  # seconds between two looks whether an answer that is streamed may stay open
SILENCE = 24 * 60 * 60.0  # seconds without a part of it

log = logging.getLogger(__name__)
_streaming: WeakSet[GatedStream] = WeakSet()


class GatedStream(HttpStream):
    """mitmproxy's HttpStream with a door at both ends."""

    def __init__(self, context: Any, stream_id: int) -> None:
        super().__init__(context, stream_id)
        self._received = 0  # bytes of the request's body
        self._answered_with = 0  # bytes of the answer's body
        self._answered = False
        self._streams = False  # the answer goes on as it comes
        self._until_close = False  # its end is that of the connection
        self._without_body = False  # HTTP/1 would take a body for the next answer
        self._last_part = 0.0  # when one came, in monotonic seconds
        self._switched = False  # the target has opened a WebSocket
        self._websocket: GatedWebsocket | None = None
        self._form = ""

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.Wakeup):
            yield from self._gated(self._look_again())
            return
        if isinstance(event, RequestHeaders) and event.request.is_http2:
            self._form = "origin" if http2.to_origin_form(event.request) else "of another scheme"
        elif isinstance(event, RequestHeaders):
            self._form = "absolute" if event.request.host else "origin"
        elif isinstance(event, RequestTrailers):
            self._refuse(TRAILERS)
            return
        elif isinstance(event, RequestData) and self._let_go(len(event.data)):
            if self._received <= DRAINED:
                return  # an answer given before the request has ended would be lost to most clients
            event = ResponseProtocolError(self.stream_id, SHUT, ErrorCode.REQUEST_TOO_LARGE)
        elif code := self._fault_of_target(event):
            yield self._end_of(self.context.server)
            event = ResponseProtocolError(self.stream_id, SHUT, code)
        elif isinstance(event, ResponseTrailers):
            clean = exchange(self.flow).trailing
            event = ResponseTrailers(self.stream_id, clean(event.trailers) if clean else http.Headers())
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
        if found.generation is not None:
            limit = min(limit, found.generation.gateway.limits.buffered)
        if self._received > limit:
            self._refuse(protocol_refusal(ErrorCode.REQUEST_TOO_LARGE, found))
        elif not found.refusal and found.may_keep is not None and not found.may_keep(size):
            self._refuse(TOO_MUCH)
        return found.refusal is not None

    def _refuse(self, refusal: Refusal) -> None:
        """What comes of a request is not as it may be: a refusal, unless it is refused already."""
        found = exchange(self.flow)
        if found.refusal is None:
            found.refusal, found.stage = replace(refusal, request_id=found.id), "door"
            self.flow.response = refusal_response(found.refusal, self.flow.request)

    def _fault_of_target(self, event: events.Event) -> ErrorCode | None:
        """What is wrong with a part of an answer. An interim response would be taken for the final one, and the final
        one for the next request's; a bare CR or a second coding means other things to other readers.
        """
        if isinstance(event, ResponseTrailers) and any(CONTROL.search(value) for _, value in event.trailers.fields):
            return ErrorCode.GENERIC_SERVER_ERROR
        if isinstance(event, ResponseHeaders):
            response = event.response
            if response.status_code == 101 and exchange(self.flow).websocket and response.http_version == "HTTP/1.1":
                self._switched = True  # whether it is the right answer is for Mask to say
                return None
            coding = response.headers.get("transfer-encoding", "chunked").lower()
            odd = any(CONTROL.search(value) for _, value in response.headers.fields)
            if not 200 <= response.status_code <= 599 or coding != "chunked" or odd:
                return ErrorCode.GENERIC_SERVER_ERROR
            self._without_body = self.flow.request.method == "HEAD" or response.status_code in (204, 304)
            over_http1 = not response.is_http2
            self._until_close = over_http1 and expected_http_body_size(self.flow.request, response) == -1
        if isinstance(event, ResponseData):
            if event.data and self._without_body:
                return ErrorCode.GENERIC_SERVER_ERROR
            self._answered_with += len(event.data)
            target = exchange(self.flow).target
            if target is None:
                return ErrorCode.RESPONSE_TOO_LARGE
            limit = target.limits.streamed if self._streams else target.limits.response
            if limit is not None and self._answered_with > limit:
                return ErrorCode.RESPONSE_TOO_LARGE
        if isinstance(event, ResponseEndOfMessage) and self._until_close and pace.broke_off(self.context.server):
            return ErrorCode.GENERIC_SERVER_ERROR  # RFC 9112, 8: nobody knows whether that was all
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

    def flow_done(self) -> Commands:
        """mitmproxy would put its own layer behind a 101, or a relay; here only one whose messages are decided."""
        if not self._switched:
            yield from super().flow_done()
            return
        found, response = exchange(self.flow), self.flow.response
        if found.refusal or not self._answered or response is None or response.status_code != 101:
            yield commands.CloseConnection(self.flow.server_conn)  # what it speaks from now on is not HTTP
            yield from super().flow_done()
            return
        self.child_layer = self._websocket = GatedWebsocket(self.context, self.flow)
        _streaming.add(self)
        self._handle_event = self.passthrough  # type: ignore[method-assign]
        yield from self.child_layer.handle_event(events.Start())
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        self._websocket.early = False

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
            if self._is_of_messages(command):
                return (command,)
            if command.connection == self.context.client:
                return self._to_agent(command.event)
            return self._to_target(command.event, command.connection)
        if isinstance(command, GetHttpConnection):
            return self._dial(command)
        if isinstance(command, HttpRequestHeadersHook):
            found = exchange(self.flow)
            found.form, found.gone = self._form, self._is_given_up
        if isinstance(command, HttpResponseHook) and self._streams:
            return self._stream_end(command)
        return (command,)

    def _is_of_messages(self, command: SendHttp) -> bool:
        """Whether it is frames of a WebSocket: its messages have passed its own doors."""
        if command.connection == self.context.client:
            return self._websocket is not None and isinstance(command.event, ResponseData)
        ours = command.connection is self.flow.server_conn
        return self._websocket is not None and ours and isinstance(command.event, RequestData)

    def _dial(self, command: GetHttpConnection) -> tuple[commands.Command, ...]:
        found = exchange(self.flow)
        target = self._proven(found)
        # The pool compares addresses, so the address to dial is set here and never changed later.
        address = target.connect or (target.host, target.port)
        dialled = Dialled(target, found.certificate)
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
            if connection.alpn != http2.ALPN and framing.begins_like_a_request(outgoing.body):
                request.headers["connection"] = "close"  # so that it never is one, whose head the next one's would be
            found.on_sending()
            found.sent = True
            found.wire.request_sent = _seen(request)
            still = partial(self._require_current, found)
            head = http2.Standing(self.stream_id, request, not outgoing.body, require=still)
            sends = [SendHttp(head, connection)]
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
        if self.flow.is_replay or found.refusal or self.flow.response or not found.target or not found.principal:
            raise Shut("not a live, identified request to a target")
        if found.decision is None or found.decision.verdict is not Verdict.ALLOW:
            raise Shut("not allowed")
        if not found.intended or found.on_sending is None:
            raise Shut("not recorded")
        if found.target.credential is not None and found.credential is None:
            raise Shut("the target's credential is missing")
        if found.target.tls.client_cert is not None and found.certificate is None:
            raise Shut("the client certificate is missing")
        if found.outgoing is None or Outgoing.of(self.flow.request) != found.outgoing or self.flow.request.trailers:
            raise Shut("not what was decided")
        self._require_current(found)
        return found.target

    def _require_current(self, found: Exchange) -> None:
        """Raise Shut or Refused once nothing more may go to a target, or nothing of this caller's."""
        if latch.closed():
            raise Shut("the gateway is stopping")
        if found.refusal or not found.principal or found.principal.expires_at <= time.time():
            raise Shut("the token has expired")
        if found.unrevoked is None:
            raise Shut("not known whether it is revoked")
        found.unrevoked(found)

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
        if connection.alpn == http2.ALPN and not (target.http2 or target.grpc):
            raise Shut("the target speaks HTTP/2, which its entry does not say")
        if connection.alpn == http2.ALPN and found.websocket:
            raise Shut("a WebSocket is opened over HTTP/1.1")
        if connection.alpn != http2.ALPN:
            if target.grpc:
                raise Refused(NO_HTTP2)
            found.session.carries[connection.id] = self.stream_id

    def _to_agent(self, event: HttpEvent) -> Iterable[commands.Command]:
        client = self.context.client
        if isinstance(event, ResponseProtocolError):
            return self._broken_off(event)
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
            ends = not answer.body and not answer.trailers
            sends = [SendHttp(ResponseHeaders(self.stream_id, answer.response(), ends), client)]
            if answer.body:
                sends.append(SendHttp(ResponseData(self.stream_id, answer.body), client))
            return tuple(sends)
        if isinstance(event, ResponseData) and self._streams:
            return self._stream_part(event.data)
        if isinstance(event, ResponseData) and self._answered:
            return ()  # the frozen body has gone with the head
        if isinstance(event, (ResponseTrailers, ResponseEndOfMessage)) and self._answered:
            return self._end_to_agent(event)
        raise Shut("only a frozen answer goes to the agent")

    def _end_to_agent(self, event: ResponseTrailers | ResponseEndOfMessage) -> tuple[commands.Command, ...]:
        found, client = exchange(self.flow), self.context.client
        if self._streams and (found.refusal or not found.masked):
            raise Shut("a stage has refused what was streamed")
        if isinstance(event, ResponseTrailers):
            if found.answer is None or tuple(event.trailers.fields) != found.answer.trailers:
                raise Shut("the trailers are not those that were scrubbed")
            return (SendHttp(ResponseTrailers(self.stream_id, http.Headers(found.answer.trailers)), client),)
        end = SendHttp(event, client)
        # What a target sends late behind an answer without a body would be taken for the next one.
        return (self._end_of(self.flow.server_conn), end) if self._is_bodyless() else (end,)

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
        _streaming.add(self)
        self._last_part = time.monotonic()
        yield SendHttp(ResponseHeaders(self.stream_id, answer.response(), end_stream=False), self.context.client)
        yield commands.RequestWakeup(LOOK)

    def _look_again(self) -> Commands:
        """Whether an answer of which nothing comes may still stay open."""
        if self.server_state == self.state_stream_response_body:
            self._require_standing(exchange(self.flow))
            if time.monotonic() - self._last_part > SILENCE:
                raise Shut("nothing has come for too long")
            yield commands.RequestWakeup(LOOK)

    def _stream_part(self, data: bytes) -> Commands:
        found = exchange(self.flow)
        assert found.pipeline is not None
        self._last_part = time.monotonic()
        self._require_standing(found)
        if found.arriving is not None:
            found.arriving.update(data)
        yield from self._pass(found.pipeline.feed(data))

    def _stream_end(self, hook: HttpResponseHook) -> Commands:
        """What was held back goes out before the answer is recorded as complete."""
        found = exchange(self.flow)
        assert found.pipeline is not None and found.delivered is not None
        self._require_standing(found)
        yield from self._pass(found.pipeline.end())
        found.delivered.end("complete")
        yield hook

    def _pass(self, pieces: Iterable[Passed]) -> Commands:
        """Parts as the pipeline gives them: none is empty, which would end a chunked body."""
        found = exchange(self.flow)
        assert found.delivered is not None
        for piece in pieces:
            if isinstance(piece, bytes):
                found.delivered.add(piece)
                yield SendHttp(ResponseData(self.stream_id, piece), self.context.client)
            elif found.elsewhere is not None:
                with pace.paused(self.context.server):
                    yield pace.Elsewhere(partial(found.elsewhere, piece))
                self._require_standing(found)

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

    def _is_given_up(self) -> bool:
        """Whether the agent has hung up, or taken the request back, though that is not this one's turn yet."""
        taken_back = any(isinstance(event, RequestProtocolError) for event in self._paused_event_queue)
        return taken_back or not self.context.client.connected

    def _is_tunnel(self) -> bool:
        """Whether this stream is a CONNECT that Identify accepted: its bytes are TLS with the agent."""
        found, response = exchange(self.flow), self.flow.response
        accepted = found.principal is not None and found.refusal is None
        return (
            self.flow.request.method == "CONNECT" and accepted and response is not None and response.status_code == 200
        )

    def _end_of(self, connection: Server) -> commands.Command:
        """Ends what is under way with a target: over HTTP/2 this stream, else the connection."""
        if connection.alpn == http2.ALPN:
            return SendHttp(RequestProtocolError(self.stream_id, SHUT, ErrorCode.CANCEL), connection)
        return commands.CloseConnection(connection)

    def _is_bodyless(self) -> bool:
        found = exchange(self.flow)
        return (
            found.sent
            and self.flow.server_conn.alpn != http2.ALPN
            and (self.flow.request.method == "HEAD" or found.upstream_status in (204, 304))
        )

    # When a door stays shut, or the base reports an error

    def _broken_off(self, event: ResponseProtocolError) -> tuple[commands.Command, ...]:
        """Where the agent has gone while a WebSocket was opened, nobody else has its record made."""
        unrecorded = self._switched and self._websocket is None and not exchange(self.flow).finished
        return (*([HttpErrorHook(self.flow)] if unrecorded else []), *self._error_to_agent(event))

    def _error_to_agent(self, event: ResponseProtocolError) -> tuple[commands.Command, ...]:
        """Our own problem document, where nothing was answered yet, and the connection closed."""
        client = self.context.client
        close: commands.Command = SendHttp(ResponseProtocolError(self.stream_id, SHUT, ErrorCode.KILL), client)
        found = exchange(self.flow)
        refusal = found.refusal or protocol_refusal(event.code, found)
        if self._streams and self._answered and found.target and found.target.grpc:
            return (SendHttp(ResponseTrailers(self.stream_id, http.Headers(refusal.grpc_status())), client), close)
        if self._answered or self._is_tunnel():
            return (close,)
        self._answered = True
        response = refusal_response(refusal, self.flow.request)
        sends: list[commands.Command] = [
            SendHttp(ResponseHeaders(self.stream_id, response, not response.raw_content), client)
        ]
        if response.raw_content:
            sends.append(SendHttp(ResponseData(self.stream_id, response.raw_content), client))
        if self.flow.request.is_http2:
            sends.append(SendHttp(ResponseEndOfMessage(self.stream_id), client))
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
            yield self._end_of(self.flow.server_conn)
        if not found.finished:
            yield HttpErrorHook(self.flow)
        self.client_state = self.server_state = self.state_errored
        if self._websocket is not None:
            self._handle_event = self.state_errored  # type: ignore[method-assign, assignment]
        self.flow.live = False
        yield DropStream(self.stream_id)


async def streams_ended(within: float) -> None:
    """Wait until each answer that is streamed, and each WebSocket, is over and recorded, for some seconds at most. Once
    the latch is shut they are broken off.
    """
    end = time.monotonic() + within
    while time.monotonic() < end and not all(exchange(stream.flow).finished for stream in _streaming):  # noqa: ASYNC110
        await asyncio.sleep(0.02)  # whatever ends one, and there are many ways


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


def _seen(request: http.Request) -> Seen:
    """A request as it is sent, for its digest."""
    sent = request.data
    return Seen(b" ".join((sent.method, sent.path, sent.http_version)), sent.headers.fields, sent.content or b"")
