from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from mitmproxy import http

from lockgate.credentials.credential import Credential
from lockgate.errors import Refused, WorkFailed
from lockgate.exchange import Exchange, exchange
from lockgate.model import Decision, Limits, Show, TargetTls, Verdict
from lockgate.model import Mask as Masked
from lockgate.runtime import Runtime
from lockgate.stages import mask
from lockgate.stages.mask import UNMASKABLE, Mask
from lockgate.workers import Workers

SECRET = "correct-horse-battery"
JSON = {"Content-Type": "application/json"}
BYTERANGES = {"Content-Type": "Multipart/byteranges; boundary=b"}
DOCUMENT = b'{"ssn": "078-05-1120", "name": "Ann"}'
MASKED = b'{"ssn":"[redacted]","name":"Ann"}'
ERROR_PAGE = "The target's error body is withheld: it is not JSON, so it cannot be masked."

OPEN = Decision(Verdict.ALLOW, "support/read")
MASKS = Decision(Verdict.ALLOW, "support/read", masks=(Masked("$..ssn", "redact"),))
SHOWS = Decision(Verdict.ALLOW, "support/read", shows=(Show(("$.name",)),))

ALTERING = [pytest.param(MASKS, id="masks"), pytest.param(SHOWS, id="shows")]

Targeted = Callable[..., http.HTTPFlow]
Make = Callable[..., tuple[http.HTTPFlow, Exchange]]
Fields = dict[str, str] | Sequence[tuple[str, str]]


@pytest.fixture
def stage(runtime: Runtime) -> Mask:
    return Mask(runtime)


@pytest.fixture
def make(targeted: Targeted) -> Make:
    """Makes a flow of a decided request, and its answer."""

    def make(
        decision: Decision | None = MASKS,
        body: bytes = DOCUMENT,
        fields: Fields = JSON,
        *,
        status: int = 200,
        method: str = "GET",
        asked: Fields = (),
        credential: bool = False,
        cookies: bool = False,
    ) -> tuple[http.HTTPFlow, Exchange]:
        pairs = list(asked.items() if isinstance(asked, dict) else asked)
        host = "api.crm.example" if credential else "secure.example"
        flow = targeted(method, f"https://{host}/v1/x", fields=pairs)
        found = exchange(flow)
        assert found.target is not None
        found.target = replace(found.target, pass_cookies=cookies)
        found.decision = decision
        if credential:
            found.credential = Credential("crm-token", SECRET, header=("Authorization", f"Bearer {SECRET}"))
        pairs = list(fields.items() if isinstance(fields, dict) else fields)
        flow.response = http.Response.make(status)
        flow.response.headers = http.Headers([(name.encode(), value.encode()) for name, value in pairs])
        flow.response.raw_content = body
        return flow, found

    return make


async def answer(stage: Mask, flow: http.HTTPFlow) -> http.Response:
    """The answer as it is delivered."""
    stage.responseheaders(flow)
    await stage.response(flow)
    assert exchange(flow).masked
    assert flow.response is not None
    return flow.response


async def refused(stage: Mask, flow: http.HTTPFlow) -> None:
    """The answer is not delivered, and nothing of it is left on the flow."""
    stage.responseheaders(flow)
    with pytest.raises(Refused) as caught:
        await stage.response(flow)
    assert caught.value.refusal is UNMASKABLE
    assert UNMASKABLE.status == 502
    assert caught.value.__suppress_context__
    assert not exchange(flow).masked
    assert flow.response is not None
    assert flow.response.raw_content == b""


# What is asked of the target

RANGES = ("Range", "If-Range")
GUESSES = ("If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since")


