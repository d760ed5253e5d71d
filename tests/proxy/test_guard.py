"""Every hook with a stage that breaks: what the agent gets, what is said, and which stages still run."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.exceptions import AddonHalt
from mitmproxy.test import tflow

from lockgate.errors import Refused
from lockgate.exchange import Answer, Dialled, Vetted, exchange, session
from lockgate.model import Target
from lockgate.proxy import latch, reach
from lockgate.proxy.answers import PAGES
from lockgate.proxy.doors import CLIENT_GONE, SHUT
from lockgate.proxy.guard import ANSWER_FAULT, BROKE_OFF, FAULT, NOT_LIVE, STOPPING, Guard
from lockgate.refusals import Refusal

SECRET = "078-05-1120"
DENIED = Refusal(403, "No.", rule="support/x")
HOOKS = ["http_connect", "requestheaders", "request", "responseheaders", "response", "error"]
FAULT_OF = dict.fromkeys(HOOKS[:3], FAULT) | dict.fromkeys(HOOKS[3:], ANSWER_FAULT)
ANY_FAULT = [Exception, AssertionError, AddonHalt, asyncio.CancelledError, SystemExit, GeneratorExit]

Work = Callable[[http.HTTPFlow], Any]


class Stage:
    """Does the same in every hook, and keeps count."""

    def __init__(self, work: Work | None = None, sees_refusals: bool | None = None) -> None:
        self.ran: list[str] = []
        if sees_refusals is not None:
            self.sees_refusals = sees_refusals
        for hook in HOOKS:
            setattr(self, hook, self._hook(hook, work))

    def _hook(self, hook: str, work: Work | None) -> Work:
        def run(flow: http.HTTPFlow) -> Any:
            self.ran.append(hook)
            return work(flow) if work else None

        return run


def raises(fault: BaseException) -> Work:
    def work(flow: http.HTTPFlow) -> None:
        raise fault

    return work


def raises_late(fault: BaseException) -> Work:
    async def work(flow: http.HTTPFlow) -> None:
        await asyncio.sleep(0)
        raise fault

    return work


def flow_of(method: str = "GET", **options: Any) -> http.HTTPFlow:
    flow = tflow.tflow(**options)
    flow.request.method = method
    return flow


def problem(flow: http.HTTPFlow) -> dict[str, Any]:
    """The refusal that the agent gets."""
    assert flow.response is not None
    document: dict[str, Any] = json.loads(flow.response.raw_content or b"")
    assert document["status"] == flow.response.status_code
    return document


async def run(hook: str, flow: http.HTTPFlow, *stages: Stage) -> None:
    await getattr(Guard(stages), hook)(flow)


# A stage that breaks


def test_what_an_agent_is_told_of_each() -> None:
    assert [refusal.status for refusal in (FAULT, ANSWER_FAULT, STOPPING, NOT_LIVE)] == [503, 502, 503, 403]
    assert FAULT.next_steps == ANSWER_FAULT.next_steps != ""


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("make", [raises, raises_late])
@pytest.mark.parametrize("fault", ANY_FAULT)
async def test_whatever_breaks_refuses(hook: str, make: Callable[[BaseException], Work], fault: type) -> None:
    flow = flow_of(resp=True)
    await run(hook, flow, Stage(make(fault(SECRET))))
    found = exchange(flow)
    assert found.refusal is not None
    assert (found.refusal.status, found.refusal.detail) == (FAULT_OF[hook].status, FAULT_OF[hook].detail)
    assert problem(flow)["detail"] == FAULT_OF[hook].detail
    assert found.stage == "Stage"


@pytest.mark.parametrize("hook", HOOKS)
async def test_what_refuses_on_purpose_says_how(hook: str) -> None:
    flow = flow_of()
    await run(hook, flow, Stage(raises(Refused(DENIED))))
    found = exchange(flow)
    assert problem(flow) == {
        "status": 403,
        "title": "Denied",
        "detail": "No.",
        "rule": "support/x",
        "request_id": flow.id,
    }
    assert found.refusal is not None
    assert (found.refusal.rule, found.refusal.request_id, found.stage) == ("support/x", flow.id, "Stage")


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("fault", [Refused(DENIED), ValueError()])
async def test_a_refusal_says_whether_something_was_sent(fault: Exception, sent: bool) -> None:
    flow = flow_of()
    exchange(flow).sent = sent
    await run("request", flow, Stage(raises(fault)))
    assert flow.response is not None
    assert flow.response.headers.get("x-should-retry") == ("false" if sent else None)


async def test_a_refusal_of_head_has_no_body() -> None:
    flow = flow_of("HEAD")
    await run("request", flow, Stage(raises(Refused(DENIED))))
    assert flow.response is not None
    assert (flow.response.status_code, flow.response.raw_content) == (403, b"")


async def test_a_refusal_takes_back_the_answer() -> None:
    flow = flow_of(resp=True)
    assert flow.response is not None
    exchange(flow).answer = Answer.of(flow.response)
    await run("response", flow, Stage(raises(ValueError())))
    assert exchange(flow).answer is None


async def test_a_later_refusal_replaces_an_earlier_one() -> None:
    flow = flow_of()
    await run("request", flow, Stage(raises(Refused(DENIED))), Stage(raises(ValueError()), sees_refusals=True))
    assert problem(flow)["detail"] == FAULT.detail


@pytest.mark.parametrize("make", [raises, raises_late])
async def test_a_fault_is_logged_without_its_text(
    caplog: pytest.LogCaptureFixture, make: Callable[[BaseException], Work]
) -> None:
    await run("request", flow_of(), Stage(make(ValueError(SECRET))))
    (record,) = caplog.records
    said = record.getMessage()
    assert record.levelno == logging.ERROR
    assert record.exc_info is None
    assert SECRET not in said
    assert said.startswith("Fault in Stage.request: ValueError at ")
    assert f"{__file__}:{raise_line(make)}; refused." in said


def raise_line(make: Callable[[BaseException], Work]) -> int:
    """Where the innermost frame of such a fault is."""
    code = make(ValueError()).__code__
    return max(line for _, _, line in code.co_lines() if line)


async def test_what_refuses_on_purpose_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    await run("request", flow_of(), Stage(raises(Refused(DENIED))))
    assert caplog.records == []


# Which stages run


@pytest.mark.parametrize("hook", HOOKS)
async def test_stages_run_in_order(hook: str) -> None:
    ran: list[int] = []
    stages = [Stage(lambda flow, number=number: ran.append(number)) for number in range(3)]
    flow = flow_of(resp=True)
    await run(hook, flow, *stages)
    assert ran == [0, 1, 2]
    assert exchange(flow).refusal is None


async def test_a_stage_is_waited_for() -> None:
    done = []

    async def work(flow: http.HTTPFlow) -> None:
        await asyncio.sleep(0)
        done.append(flow)

    flow = flow_of()
    await run("request", flow, Stage(work), Stage(lambda flow: done.append(None)))
    assert done == [flow, None]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("fault", [Refused(DENIED), ValueError()])
async def test_behind_a_refusal_only_those_run_that_see_refusals(hook: str, fault: Exception) -> None:
    blind, denying, seeing = Stage(), Stage(sees_refusals=False), Stage(sees_refusals=True)
    await run(hook, flow_of(resp=True), Stage(raises(fault)), blind, denying, seeing)
    assert (blind.ran, denying.ran, seeing.ran) == ([], [], [hook])


@pytest.mark.parametrize("hook", HOOKS)
async def test_the_gateways_own_answer_is_seen_by_the_same(hook: str) -> None:
    blind, seeing = Stage(), Stage(sees_refusals=True)
    flow = flow_of(resp=True)
    exchange(flow).own = True
    await run(hook, flow, blind, seeing)
    assert (blind.ran, seeing.ran) == ([], [hook])


async def test_a_hook_that_a_stage_does_not_have() -> None:
    flow = flow_of()
    await Guard([SimpleNamespace()]).request(flow)
    assert exchange(flow).refusal is None
    assert exchange(flow).timings == {}


@pytest.mark.parametrize("hook", HOOKS)
async def test_identity_is_off_the_flow_before_any_stage(hook: str) -> None:
    flow = flow_of(resp=True)
    flow.request.headers["proxy-authorization"] = "Bearer x"
    await run(hook, flow)
    assert "proxy-authorization" not in flow.request.headers


async def test_it_takes_the_time_of_each_stage() -> None:
    flow = flow_of(resp=True)
    guard = Guard([Stage()])
    await guard.request(flow)
    first = exchange(flow).timings["Stage"]
    exchange(flow).timings["Stage"] = 1000.0
    await guard.response(flow)
    assert 0 < first < 1000 < exchange(flow).timings["Stage"] < 2000


async def test_time_is_taken_in_milliseconds_of_one_that_breaks_too() -> None:
    async def work(flow: http.HTTPFlow) -> None:
        await asyncio.sleep(0.005)
        raise ValueError

    flow = flow_of()
    await run("request", flow, Stage(work))
    assert exchange(flow).timings["Stage"] >= 4


# While the gateway stops


@pytest.mark.parametrize("hook", HOOKS)
async def test_while_stopping_no_stage_is_run(monkeypatch: pytest.MonkeyPatch, hook: str) -> None:
    monkeypatch.setattr(latch, "closed", lambda: True)
    flow = flow_of(resp=True)
    blind, seeing = Stage(), Stage(sees_refusals=True)
    await run(hook, flow, blind, seeing)
    assert problem(flow)["detail"] == STOPPING.detail
    assert flow.response is not None
    assert flow.response.headers["connection"] == "close"
    assert (blind.ran, seeing.ran) == ([], [hook])


# What is not a live request


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda flow: setattr(flow, "live", False), id="not-live"),
        pytest.param(lambda flow: setattr(flow, "is_replay", "request"), id="replayed"),
    ],
)
async def test_what_is_replayed_is_refused(spoil: Work) -> None:
    flow = flow_of()
    spoil(flow)
    blind, seeing = Stage(), Stage(sees_refusals=True)
    await run("requestheaders", flow, blind, seeing)
    assert problem(flow)["detail"] == NOT_LIVE.detail
    assert (exchange(flow).stage, blind.ran, seeing.ran) == ("guard", [], ["requestheaders"])


async def test_a_head_that_mitmproxy_refuses_is_refused_in_our_words() -> None:
    flow = flow_of(err=mitmflow.Error(SECRET))
    blind, seeing = Stage(), Stage(sees_refusals=True)
    await run("requestheaders", flow, blind, seeing)
    found = exchange(flow)
    assert found.refusal is not None
    assert (found.refusal.status, found.refusal.request_id) == (400, flow.id)
    assert flow.error is not None
    assert flow.error.msg == PAGES[400].detail
    assert flow.response is None  # mitmproxy answers it itself
    assert (blind.ran, seeing.ran) == ([], ["requestheaders"])


async def test_what_is_live_goes_on() -> None:
    flow, stage = flow_of(), Stage()
    await run("requestheaders", flow, stage)
    assert stage.ran == ["requestheaders"]
    assert flow.response is None


# An answer to what was refused, and exchanges that break off


async def test_what_came_since_a_refusal_is_replaced_by_it() -> None:
    flow = flow_of(resp=True)
    exchange(flow).refusal = DENIED
    await run("response", flow)
    assert problem(flow)["detail"] == "No."


async def test_head_is_answered_without_a_body_then_too() -> None:
    flow = flow_of("HEAD", resp=True)
    exchange(flow).refusal = DENIED
    await run("response", flow)
    assert flow.response is not None
    assert (flow.response.status_code, flow.response.raw_content) == (403, b"")


async def test_an_answer_that_was_not_refused_is_left_alone() -> None:
    flow = flow_of(resp=True)
    response = flow.response
    await run("response", flow)
    assert flow.response is response


@pytest.mark.parametrize("sent", [False, True])
async def test_what_broke_off_says_so_in_our_words(sent: bool) -> None:
    flow = flow_of(resp=True, err=mitmflow.Error(SECRET))
    found = exchange(flow)
    found.sent = sent
    await run("error", flow)
    assert flow.error is not None
    assert flow.error.msg == BROKE_OFF
    if sent:
        assert problem(flow)["detail"] == PAGES[502].detail
        assert found.refusal is not None
        assert (found.refusal.request_id, found.refusal.sent_upstream) == (flow.id, True)
    else:
        assert (flow.response, found.refusal) == (None, None)


@pytest.mark.parametrize("message", [mitmflow.Error.KILLED_MESSAGE, CLIENT_GONE, SHUT, BROKE_OFF])
async def test_our_own_errors_keep_their_words(message: str) -> None:
    flow = flow_of(err=mitmflow.Error(message))
    exchange(flow).sent = True
    await run("error", flow)
    assert flow.error is not None
    assert flow.error.msg == message
    assert exchange(flow).refusal is None


async def test_an_error_of_what_was_refused_keeps_the_refusal() -> None:
    flow = flow_of(resp=True, err=mitmflow.Error("No."))
    found = exchange(flow)
    found.sent, found.refusal = True, DENIED
    await run("error", flow)
    assert found.refusal is DENIED
    assert problem(flow)["detail"] == "No."
    assert flow.error is not None
    assert flow.error.msg == "No."


async def test_of_a_head_that_broke_off_there_is_no_body() -> None:
    flow = flow_of("HEAD", err=mitmflow.Error(SECRET))
    exchange(flow).sent = True
    await run("error", flow)
    assert flow.response is not None
    assert flow.response.raw_content == b""


async def test_a_frozen_answer_stays_when_the_exchange_breaks_off() -> None:
    flow = flow_of(resp=True, err=mitmflow.Error(CLIENT_GONE))
    assert flow.response is not None
    exchange(flow).answer = Answer.of(flow.response)
    response = flow.response
    await run("error", flow)
    assert flow.response is response


async def test_an_unmasked_answer_is_dropped_before_any_stage_sees_it() -> None:
    seen = []
    flow = flow_of(resp=True, err=mitmflow.Error(CLIENT_GONE))
    await run("error", flow, Stage(lambda flow: seen.append(flow.response)))
    assert seen == [None]


# What is about the task rather than the flow


@pytest.mark.parametrize("hook", HOOKS)
async def test_ctrl_c_is_let_through_once_refused(hook: str) -> None:
    flow = flow_of(resp=True)
    with pytest.raises(KeyboardInterrupt):
        await run(hook, flow, Stage(raises(KeyboardInterrupt())))
    assert exchange(flow).refusal is not None


@pytest.mark.parametrize("hook", HOOKS)
async def test_its_own_cancellation_is_let_through_once_refused(hook: str) -> None:
    waiting = asyncio.Event()

    async def work(flow: http.HTTPFlow) -> None:
        waiting.set()
        await asyncio.sleep(60)

    flow, seeing = flow_of(resp=True), Stage(sees_refusals=True)
    task = asyncio.create_task(run(hook, flow, Stage(work), seeing))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert exchange(flow).refusal is not None
    assert seeing.ran == []


async def test_what_breaks_on_being_cancelled_is_a_fault_like_any_other() -> None:
    waiting = asyncio.Event()

    async def work(flow: http.HTTPFlow) -> None:
        waiting.set()
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError

    flow, seeing = flow_of(), Stage(sees_refusals=True)
    task = asyncio.create_task(run("request", flow, Stage(work), seeing))
    await waiting.wait()
    task.cancel()
    await task
    assert problem(flow)["detail"] == FAULT.detail
    assert seeing.ran == ["request"]


# Connections


@pytest.fixture
def client() -> Client:
    return Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)


@pytest.fixture
def server() -> Server:
    return Server(address=("api.crm.example", 443))


@pytest.fixture
def vetted(client: Client, server: Server) -> dict[str, Vetted]:
    found = session(client).vetted
    found[server.id] = Vetted(Dialled(Target("crm", "https", "api.crm.example", 443)), frozenset())
    return found


def guard_with(**parts: Any) -> Guard:
    """A guard, some of whose parts are others."""
    guard = Guard([])
    for name, part in parts.items():
        setattr(guard, f"_{name}", part)
    return guard


def breaks(fault: BaseException) -> Any:
    """Stands where any part does, and breaks."""

    def work(*arguments: Any) -> Any:
        raise fault

    async def work_later(*arguments: Any) -> Any:
        raise fault

    return SimpleNamespace(
        admit=work, next_layer=work, server_connected=work, tls_start_server=work, server_connect=work_later
    )


CONNECTION_FAULTS = [ValueError, asyncio.CancelledError, SystemExit]


def only_words_of(caplog: pytest.LogCaptureFixture, where: str, fault: type) -> None:
    (record,) = caplog.records
    assert record.getMessage().startswith(f"Fault in {where}: {fault.__name__} at ")
    assert SECRET not in record.getMessage()


@pytest.mark.parametrize(
    ("admitted", "closed", "refused"),
    [
        pytest.param(True, False, False, id="admitted"),
        pytest.param(False, False, True, id="too-many"),
        pytest.param(True, True, True, id="stopping"),
    ],
)
def test_who_may_connect(
    monkeypatch: pytest.MonkeyPatch, client: Client, admitted: bool, closed: bool, refused: bool
) -> None:
    monkeypatch.setattr(latch, "closed", lambda: closed)
    guard_with(strangers=SimpleNamespace(admit=lambda client: admitted)).client_connected(client)
    assert client.error == (reach.REFUSED if refused else None)


@pytest.mark.parametrize("fault", CONNECTION_FAULTS)
def test_a_fault_at_a_new_connection(caplog: pytest.LogCaptureFixture, client: Client, fault: type) -> None:
    guard_with(strangers=breaks(fault(SECRET))).client_connected(client)
    assert client.error == reach.REFUSED
    only_words_of(caplog, "client_connected", fault)


@pytest.mark.parametrize("fault", CONNECTION_FAULTS)
def test_a_fault_in_choosing_a_protocol(caplog: pytest.LogCaptureFixture, client: Client, fault: type) -> None:
    context: Any = SimpleNamespace(client=client, server=None, options=None, layers=[])
    next_layer: Any = SimpleNamespace(context=context, layer=None)
    guard_with(reach=breaks(fault(SECRET))).next_layer(next_layer)
    assert isinstance(next_layer.layer, reach.Close)
    only_words_of(caplog, "next_layer", fault)


@pytest.mark.parametrize("fault", CONNECTION_FAULTS)
async def test_a_fault_before_dialling(
    caplog: pytest.LogCaptureFixture, client: Client, server: Server, fault: type
) -> None:
    data: Any = SimpleNamespace(client=client, server=server)
    await guard_with(reach=breaks(fault(SECRET))).server_connect(data)
    assert server.error == reach.REFUSED
    only_words_of(caplog, "server_connect", fault)


async def test_a_cancellation_before_dialling_is_let_through(client: Client, server: Server) -> None:
    waiting = asyncio.Event()

    async def server_connect(data: Any) -> None:
        waiting.set()
        await asyncio.sleep(60)

    data: Any = SimpleNamespace(client=client, server=server)
    guard = guard_with(reach=SimpleNamespace(server_connect=server_connect))
    task = asyncio.create_task(guard.server_connect(data))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.error == reach.REFUSED


@pytest.mark.parametrize("fault", CONNECTION_FAULTS)
def test_a_fault_once_connected(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    client: Client,
    server: Server,
    vetted: dict[str, Vetted],
    fault: type,
) -> None:
    cut = []
    monkeypatch.setattr(reach, "abort", lambda client, server: cut.append((client, server)))
    data: Any = SimpleNamespace(client=client, server=server)
    guard_with(reach=breaks(fault(SECRET))).server_connected(data)
    assert cut == [(client, server)]
    assert vetted == {}
    only_words_of(caplog, "server_connected", fault)


@pytest.mark.parametrize("fault", CONNECTION_FAULTS)
def test_a_fault_before_the_targets_tls(
    caplog: pytest.LogCaptureFixture, client: Client, server: Server, vetted: dict[str, Vetted], fault: type
) -> None:
    start: Any = SimpleNamespace(context=SimpleNamespace(client=client), conn=server)
    guard_with(reach=breaks(fault(SECRET))).tls_start_server(start)
    assert vetted == {}
    only_words_of(caplog, "tls_start_server", fault)


async def test_what_does_not_break_is_left_to_its_part(
    client: Client, server: Server, vetted: dict[str, Vetted]
) -> None:
    seen: list[str] = []

    async def server_connect(data: Any) -> None:
        seen.append("server_connect")

    part = SimpleNamespace(
        next_layer=lambda data: seen.append("next_layer"),
        server_connect=server_connect,
        server_connected=lambda data: seen.append("server_connected"),
        tls_start_server=lambda data: seen.append("tls_start_server"),
    )
    guard, data = guard_with(reach=part), SimpleNamespace(client=client, server=server)
    guard.next_layer(data)
    await guard.server_connect(data)
    guard.server_connected(data)
    guard.tls_start_server(data)
    assert seen == ["next_layer", "server_connect", "server_connected", "tls_start_server"]
    assert server.id in vetted
    assert server.error is None


async def test_its_own_parts_know_nobody(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, client: Client, server: Server
) -> None:
    """What no door has asked for is not dialled; who has just come is admitted."""
    monkeypatch.setattr("lockgate.proxy.strangers._handlers", dict)
    guard, data = Guard([]), SimpleNamespace(client=client, server=server)
    await guard.server_connect(data)
    assert server.error == reach.REFUSED
    guard.client_connected(client)
    assert client.error is None
    assert caplog.records == []
