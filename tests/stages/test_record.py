from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.test import tflow

from lockgate.credentials.client_cert import ClientCertificate
from lockgate.credentials.credential import Credential
from lockgate.errors import RecordingUnavailable, Refused
from lockgate.exchange import Exchange, exchange
from lockgate.model import Action, Considered, Decision, Outcome, Principal, Target, Verdict
from lockgate.policy.generation import Generation
from lockgate.projection import projection
from lockgate.refusals import Refusal
from lockgate.runtime import InForce, Runtime
from lockgate.stages import record
from lockgate.stages.record import UNWRITABLE, Record

OPEN = Decision(Verdict.ALLOW, "support/read")
DENIED = Refusal(403, "No.")
MAX_BODY = 128 * 1024  # of the usual rules

Targeted = Callable[..., http.HTTPFlow]
Step = Callable[[Record, http.HTTPFlow], Any]


@pytest.fixture
def stage(runtime: Runtime) -> Record:
    return Record(runtime)


@pytest.fixture
def decided(targeted: Targeted) -> Targeted:
    """Makes a flow of an allowed request, and its answer if it has a body."""

    def decided(*arguments: Any, answer: bytes | None = None, **options: Any) -> http.HTTPFlow:
        flow = targeted(*arguments, **options)
        exchange(flow).decision = OPEN
        if answer is not None:
            flow.response = http.Response.make(200)
            flow.response.raw_content = answer
        return flow

    return decided


def change(flow: http.HTTPFlow, **state: Any) -> Exchange:
    found = exchange(flow)
    for name, value in state.items():
        setattr(found, name, value)
    return found