@pytest.mark.parametrize("name", RANGES + GUESSES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("decision", ALTERING)
def test_a_read_that_is_masked_asks_for_the_whole_without_a_guess(
    stage: Mask, make: Make, decision: Decision, method: str, name: str
) -> None:
    flow, _ = make(decision, method=method, asked=[(name, "x"), ("Accept", "y")])
    stage.request(flow)
    assert name not in flow.request.headers
    assert flow.request.headers["accept"] == "y"


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("decision", [OPEN, None])
def test_half_a_secret_is_not_asked_for(
    stage: Mask, make: Make, decision: Decision | None, method: str, name: str
) -> None:
    flow, _ = make(decision, method=method, asked={name: "x"}, credential=True)
    stage.request(flow)
    assert name not in flow.request.headers


@pytest.mark.parametrize("name", RANGES)
def test_a_write_that_is_masked_asks_for_the_whole(stage: Mask, make: Make, name: str) -> None:
    flow, _ = make(MASKS, method="POST", asked={name: "x"})
    stage.request(flow)
    assert name not in flow.request.headers


@pytest.mark.parametrize("name", GUESSES)
def test_a_write_says_under_which_condition(stage: Mask, make: Make, name: str) -> None:
    """Without its condition a write would overwrite what somebody else has written since."""
    flow, _ = make(MASKS, method="PUT", asked={name: "x"})
    stage.request(flow)
    assert flow.request.headers[name] == "x"


@pytest.mark.parametrize("name", RANGES + GUESSES)
def test_what_is_not_masked_is_asked_for_as_the_agent_does(stage: Mask, make: Make, name: str) -> None:
    flow, _ = make(OPEN, asked={name: "x"})
    stage.request(flow)
    assert flow.request.headers[name] == "x"


@pytest.mark.parametrize("name", GUESSES)
def test_a_guess_is_no_secret_of_the_gateways(stage: Mask, make: Make, name: str) -> None:
    flow, _ = make(OPEN, asked={name: "x"}, credential=True)
    stage.request(flow)
    assert flow.request.headers[name] == "x"


# The head of the answer

PLAIN_FIELDS = {
    "age",
    "allow",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "expires",
    "retry-after",
    "server",
    "transfer-encoding",
    "vary",
}
NEVER = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "alt-svc",
    "proxy-authenticate",
    "proxy-authentication-info",
}
CREDENTIALS = {"set-cookie", "set-cookie2", "www-authenticate", "authentication-info", "authorization", "cookie"}
OTHERS = {"location", "x-request-id", "etag", "content-md5", "link", "warning", "accept-ranges", "content-disposition"}
EVERY = sorted(PLAIN_FIELDS | NEVER | CREDENTIALS | OTHERS)


def passed(stage: Mask, make: Make, decision: Decision | None, **options: Any) -> set[str]:
    """Which of all these fields pass, framing apart: HEAD has no body to frame."""
    fields = [(name.title(), "x") for name in EVERY]
    flow, _ = make(decision, b"", fields, method="HEAD", **options)
    stage.responseheaders(flow)
    assert flow.response is not None
    return {name.lower() for name in flow.response.headers}


@pytest.mark.parametrize("decision", ALTERING)
@pytest.mark.parametrize("credential", [False, True])
def test_beside_masks_only_what_says_nothing_of_the_body(
    stage: Mask, make: Make, decision: Decision, credential: bool
) -> None:
    assert passed(stage, make, decision, credential=credential) == PLAIN_FIELDS
    assert passed(stage, make, decision, credential=credential, cookies=True) == PLAIN_FIELDS | {"set-cookie"}


@pytest.mark.parametrize("decision", [OPEN, None])
def test_without_masks_everything_but_what_is_between_hops(stage: Mask, make: Make, decision: Decision | None) -> None:
    assert passed(stage, make, decision) == set(EVERY) - NEVER
    assert passed(stage, make, decision, cookies=True) == set(EVERY) - NEVER


def test_what_a_target_gives_to_the_gateway_stays_with_it(stage: Mask, make: Make) -> None:
    cookies = {"set-cookie", "set-cookie2"}
    assert passed(stage, make, OPEN, credential=True) == set(EVERY) - NEVER - CREDENTIALS
    assert passed(stage, make, OPEN, credential=True, cookies=True) == set(EVERY) - NEVER - CREDENTIALS | cookies


def test_what_it_gives_to_whom_it_knows_by_a_certificate_stays_too(stage: Mask, make: Make) -> None:
    flow, found = make(OPEN, b"", {"Set-Cookie": "session=1", "X-Other": "x"})
    assert found.target is not None
    found.target = replace(found.target, tls=TargetTls(client_cert="mtls"))
    stage.responseheaders(flow)
    assert flow.response is not None
    assert flow.response.headers["x-other"] == "x"
    assert "set-cookie" not in flow.response.headers


@pytest.mark.parametrize("decision", [OPEN, *ALTERING])
def test_no_trailer_says_what_the_head_would(stage: Mask, make: Make, decision: Decision) -> None:
    flow, found = make(decision, b"", {})
    assert found.target is not None
    found.target = replace(found.target, grpc=True)
    stage.responseheaders(flow)
    assert found.trailing is not None
    of_the_head = ("Content-Length", "Transfer-Encoding", "Content-Type", "Content-Encoding", "Host", "Location")
    trailers = http.Headers([(name.encode(), b"x") for name in (*of_the_head, "Date")])
    assert list(found.trailing(trailers)) == ["Date"]


