"""`lockgate recordings replay`: a client of the gateway as any other. The rules decide, whatever a record says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from harness.gateway import Gateway
from harness.issuer import Issuer
from harness.upstream import RecordingUpstream
from lockgate.cli.recordings.command import recordings

CRM = "https://api.crm.example"
Replay = Callable[..., Result]


@pytest.fixture
def replay(gateway: Gateway, tmp_path: Path, issuer: Issuer) -> Replay:
    def run(identifier: str, to: str, *options: str, role: str = "support") -> Result:
        token = tmp_path / "token"
        token.write_text(issuer.token(role))
        given = ["--proxy", gateway.proxy, "--ca", gateway.ca, "--rules", gateway.rules, "--token-file", token]
        arguments = ["replay", identifier, gateway.recordings, "--to", to, *given, *options]
        return CliRunner().invoke(recordings, [str(argument) for argument in arguments])

    return run


def recorded(gateway: Gateway, client: httpx.Client, method: str, path: str, **arguments: object) -> str:
    """The id of a request that the gateway has recorded."""
    client.request(method, CRM + path, **arguments)  # type: ignore[arg-type]
    return str(gateway.records(1, path=path)[-1]["request_id"])


def test_a_request_goes_to_another_target_and_is_marked(
    gateway: Gateway, replay: Replay, token: str, plain: RecordingUpstream
) -> None:
    with gateway.client(token) as client:
        original = recorded(
            gateway, client, "POST", "/v1/replayed?n=1", json={"amount": 5}, headers={"X-Team": "red", "Cookie": "a=b"}
        )
    watch = plain.watch()
    result = replay(original, "plain", "--yes", "--json")
    assert result.exit_code == 0, result.output
    [seen] = watch.requests
    assert (seen.method, seen.target, json.loads(seen.body)) == ("POST", "/v1/replayed?n=1", {"amount": 5})
    assert (seen.header("x-team"), seen.header("host")) == ("red", "plain.example")
    assert not {"lockgate-replay", "cookie", "authorization", "proxy-authorization"} & {
        name for name, _ in seen.headers
    }
    answer = json.loads(result.stdout)
    assert (answer["status"], answer["replayed"], answer["target"]) == (200, original, "plain")
    records = gateway.records(2, path="/v1/replayed?n=1")
    assert [record.get("replayed") for record in records] == [None, original]
    assert records[1]["target"] == "plain"
    assert "lockgate-replay" not in records[1]["flow"].request.headers


def test_not_to_the_original_unless_really(
    gateway: Gateway, replay: Replay, token: str, crm: RecordingUpstream
) -> None:
    with gateway.client(token) as client:
        original = recorded(gateway, client, "GET", "/v1/customer?a=b|c'd")
    watch = crm.watch()
    refused = replay(original, "crm")
    assert (refused.exit_code, watch.requests) == (1, [])
    assert "crm is what it was recorded with: name another target, or say --really" in refused.output
    same = replay(original, "crm", "--really", "--diff")
    assert same.exit_code == 0, same.output
    assert "the answer is the recorded one" in same.output
    assert len(watch.requests) == 1


def test_denied_stays_denied(
    gateway: Gateway, replay: Replay, token: str, crm: RecordingUpstream, plain: RecordingUpstream
) -> None:
    with gateway.client(token) as client:
        denied = recorded(gateway, client, "DELETE", "/v1/denied")
        allowed = recorded(gateway, client, "GET", "/v1/allowed-once")
    watched = [crm.watch(), plain.watch()]
    for result in (
        replay(denied, "plain", "--yes"),
        replay(denied, "crm", "--yes", "--really"),
        replay(allowed, "plain", role="idle"),
        replay(allowed, "plain", role="nobody"),
    ):
        assert result.exit_code == 0, result.output
        assert "\n403\n" in result.output
    assert [watch.requests for watch in watched] == [[], []]
    assert all(not watch.plain for watch in watched)


def test_a_token_that_is_none_gets_nowhere(
    gateway: Gateway, replay: Replay, token: str, tmp_path: Path, plain: RecordingUpstream
) -> None:
    with gateway.client(token) as client:
        original = recorded(gateway, client, "GET", "/v1/no-token")
    watch = plain.watch()
    result = replay(original, "plain", "--token-command", "true")
    assert result.exit_code == 2
    forged = tmp_path / "forged"
    forged.write_text(token[:-8] + "AAAAAAAA")
    result = replay(original, "plain", "--token-file", str(forged))
    assert result.exit_code == 1
    assert "does not take it: 407" in result.output
    assert token[:-8] not in result.output
    assert watch.requests == []


def test_writing_has_to_be_confirmed(gateway: Gateway, replay: Replay, token: str, plain: RecordingUpstream) -> None:
    with gateway.client(token) as client:
        original = recorded(gateway, client, "POST", "/v1/confirmed", json={})
    watch = plain.watch()
    result = replay(original, "plain")
    assert result.exit_code == 2
    assert "There is nobody to ask here: say --yes." in result.output
    assert watch.requests == []


def test_what_was_redacted_has_to_be_given(
    gateway: Gateway, replay: Replay, token: str, plain: RecordingUpstream
) -> None:
    with gateway.client(token) as client:
        original = recorded(
            gateway, client, "POST", "/v1/secretive", json={"password": "hunter2"}, headers={"X-Api-Key": "k1"}
        )
    watch = plain.watch()
    result = replay(original, "plain", "--yes")
    assert result.exit_code == 1
    assert "missing: field:password, header:x-api-key" in result.output
    assert watch.requests == []


def test_an_agent_may_say_so_and_is_granted_nothing(gateway: Gateway, token: str, plain: RecordingUpstream) -> None:
    watch = plain.watch()
    with gateway.client(token) as client:
        for value in ("some-id", "two words", "x" * 65, "\u202e".encode()):
            answer = client.get("http://plain.example/v1/claimed", headers={"Lockgate-Replay": value})
            assert answer.status_code == 200
        assert client.delete(f"{CRM}/v1/claimed", headers={"Lockgate-Replay": "some-id"}).status_code == 403
    assert all(seen.header("lockgate-replay") is None for seen in watch.requests)
    found = gateway.records(5, path="/v1/claimed")
    assert [record.get("replayed") for record in found] == ["some-id", None, None, None, "some-id"]


def test_another_proxy_is_not_the_gateway(
    gateway: Gateway, replay: Replay, token: str, plain: RecordingUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that would pass a plain request on, by no rules."""
    monkeypatch.setattr("lockgate.cli.recordings.replay.LOOK", 0.2)
    with gateway.client(token) as client:
        original = recorded(gateway, client, "GET", "/v1/another-proxy")
    watch = plain.watch()
    result = replay(original, "plain", "--proxy", f"http://127.0.0.1:{plain.port}")
    assert result.exit_code == 1
    assert "does not take it" in result.output or "no answer from the gateway" in result.output
    assert [seen.method for seen in watch.requests] == ["CONNECT"]
