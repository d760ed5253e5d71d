from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import http

from lockgate.errors import Refused
from lockgate.exchange import exchange
from lockgate.model import CredentialSpec, SecretSource
from lockgate.stages import inject
from lockgate.stages.inject import Inject

SECRET = "correct-horse-battery"
Targeted = Callable[..., http.HTTPFlow]


@pytest.fixture
def resolved_in(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads that secrets were read in."""
    threads = []
    resolve = inject.resolve_credential

    def noted(spec: CredentialSpec, host: str) -> Any:
        threads.append(threading.get_ident())
        return resolve(spec, host)

    monkeypatch.setattr(inject, "resolve_credential", noted)
    return threads


def put_on_disk(flow: http.HTTPFlow, path: Path) -> None:
    found = exchange(flow)
    assert found.generation is not None
    specs = found.generation.credentials
    spec = replace(specs["on-disk"], source=SecretSource("file", str(path)))
    found.generation = replace(found.generation, credentials={**specs, "on-disk": spec})


async def test_a_credential_is_put_onto_the_exchange_alone(targeted: Targeted, resolved_in: list[int]) -> None:
    flow = targeted()
    before = repr(flow.get_state())
    await Inject().request(flow)
    credential = exchange(flow).credential
    assert credential is not None
    assert credential.apply("/", ()) == ("/", ((b"Authorization", f"Bearer {SECRET}".encode()),))
    assert repr(flow.get_state()) == before
    assert SECRET not in before + repr(exchange(flow))
    assert resolved_in == [threading.get_ident()]


async def test_what_needs_none_gets_none(targeted: Targeted) -> None:
    flow = targeted("GET", "http://plain.example/v1/x")
    await Inject().request(flow)
    assert exchange(flow).credential is None


async def test_a_file_is_read_off_the_loop(targeted: Targeted, tmp_path: Path, resolved_in: list[int]) -> None:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    flow = targeted("GET", "https://disk.example/v1/x")
    put_on_disk(flow, tmp_path / "secret")
    await Inject().request(flow)
    credential = exchange(flow).credential
    assert credential is not None
    assert credential.scrub(SECRET.encode())[1] == 1
    assert len(resolved_in) == 1
    assert resolved_in[0] != threading.get_ident()


async def refused(flow: http.HTTPFlow) -> None:
    with pytest.raises(Refused) as caught:
        await Inject().request(flow)
    assert caught.value.refusal.status == 503
    assert caught.value.__suppress_context__
    assert exchange(flow).credential is None


async def test_a_secret_that_is_missing_keeps_the_request(targeted: Targeted, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = targeted()
    monkeypatch.delenv("CRM_TOKEN")
    await refused(flow)


async def test_a_file_that_is_missing_keeps_the_request(targeted: Targeted, tmp_path: Path) -> None:
    flow = targeted("GET", "https://disk.example/v1/x")
    put_on_disk(flow, tmp_path / "secret")
    await refused(flow)


async def test_no_other_host_is_given_a_credential(targeted: Targeted) -> None:
    flow = targeted()
    found = exchange(flow)
    assert found.target is not None
    found.target = replace(found.target, host="other.example")
    await refused(flow)


@pytest.mark.parametrize("missing", ["target", "generation"])
async def test_nothing_is_injected_into_what_was_not_read(targeted: Targeted, missing: str) -> None:
    flow = targeted()
    setattr(exchange(flow), missing, None)
    with pytest.raises(AssertionError):
        await Inject().request(flow)