def test_echoes_of_the_credential_in_the_head(stage: Mask, make: Make) -> None:
    fields = [("X-Echo", f"a {SECRET} b {SECRET}"), (f"X-{SECRET}", "y"), ("X-Echo", "none")]
    flow, found = make(OPEN, b"", fields, method="HEAD", credential=True)
    stage.responseheaders(flow)
    assert flow.response is not None
    assert flow.response.headers.fields == (
        (b"X-Echo", b"a [redacted] b [redacted]"),
        (b"x-redacted", b"y"),
        (b"X-Echo", b"none"),
    )
    assert found.scrubbed == 3


@pytest.mark.parametrize(
    ("status", "reason"), [(200, "OK"), (404, "Not Found"), (299, "")], ids=["known", "error", "unknown"]
)
def test_a_reason_is_the_gateways_own(stage: Mask, make: Make, status: int, reason: str) -> None:
    flow, found = make(OPEN, status=status)
    assert flow.response is not None
    flow.response.reason = "078-05-1120"
    stage.responseheaders(flow)
    assert flow.response.reason == reason
    assert found.upstream_status == status


async def test_without_an_answer_nothing_is_masked(stage: Mask, make: Make) -> None:
    flow, found = make()
    flow.response = None
    with pytest.raises(AssertionError):
        stage.responseheaders(flow)
    with pytest.raises(AssertionError):
        await stage.response(flow)
    assert not found.masked


def test_of_a_request_without_a_target_there_is_no_answer(stage: Mask, make: Make) -> None:
    flow, found = make(OPEN, b"", ())
    found.target = None
    with pytest.raises(AssertionError):
        stage.responseheaders(flow)


# The body


@pytest.mark.parametrize(
    ("decision", "masked", "counted"),
    [
        pytest.param(MASKS, MASKED, {"$..ssn": 1}, id="masks"),
        pytest.param(SHOWS, b'{"name":"Ann"}', {"show ": 1}, id="shows"),
    ],
)
async def test_a_document_is_masked(
    stage: Mask, make: Make, decision: Decision, masked: bytes, counted: dict[str, int]
) -> None:
    flow, found = make(decision)
    response = await answer(stage, flow)
    assert response.raw_content == masked
    assert found.masks == counted
    assert response.headers["content-length"] == str(len(masked))


@pytest.mark.parametrize("decision", [OPEN, None])
async def test_what_needs_no_masking_is_delivered_as_it_is(stage: Mask, make: Make, decision: Decision | None) -> None:
    flow, found = make(decision, b"\x1f\x8bno gzip", {"Content-Encoding": "gzip", "ETag": "x"}, status=206)
    response = await answer(stage, flow)
    assert response.raw_content == b"\x1f\x8bno gzip"
    assert response.headers["content-encoding"] == "gzip"
    assert (found.masks, found.scrubbed) == ({}, 0)


async def test_hashes_are_keyed(stage: Mask, make: Make, runtime: Runtime) -> None:
    decision = Decision(Verdict.ALLOW, "support/read", masks=(Masked("$..ssn", "hash"),))
    first = (await answer(stage, make(decision)[0])).raw_content
    again = (await answer(stage, make(decision)[0])).raw_content
    runtime.hash_key = b"o" * 32
    other = (await answer(stage, make(decision)[0])).raw_content
    assert first == again != other


UNREADABLE: dict[str, dict[str, Any]] = {
    "no-type": {"fields": ()},
    "another-type": {"fields": {"Content-Type": "text/plain"}},
    "no-json": {"body": b"{"},
    "two-meanings": {"body": b'{"ssn": 1, "ssn": 2}'},
    "unknown-coding": {"fields": JSON | {"Content-Encoding": "compress"}},
    "damaged-coding": {"fields": JSON | {"Content-Encoding": "gzip"}},
    "coded-twice": {
        "body": gzip.compress(gzip.compress(DOCUMENT)),
        "fields": [*JSON.items(), ("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")],
    },
    "coded-and-said-not-to-be": {
        "body": gzip.compress(DOCUMENT),
        "fields": [*JSON.items(), ("Content-Encoding", "identity"), ("Content-Encoding", "gzip")],
    },
}
SPOILT = [pytest.param(options, id=name) for name, options in UNREADABLE.items()]