def lockgate(state: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = state["metadata"]["lockgate"]
    return metadata


def test_it_sees_refusals() -> None:
    assert Record.sees_refusals


# The intent


async def test_an_intent_is_kept_before_it_counts(stage: Record, decided: Targeted, kept: Any) -> None:
    flow = decided("POST", "http://plain.example/v1/x", b"body")
    found = exchange(flow)
    seen = []

    async def intent(flow_id: str, state: dict[str, Any]) -> None:
        seen.append((found.intended, found.on_sending))
        kept.intents.append((flow_id, state))

    kept.intent = intent
    await stage.request(flow)
    assert seen == [(False, None)]
    assert found.intended
    ((flow_id, state),) = kept.intents
    assert flow_id == state["id"] == flow.id
    assert state["request"]["content"] == b"body"
    assert lockgate(state)["decision"]["verdict"] == "allow"
    assert (flow.marked, flow.comment) == (":white_check_mark:", "allow: support/read")


async def test_the_door_notes_the_first_byte(stage: Record, decided: Targeted, kept: Any) -> None:
    flow = decided()
    await stage.request(flow)
    assert kept.sent == []
    on_sending = exchange(flow).on_sending
    assert on_sending is not None
    on_sending()
    assert kept.sent == [flow.id]


@pytest.mark.parametrize("state", [{"refusal": DENIED}, {"own": True}])
async def test_what_is_not_sent_is_no_intent(
    stage: Record, decided: Targeted, kept: Any, state: dict[str, Any]
) -> None:
    flow = decided()
    found = change(flow, **state)
    await stage.request(flow)
    assert kept.intents == []
    assert (found.intended, found.on_sending) == (False, None)


async def test_without_a_record_nothing_is_sent(stage: Record, decided: Targeted, kept: Any) -> None:
    flow = decided()
    found = exchange(flow)
    kept.fault = RecordingUnavailable("/secret/path: disk full")
    with pytest.raises(Refused) as refused:
        await stage.request(flow)
    assert refused.value.refusal is UNWRITABLE
    assert UNWRITABLE.status == 503
    assert refused.value.__suppress_context__
    assert (found.intended, found.on_sending) == (False, None)


# The end

STATES = [
    pytest.param(True, True, id="sent"),
    pytest.param(True, False, id="not-sent"),
    pytest.param(False, False, id="no-intent"),
]


@pytest.mark.parametrize(("intended", "sent"), STATES)
@pytest.mark.parametrize("hook", ["response", "error"])
async def test_how_it_ended(stage: Record, decided: Targeted, kept: Any, hook: str, intended: bool, sent: bool) -> None:
    flow = decided(answer=b"answer")
    found = change(flow, intended=intended, sent=sent)
    await getattr(stage, hook)(flow)
    whole = "done" if hook == "response" else "failed"
    ((flow_id, state, outcome),) = kept.records
    assert (flow_id, outcome) == (flow.id, "not-sent" if intended and not sent else whole)
    assert lockgate(state)["sent"] is sent
    assert found.finished


@pytest.mark.parametrize("hook", ["response", "error"])
async def test_it_ends_once(stage: Record, decided: Targeted, kept: Any, hook: str) -> None:
    flow = decided()
    await getattr(stage, hook)(flow)
    await stage.error(flow)
    await stage.response(flow)
    assert len(kept.records) == 1


async def test_what_could_not_be_handed_over_has_not_ended(stage: Record, decided: Targeted, kept: Any) -> None:
    def finish(*arguments: Any) -> None:
        raise RecordingUnavailable("closed")

    flow = decided()
    kept.finish = finish
    with pytest.raises(RecordingUnavailable):
        await stage.response(flow)
    assert not exchange(flow).finished


async def test_a_connect_is_recorded_when_it_is_refused(stage: Record, ask: Targeted, kept: Any) -> None:
    flow = ask("CONNECT", "https://api.crm.example/")
    await stage.http_connect(flow)
    assert kept.records == []
    assert not exchange(flow).finished
    change(flow, refusal=Refusal(407, "Who?"))
    await stage.http_connect(flow)
    ((flow_id, state, outcome),) = kept.records
    assert (flow_id, outcome) == (flow.id, "done")
    assert lockgate(state)["refusal"] == {"status": 407, "detail": "Who?"}
    assert flow.comment == "deny: Who?"


# What of it is kept


@pytest.mark.parametrize("state", [{"masked": True}, {"refusal": DENIED}, {"own": True}])
@pytest.mark.parametrize("hook", ["response", "error"])
async def test_an_answer_that_may_be_seen_is_kept(
    stage: Record, decided: Targeted, kept: Any, state: dict[str, Any], hook: str
) -> None:
    flow = decided(answer=b"masked")
    change(flow, **state)
    await getattr(stage, hook)(flow)
    assert kept.records[0][1]["response"]["content"] == b"masked"


@pytest.mark.parametrize("hook", ["response", "error"])
async def test_an_answer_that_nobody_masked_is_not_kept(stage: Record, decided: Targeted, kept: Any, hook: str) -> None:
    flow = decided(answer=b"078-05-1120")
    await getattr(stage, hook)(flow)
    ((_, state, _),) = kept.records
    assert state["response"] is None
    assert "078-05-1120" not in repr(state)
    assert state["request"] is not None


async def test_an_answer_that_nobody_masked_stays_out_of_a_record_that_is_made_later(
    stage: Record, decided: Targeted, kept: Any
) -> None:
    """A door that stays shut refuses it in the meantime."""
    made: list[Callable[[], dict[str, Any]]] = []
    kept.finish_soon = lambda _flow_id, make, _outcome: made.append(make)
    flow = decided(answer=b"078-05-1120")
    await stage.response(flow)
    change(flow, refusal=DENIED)
    (make,) = made
    state = make()
    assert state["response"] is None
    assert lockgate(state)["refusal"] == {"status": 403, "detail": "No."}


@pytest.mark.parametrize(
    ("hook", "size", "soon"),
    [
        pytest.param("response", 10, True, id="an answer"),
        pytest.param("response", record.LARGE + 1, False, id="a large one, which is scrubbed off the loop"),
        pytest.param("error", 10, False, id="none"),
    ],
)
async def test_the_answer_does_not_wait_for_its_record(
    stage: Record, decided: Targeted, kept: Any, hook: str, size: int, soon: bool
) -> None:
    flow = decided(answer=b"x" * size)
    await getattr(stage, hook)(flow)
    assert kept.made_soon == [flow.id] * soon
    assert [flow_id for flow_id, _, _ in kept.records] == [flow.id]


async def test_an_intent_has_no_answer(stage: Record, decided: Targeted, kept: Any) -> None:
    flow = decided(answer=b"078-05-1120")
    await stage.request(flow)
    assert kept.intents[0][1]["response"] is None


@pytest.mark.parametrize(
    ("asked", "answer", "threads"),
    [
        pytest.param(0, 0, 0, id="none"),
        pytest.param(record.LARGE, 0, 0, id="small"),
        pytest.param(record.LARGE + 1, 0, 1, id="request"),
        pytest.param(0, record.LARGE + 1, 1, id="answer"),
        pytest.param(record.LARGE, 1, 1, id="together"),
    ],
)
async def test_large_bodies_are_scrubbed_off_the_loop(
    stage: Record, decided: Targeted, monkeypatch: pytest.MonkeyPatch, asked: int, answer: int, threads: int
) -> None:
    found = []

    async def to_thread(work: Callable[[], Any]) -> Any:
        found.append(work)
        return work()

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    flow = decided("POST", "http://plain.example/v1/x", b"x" * asked, answer=b"y" * answer)
    await stage.response(flow)
    assert len(found) == threads


async def test_a_flow_without_bodies_is_kept(stage: Record, decided: Targeted, kept: Any) -> None:
    flow = decided()
    flow.request.raw_content = None
    flow.response = http.Response.make(200)
    flow.response.raw_content = None
    await stage.response(flow)
    assert len(kept.records) == 1


async def test_so_much_of_a_body_as_the_rules_say(stage: Record, decided: Targeted, kept: Any) -> None:
    flow = decided("POST", "http://plain.example/v1/x", b"x" * (MAX_BODY + 1))
    await stage.response(flow)
    assert len(kept.records[0][1]["request"]["content"]) == MAX_BODY


@pytest.mark.parametrize("own", [False, True])
async def test_the_rules_of_the_request_say_how_much(
    stage: Record, decided: Targeted, kept: Any, runtime: Runtime, make_generation: Callable[..., Generation], own: bool
) -> None:
    """Those now in force only where the request has none."""
    text = "issuers:\n  - dev: true\nrecordings: {max_body: 1KiB}\n"
    runtime.current = InForce(make_generation(gateway=text), runtime.current.verifier, runtime.current.verifier)
    flow = decided("POST", "http://plain.example/v1/x", b"x" * 2048)
    if not own:
        exchange(flow).generation = None
    await stage.response(flow)
    assert len(kept.records[0][1]["request"]["content"]) == (2048 if own else 1024)


def fields_kept(kept: Any) -> set[str]:
    """Which of the two fields that rules leave out are in the record as they were."""
    _, state, _ = kept.records[0]
    return {name.decode() for name, value in state["request"]["headers"] if value == b"private"}


FIELDS = [("x-crm", "private"), ("x-plain", "private"), ("x-other", "private")]


async def test_a_decision_says_what_is_left_out(stage: Record, decided: Targeted, kept: Any) -> None:
    flow = decided("GET", "http://plain.example/v1/x", fields=FIELDS)
    change(flow, decision=OPEN._replace(redactions=("headers.x-other",)))
    await stage.response(flow)
    assert fields_kept(kept) == {"x-crm", "x-plain"}


async def test_undecided_all_is_left_out_that_rules_leave_out_of_its_target(
    stage: Record, decided: Targeted, kept: Any
) -> None:
    flow = decided("GET", "http://plain.example/v1/x", fields=FIELDS)
    change(flow, decision=None)
    await stage.response(flow)
    assert fields_kept(kept) == {"x-crm", "x-other"}


@pytest.mark.parametrize("state", [{}, {"generation": None}])
async def test_without_a_target_all_is_left_out_that_rules_leave_out_of_any(
    stage: Record, decided: Targeted, kept: Any, state: dict[str, Any]
) -> None:
    flow = decided("GET", "http://plain.example/v1/x", fields=FIELDS)
    change(flow, decision=None, target=None, **state)
    await stage.response(flow)
    assert fields_kept(kept) == {"x-other"}


# What mitmweb shows beside it


@pytest.mark.parametrize(
    ("decision", "refusal", "marked", "comment"),
    [
        pytest.param(OPEN, None, ":white_check_mark:", "allow: support/read", id="allowed"),
        pytest.param(Decision(Verdict.DENY, "support/x"), DENIED, ":no_entry:", "deny: support/x: No.", id="denied"),
        pytest.param(Decision(Verdict.HOLD, "support/y"), None, ":raised_hand:", "hold: support/y", id="held"),
        pytest.param(None, None, ":no_entry:", "deny", id="undecided"),
        pytest.param(None, Refusal(401, "Who?"), ":no_entry:", "deny: Who?", id="401"),
        pytest.param(None, Refusal(407, "Who?"), ":no_entry:", "deny: Who?", id="407"),
        pytest.param(OPEN, DENIED, ":white_check_mark:", "allow: support/read: No.", id="refused-later"),
        pytest.param(None, Refusal(400, "What?"), ":warning:", "fault: What?", id="unreadable"),
        pytest.param(OPEN, Refusal(502, "Gone."), ":warning:", "fault: support/read: Gone.", id="fault"),
    ],
)
async def test_what_is_shown(
    stage: Record, decided: Targeted, decision: Decision | None, refusal: Refusal | None, marked: str, comment: str
) -> None:
    flow = decided()
    change(flow, decision=decision, refusal=refusal)
    await stage.response(flow)
    assert (flow.marked, flow.comment) == (marked, comment)


async def test_the_record_has_what_is_shown(stage: Record, decided: Targeted, kept: Any) -> None:
    flow = decided()
    await stage.response(flow)
    assert kept.records[0][1]["marked"] == ":white_check_mark:"


async def test_the_flow_gets_nothing_else(stage: Record, decided: Targeted) -> None:
    flow = decided()
    await stage.request(flow)
    await stage.response(flow)
    assert flow.metadata == {}


# The projection


def test_the_same_fields_for_every_outcome() -> None:
    bare = projection(flow := tflow.tflow(), exchange(flow))
    full_flow = tflow.tflow()
    found = exchange(full_flow)
    found.principal = Principal("https://issuer", "agent", ("support",), 1.0, "jti-1", {"private": "x"})
    found.target = Target("crm", "https", "api.example", 443)
    found.actions = (Action("GET", "crm", "/v1"),)
    considered = Considered("support/read", "roles/support.yaml:3", Verdict.ALLOW, Outcome.MATCHED)
    found.decision = Decision(Verdict.ALLOW, "support/read", None, (considered,))
    found.refusal = Refusal(502, "No answer.")
    full = projection(full_flow, found)
    assert bare.keys() == full.keys()
    assert full["principal"] == {
        "issuer": "https://issuer",
        "subject": "agent",
        "roles": ["support"],
        "token_id": "jti-1",
    }
    assert full["decision"]["considered"] == [
        {
            "rule": "support/read",
            "source": "roles/support.yaml:3",
            "verdict": "allow",
            "outcome": "matched",
            "detail": "",
        }
    ]
    assert full["refusal"] == {"status": 502, "detail": "No answer."}
    assert bare["principal"] is bare["decision"] is bare["refusal"] is None


def test_every_field_of_a_whole_exchange(decided: Targeted, generation: Generation) -> None:
    flow = decided()
    flow.client_conn.peername = ("::1", 4711, 0, 0)
    found = change(
        flow,
        actions=(Action("GET", "crm", "/v1/customers"),),
        decision=Decision(Verdict.ALLOW, "support/read", "Because."),
        credential=Credential("crm-token", "correct-horse-battery", query="key"),
        masks={"$..ssn": 2},
        scrubbed=3,
        stage="Seal",
        sent=True,
        upstream_status=200,
        timings={"Read": 1.23456},
    )
    said = projection(flow, found)
    moment = datetime.fromisoformat(said["time"])
    assert said.pop("time") == moment.isoformat(timespec="milliseconds")
    assert abs(moment - datetime.now(UTC)).total_seconds() < 60
    assert said == {
        "version": 2,
        "request_id": flow.id,
        "principal": {
            "issuer": "https://login.example",
            "subject": "agent-7",
            "roles": ["support"],
            "token_id": "t-1",
        },
        "client": "::1:4711",
        "target": "crm",
        "actions": [["GET", "crm", "/v1/customers"]],
        "decision": {"verdict": "allow", "rule": "support/read", "reason": "Because.", "considered": []},
        "decided_at": None,
        "generation": generation.id,
        "masks": {"$..ssn": 2},
        "scrubbed": 3,
        "injected": ["crm-token"],
        "refusal": None,
        "stage": "Seal",
        "sent": True,
        "upstream_status": 200,
        "timings": {"Read": 1.235},
    }


def test_who_was_refused_before_their_token_was_read_anew(decided: Targeted) -> None:
    flow = decided()
    exchange(flow).principal = None
    assert projection(flow, exchange(flow))["principal"]["subject"] == "agent-7"


def test_a_certificate_that_was_shown_is_named(decided: Targeted) -> None:
    flow = decided()
    found = change(flow, certificate=ClientCertificate("mtls", [], ec.generate_private_key(ec.SECP256R1())))
    assert projection(flow, found)["injected"] == ["mtls"]
    found.credential = Credential("crm-token", "correct-horse-battery", query="key")
    assert projection(flow, found)["injected"] == ["crm-token", "mtls"]


@pytest.mark.parametrize("missing", ["credential", "target", "generation"])
def test_what_was_not_injected_is_not_named(decided: Targeted, missing: str) -> None:
    flow = decided()
    credential = Credential("crm-token", "correct-horse-battery", query="key")
    found = change(flow, credential=credential)
    setattr(found, missing, None)
    assert projection(flow, found)["injected"] == []


async def test_an_error_is_kept(stage: Record, decided: Targeted, kept: Any) -> None:
    flow = decided()
    flow.error = mitmflow.Error("The exchange broke off.")
    await stage.error(flow)
    assert kept.records[0][1]["error"]["msg"] == "The exchange broke off."


# An answer that is streamed


@pytest.fixture
def streamed(stage: Record, decided: Targeted) -> http.HTTPFlow:
    """An answer of which two parts have gone out."""
    flow = decided(url="http://plain.example/v1/x")
    flow.response = http.Response.make(200)
    flow.response.raw_content = None
    flow.response.stream = True
    stage.responseheaders(flow)
    delivered = change(flow, streaming=True, intended=True, sent=True).delivered
    assert delivered is not None
    for part in (b"data: 1\n\n", b"data: 2\n\n"):
        delivered.add(part)
    return flow


async def test_what_was_delivered_is_recorded(stage: Record, streamed: http.HTTPFlow, kept: Any) -> None:
    found = change(streamed, masked=True)
    assert found.delivered is not None
    found.delivered.end("complete")
    await stage.response(streamed)
    ((_, state, outcome),) = kept.records
    assert state["response"]["content"] == b"data: 1\n\ndata: 2\n\n"
    assert lockgate(state)["streamed"] == {"length": 18, "ended": "complete"}
    assert outcome == "done"
    assert found.delivered.body == b""
    assert streamed.response is not None
    assert streamed.response.raw_content is None


async def test_what_was_delivered_of_one_that_broke_off_is_recorded(
    stage: Record, streamed: http.HTTPFlow, kept: Any
) -> None:
    delivered = exchange(streamed).delivered
    assert delivered is not None
    delivered.end("agent", "It hung up.")
    await stage.error(streamed)
    ((_, state, outcome),) = kept.records
    assert state["response"]["content"] == b"data: 1\n\ndata: 2\n\n"
    assert lockgate(state)["streamed"] == {"length": 18, "ended": "agent", "why": "It hung up."}
    assert outcome == "failed"


async def test_of_one_that_never_began_there_is_no_answer(stage: Record, streamed: http.HTTPFlow, kept: Any) -> None:
    change(streamed, streaming=False)
    await stage.error(streamed)
    ((_, state, _),) = kept.records
    assert state["response"] is None
    assert "streamed" not in lockgate(state)


async def test_a_stream_is_kept_up_to_the_largest_body(stage: Record, streamed: http.HTTPFlow, kept: Any) -> None:
    found = change(streamed, masked=True)
    assert found.delivered is not None
    found.delivered.add(b"x" * MAX_BODY)
    await stage.response(streamed)
    ((_, state, _),) = kept.records
    assert len(state["response"]["content"]) == MAX_BODY
    assert lockgate(state)["truncated"] == {"response": MAX_BODY + 18}
    assert len(lockgate(state)["digests"]["response"]["delivered"]) == 64


def test_what_is_read_whole_is_no_stream(stage: Record, decided: Targeted) -> None:
    flow = decided(answer=b"whole")
    stage.responseheaders(flow)
    assert exchange(flow).delivered is None