@pytest.mark.parametrize("options", SPOILT)
@pytest.mark.parametrize("status", [200, 302, 399])
@pytest.mark.parametrize("decision", ALTERING)
async def test_what_cannot_be_masked_is_not_delivered(
    stage: Mask, make: Make, decision: Decision, status: int, options: dict[str, Any]
) -> None:
    await refused(stage, make(decision, status=status, **options)[0])


@pytest.mark.parametrize("options", SPOILT)
@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("decision", ALTERING)
async def test_an_error_that_cannot_be_masked_is_replaced(
    stage: Mask, make: Make, decision: Decision, status: int, options: dict[str, Any]
) -> None:
    flow, found = make(decision, status=status, **options)
    response = await answer(stage, flow)
    assert response.status_code == status
    assert json.loads(response.raw_content or b"") == {
        "status": status,
        "title": "Target error",
        "detail": ERROR_PAGE,
        "request_id": found.id,
    }
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["content-length"] == str(len(response.raw_content or b""))
    assert "content-encoding" not in response.headers


async def test_a_json_error_is_masked(stage: Mask, make: Make) -> None:
    response = await answer(stage, make(status=404)[0])
    assert response.raw_content == MASKED
    assert response.headers["content-type"] == "application/json"


async def test_a_part_cannot_be_masked(stage: Mask, make: Make) -> None:
    await refused(stage, make(status=206)[0])


async def test_a_part_may_have_half_a_secret(stage: Mask, make: Make) -> None:
    await refused(stage, make(OPEN, b"correct-ho", status=206, credential=True)[0])


async def test_several_parts_are_parts_whatever_their_status(stage: Mask, make: Make) -> None:
    await refused(stage, make(OPEN, b"correct-ho", BYTERANGES, credential=True)[0])


async def test_a_coded_document_is_masked_and_delivered_plain(stage: Mask, make: Make) -> None:
    flow, _ = make(MASKS, gzip.compress(DOCUMENT), JSON | {"Content-Encoding": "gzip"})
    response = await answer(stage, flow)
    assert response.raw_content == MASKED
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize("credential", [False, True])
async def test_no_more_is_decoded_than_the_target_may_send(stage: Mask, make: Make, credential: bool) -> None:
    body = gzip.compress(b'"' + b"x" * 1000 + b'"')
    decision = OPEN if credential else MASKS
    flow, found = make(decision, body, JSON | {"Content-Encoding": "gzip"}, credential=credential)
    assert found.target is not None
    found.target = replace(found.target, limits=Limits(response=1000))
    await refused(stage, flow)


async def test_an_empty_coding_is_none(stage: Mask, make: Make) -> None:
    response = await answer(stage, make(MASKS, DOCUMENT, JSON | {"Content-Encoding": ""})[0])
    assert response.raw_content == MASKED


# Echoes of the credential


async def test_echoes_in_the_body(stage: Mask, make: Make) -> None:
    flow, found = make(OPEN, f"<p>{SECRET}</p>".encode(), {"Content-Type": "text/html"}, credential=True)
    response = await answer(stage, flow)
    assert response.raw_content == b"<p>[redacted]</p>"
    assert response.headers["content-length"] == "17"
    assert found.scrubbed == 1


async def test_echoes_in_a_coded_body(stage: Mask, make: Make) -> None:
    flow, _ = make(OPEN, gzip.compress(SECRET.encode()), {"Content-Encoding": "gzip"}, credential=True)
    response = await answer(stage, flow)
    assert response.raw_content == b"[redacted]"
    assert "content-encoding" not in response.headers


async def test_echoes_in_a_masked_document(stage: Mask, make: Make) -> None:
    flow, found = make(MASKS, b'{"ssn": 1, "t": "%s"}' % SECRET.encode(), credential=True)
    found.scrubbed = 1
    assert (await answer(stage, flow)).raw_content == b'{"ssn":"[redacted]","t":"[redacted]"}'
    assert found.scrubbed == 2


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("coding", ["compress", "gzip"])
async def test_what_cannot_be_searched_for_echoes_is_not_delivered(
    stage: Mask, make: Make, status: int, coding: str
) -> None:
    await refused(stage, make(OPEN, b"x", {"Content-Encoding": coding}, status=status, credential=True)[0])


# What is seen meanwhile


@pytest.mark.parametrize("options", [{"decision": MASKS}, {"decision": OPEN, "credential": True}])
async def test_the_body_is_off_the_flow_before_anyone_can_see_it(
    stage: Mask, make: Make, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """Law 4: mitmweb is served by the same loop, between any two awaits."""
    seen = set()

    async def turn(*_: float) -> None:
        assert flow.response is not None
        seen.add((flow.response.raw_content, flow.response.trailers))

    async def elsewhere(_: Workers, work: Callable[[], Any], *, long: bool) -> Any:
        await turn()
        return work()

    monkeypatch.setattr(asyncio, "sleep", turn)
    monkeypatch.setattr(Workers, "run", elsewhere)
    filler = b"x" * mask.SLICE
    flow, _ = make(body=b'{"ssn": "078-05-1120", "filler": "%s"}' % filler, **options)
    assert flow.response is not None
    flow.response.trailers = http.Headers(x_ssn="078-05-1120")
    await answer(stage, flow)
    assert seen == {(b"", None)}


async def test_a_small_body_is_masked_at_once(stage: Mask, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workers, "run", None)
    await answer(stage, make()[0])


@pytest.mark.parametrize(("status", "replaced"), [(200, False), (500, True)])
async def test_a_body_that_no_worker_masks_is_not_delivered(
    stage: Mask, make: Make, monkeypatch: pytest.MonkeyPatch, status: int, replaced: bool
) -> None:
    async def fails(_: Workers, work: Callable[[], Any], *, long: bool) -> Any:
        raise WorkFailed("gone")

    monkeypatch.setattr(Workers, "run", fails)
    flow, _ = make(body=b'{"ssn": "078-05-1120", "filler": "%s"}' % (b"x" * mask.LARGE), status=status)
    if replaced:
        assert b"078" not in ((await answer(stage, flow)).raw_content or b"")
    else:
        await refused(stage, flow)


async def test_a_large_body_is_masked_by_a_worker(stage: Mask, make: Make, runtime: Runtime) -> None:
    filler = b"x" * mask.LARGE
    flow, found = make(body=b'{"ssn": "078-05-1120", "filler": "%s"}' % filler)
    response = await answer(stage, flow)
    await runtime.workers.close()
    assert response.raw_content == b'{"ssn":"[redacted]","filler":"%s"}' % filler
    assert found.masks == {"$..ssn": 1}


@pytest.mark.parametrize("decision", [MASKS, OPEN])
async def test_trailers_are_not_delivered(stage: Mask, make: Make, decision: Decision) -> None:
    flow, _ = make(decision)
    assert flow.response is not None
    flow.response.trailers = http.Headers(x_ssn="078-05-1120")
    assert (await answer(stage, flow)).trailers is None


async def test_a_body_that_was_not_received_is_empty(stage: Mask, make: Make) -> None:
    flow, _ = make(MASKS)
    assert flow.response is not None
    flow.response.raw_content = None
    assert (await answer(stage, flow)).raw_content == b""


# What the head says of the body

OF_THE_ORIGINAL = [
    "etag",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "signature",
    "signature-input",
    "accept-ranges",
]


@pytest.mark.parametrize("name", OF_THE_ORIGINAL)
async def test_what_is_said_of_the_original_goes_with_it(stage: Mask, make: Make, name: str) -> None:
    echo = make(OPEN, SECRET.encode(), {name: "x"}, credential=True)[0]
    assert name not in (await answer(stage, echo)).headers
    same = make(OPEN, b"nothing", {name: "x"}, credential=True)[0]
    assert (await answer(stage, same)).headers[name] == "x"


@pytest.mark.parametrize("name", OF_THE_ORIGINAL)
async def test_beside_masks_nothing_is_said_of_the_original(stage: Mask, make: Make, name: str) -> None:
    """Not even of one that masking leaves as it was: what changed would tell what is in it."""
    flow, _ = make(body=b'{"name":"Ann"}')
    stage.responseheaders(flow)
    assert flow.response is not None
    flow.response.headers[name] = "x"
    await stage.response(flow)
    assert name not in flow.response.headers


async def test_a_masked_answer_never_keeps_its_coding(stage: Mask, make: Make) -> None:
    flow, _ = make(body=b'{"name":"Ann"}', fields=JSON | {"Content-Encoding": "identity"})
    assert "content-encoding" not in (await answer(stage, flow)).headers


@pytest.mark.parametrize("decision", [MASKS, OPEN])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_it_is_delivered_in_one_piece(stage: Mask, make: Make, decision: Decision, method: str) -> None:
    body = b"" if method == "HEAD" else DOCUMENT
    response = await answer(stage, make(decision, body, JSON | {"Transfer-Encoding": "chunked"}, method=method)[0])
    assert "transfer-encoding" not in response.headers


BODYLESS = [
    pytest.param("HEAD", 200, id="head"),
    pytest.param("GET", 204, id="204"),
    pytest.param("GET", 304, id="304"),
    pytest.param("HEAD", 404, id="head-error"),
]


@pytest.mark.parametrize(("method", "status"), BODYLESS)
async def test_without_a_body_nothing_is_said_of_a_masked_ones_length(
    stage: Mask, make: Make, method: str, status: int
) -> None:
    flow, _ = make(MASKS, b"", JSON | {"Content-Length": "37"}, method=method, status=status)
    assert flow.response is not None
    flow.response.headers["content-length"] = "37"
    response = await answer(stage, flow)
    assert response.raw_content == b""
    assert "content-length" not in response.headers


@pytest.mark.parametrize(("method", "status"), BODYLESS)
@pytest.mark.parametrize("credential", [False, True])
async def test_without_a_body_its_length_is_the_targets_word(
    stage: Mask, make: Make, method: str, status: int, credential: bool
) -> None:
    flow, _ = make(OPEN, b"", JSON, method=method, status=status, credential=credential)
    assert flow.response is not None
    flow.response.headers["content-length"] = "37"
    response = await answer(stage, flow)
    assert response.headers.get("content-length") == (None if status == 204 else "37")


async def test_a_body_that_does_not_change_has_one_length(stage: Mask, make: Make) -> None:
    flow, _ = make(OPEN)
    assert flow.response is not None
    flow.response.headers.set_all("content-length", ["1", "2"])
    assert (await answer(stage, flow)).headers.get_all("content-length") == [str(len(DOCUMENT))]


# Answers that are streamed

SSE = {"Content-Type": "text/event-stream"}
NDJSON = {"Content-Type": "application/x-ndjson"}
CODED = {"Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("options", "streams"),
    [
        pytest.param({"decision": OPEN}, True, id="open"),
        pytest.param({"decision": OPEN, "fields": CODED}, True, id="coded"),
        pytest.param({"decision": OPEN, "status": 206}, True, id="a-part"),
        pytest.param({"decision": OPEN, "status": 500}, True, id="an-error"),
        pytest.param({"decision": OPEN, "credential": True}, True, id="scrubbed"),
        pytest.param(
            {"decision": OPEN, "credential": True, "fields": {"Content-Encoding": "identity"}}, True, id="plain"
        ),
        pytest.param({"decision": OPEN, "credential": True, "fields": CODED}, False, id="coded-to-scrub"),
        pytest.param({"decision": OPEN, "credential": True, "status": 206}, False, id="a-part-to-scrub"),
        pytest.param({"decision": OPEN, "credential": True, "fields": BYTERANGES}, False, id="parts-to-scrub"),
        pytest.param({"decision": OPEN, "fields": BYTERANGES}, True, id="parts"),
        pytest.param({"decision": MASKS, "fields": SSE}, True, id="events"),
        pytest.param({"decision": SHOWS, "fields": NDJSON}, True, id="lines"),
        pytest.param({"decision": MASKS, "fields": SSE, "status": 500}, True, id="events-of-an-error"),
        pytest.param({"decision": MASKS, "fields": SSE | CODED}, False, id="coded-events"),
        pytest.param({"decision": MASKS, "fields": SSE, "status": 206}, False, id="a-part-of-events"),
        pytest.param({"decision": MASKS, "fields": {"Content-Type": "text/event-stream; x=y"}}, False, id="odd-events"),
        pytest.param({"decision": MASKS, "fields": JSON}, False, id="a-document"),
        pytest.param({"decision": MASKS, "fields": ()}, False, id="no-type"),
        pytest.param({"decision": OPEN, "method": "HEAD"}, False, id="head"),
        pytest.param({"decision": MASKS, "fields": SSE, "status": 204}, False, id="no-content"),
        pytest.param({"decision": OPEN, "status": 304}, False, id="not-modified"),
    ],
)
def test_what_is_streamed(stage: Mask, make: Make, options: dict[str, Any], streams: bool) -> None:
    flow, _ = make(**options)
    stage.responseheaders(flow)
    assert flow.response is not None
    assert flow.response.stream is streams
    assert (flow.response.headers.get("transfer-encoding") == "chunked") is streams


def test_http_1_0_has_no_chunks(stage: Mask, make: Make) -> None:
    flow, _ = make(OPEN)
    flow.request.http_version = "HTTP/1.0"
    stage.responseheaders(flow)
    assert flow.response is not None
    assert not flow.response.stream


@pytest.mark.parametrize(("length", "streams"), [("1000", True), ("1001", False)])
def test_what_says_that_it_is_too_large_is_not_begun(stage: Mask, make: Make, length: str, streams: bool) -> None:
    flow, found = make(OPEN, fields={"Content-Length": length})
    assert found.target is not None
    found.target = replace(found.target, limits=Limits(streamed=1000))
    stage.responseheaders(flow)
    assert flow.response is not None
    assert flow.response.stream is streams


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        pytest.param({"decision": OPEN}, {"content-length", "etag"}, id="as-it-is"),
        pytest.param({"decision": OPEN, "credential": True}, {"transfer-encoding", "etag"}, id="scrubbed"),
        pytest.param({"decision": MASKS}, {"transfer-encoding"}, id="masked"),
    ],
)
def test_the_head_of_a_stream_says_what_holds_of_its_body(
    stage: Mask, make: Make, options: dict[str, Any], kept: set[str]
) -> None:
    flow, _ = make(fields=SSE | {"Content-Length": "37", "ETag": "x"}, **options)
    stage.responseheaders(flow)
    assert flow.response is not None
    assert set(map(str.lower, flow.response.headers)) == kept | {"content-type"}


@pytest.mark.parametrize("decision", [MASKS, OPEN])
@pytest.mark.parametrize("credential", [False, True])
def test_what_is_looked_into_is_asked_for_plain(stage: Mask, make: Make, decision: Decision, credential: bool) -> None:
    flow, _ = make(decision, asked={"Accept-Encoding": "gzip"}, credential=credential)
    stage.request(flow)
    expected = "identity" if decision is MASKS or credential else "gzip"
    assert flow.request.headers["accept-encoding"] == expected


async def test_a_stream_is_masked_part_by_part(stage: Mask, make: Make) -> None:
    flow, found = make(MASKS, fields=SSE, credential=True)
    stage.responseheaders(flow)
    assert found.pipeline is not None
    event = b'data: {"ssn": 1, "t": "%b"}\n\n' % SECRET.encode()
    parts = [list(found.pipeline.feed(part)) for part in (event[:40], event[40:] + event[:5])]
    assert parts == [[], [b'data: {"ssn":"[redacted]","t":"[redacted]"}\n\n']]
    assert found.masks == {"$..ssn": 1}
    assert found.scrubbing is not None
    assert found.scrubbing.count == 1
    found.streaming = True
    assert flow.response is not None
    flow.response.raw_content = None
    await stage.response(flow)
    assert found.masked
    assert flow.response.raw_content is None


@pytest.mark.parametrize(
    ("fields", "body", "expected"),
    [
        pytest.param(SSE, b"data: %b\n\n" % DOCUMENT, b"data: %b\n\n" % MASKED, id="events"),
        pytest.param(NDJSON, DOCUMENT + b"\n" + DOCUMENT, MASKED + b"\n" + MASKED, id="lines"),
        pytest.param(NDJSON | CODED, gzip.compress(DOCUMENT), MASKED, id="coded"),
    ],
)
async def test_many_documents_that_came_whole(
    stage: Mask, make: Make, fields: Fields, body: bytes, expected: bytes
) -> None:
    flow, _ = make(MASKS, body, fields)
    response = await answer(stage, flow)
    assert response.raw_content == expected
    assert response.headers["content-length"] == str(len(expected))
    assert not {"transfer-encoding", "content-encoding"} & set(response.headers)


@pytest.mark.parametrize(("status", "replaced"), [(200, False), (500, True)])
async def test_one_of_many_that_cannot_be_masked(stage: Mask, make: Make, status: int, replaced: bool) -> None:
    flow, _ = make(MASKS, DOCUMENT + b"\n{", NDJSON, status=status)
    if replaced:
        assert (await answer(stage, flow)).headers["content-type"] == "application/problem+json"
    else:
        await refused(stage, flow)
