"""How often keys are fetched and how long they serve, by a clock that a test moves."""

from __future__ import annotations

import asyncio
import gc
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate.errors import KeysUnavailable, KeysWithdrawn
from lockgate.identity.jwks import KeySet
from lockgate.identity.oidc import Published
from lockgate.identity.remote import COOL_DOWN, REFRESH, RETRY, UNASKED, KeyCache, KeyCaches, RemoteKeys

MAX_AGE = 3600.0
WHERE = Published("https://login.example")
OLD, NEW = KeySet((), "old"), KeySet((), "new")


class Issuer:
    """What is published, or why nothing can be had; and how often it was asked. It answers while `open` is set."""

    def __init__(self) -> None:
        self.answer: KeySet | Exception = OLD
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()
        self.now = 1000.0

    async def fetch(self, where: Published) -> KeySet:
        self.asked += 1
        await self.open.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def clock(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def caches(issuer: Issuer) -> KeyCaches:
    return KeyCaches(issuer.fetch, issuer.clock)


@pytest.fixture
def cache(caches: KeyCaches) -> KeyCache:
    return caches.of(WHERE)


async def settle() -> None:
    """Let what was begun come to its end."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_nothing_is_fetched_unasked(cache: KeyCache, issuer: Issuer) -> None:
    with pytest.raises(KeysUnavailable, match=r"login\.example: its keys have not been fetched"):
        cache.keys(MAX_AGE)
    await settle()
    assert issuer.asked == 0


async def test_warming_does_not_wait(cache: KeyCache, issuer: Issuer) -> None:
    issuer.open.clear()
    cache.warm()
    await settle()
    assert issuer.asked == 1
    with pytest.raises(KeysUnavailable):
        cache.keys(MAX_AGE)
    issuer.open.set()
    await settle()
    assert cache.keys(MAX_AGE) is OLD


async def test_what_is_fresh_is_not_warmed(cache: KeyCache, issuer: Issuer) -> None:
    assert await cache.renew()
    issuer.now += REFRESH - 1
    cache.warm()
    await settle()
    assert issuer.asked == 1
    issuer.now += 1
    cache.warm()
    await settle()
    assert issuer.asked == 2


async def test_one_fetch_for_all_who_wait(cache: KeyCache, issuer: Issuer) -> None:
    issuer.open.clear()
    waiting = [asyncio.create_task(cache.renew()) for _ in range(50)]
    await settle()
    waiting[0].cancel()  # its client hung up
    await settle()
    assert not any(task.done() for task in waiting[1:])
    issuer.open.set()
    assert await asyncio.gather(*waiting[1:]) == [True] * 49
    assert issuer.asked == 1
    assert cache.keys(MAX_AGE) is OLD


async def test_unknown_keys_cost_one_fetch_in_each_cool_down(cache: KeyCache, issuer: Issuer) -> None:
    await cache.renew()
    for second in range(600):
        issuer.now = 1000.0 + second
        for _ in range(10):
            await cache.renew()
    assert issuer.asked == 600 / COOL_DOWN


async def test_a_rotated_key_is_found_after_the_cool_down(cache: KeyCache, issuer: Issuer) -> None:
    await cache.renew()
    issuer.answer = NEW
    issuer.now += COOL_DOWN - 1
    assert await cache.renew() is False
    assert cache.keys(MAX_AGE) is OLD
    issuer.now += 1
    assert await cache.renew() is True
    assert cache.keys(MAX_AGE) is NEW


async def test_keys_in_use_are_refreshed_beside_the_requests(cache: KeyCache, issuer: Issuer) -> None:
    await cache.renew()
    issuer.answer = NEW
    issuer.now += REFRESH - 1
    cache.keys(MAX_AGE)
    await settle()
    assert issuer.asked == 1
    issuer.now += 1
    issuer.open.clear()
    for _ in range(20):
        assert cache.keys(MAX_AGE) is OLD
        await settle()
    issuer.open.set()
    await settle()
    assert issuer.asked == 2
    assert cache.keys(MAX_AGE) is NEW


@pytest.mark.parametrize(
    ("answer", "found"),
    [pytest.param(NEW, NEW, id="up"), pytest.param(KeysUnavailable("down"), OLD, id="down")],
)
async def test_after_long_without_use_the_issuer_is_asked_first(
    cache: KeyCache, issuer: Issuer, answer: KeySet | Exception, found: KeySet
) -> None:
    await cache.renew()
    issuer.answer = answer
    issuer.now += UNASKED - 1
    issuer.open.clear()
    assert cache.keys(MAX_AGE) is OLD
    await settle()
    issuer.now += 1
    for _ in range(2):  # while the fetch is under way, too
        with pytest.raises(KeysUnavailable, match="not been fetched for long"):
            cache.keys(MAX_AGE)
    issuer.open.set()
    assert await cache.renew() is True
    assert cache.keys(MAX_AGE) is found
    assert issuer.asked == 2


async def test_an_issuer_that_is_down_for_a_while(
    cache: KeyCache, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="lockgate")
    await cache.renew()
    issuer.answer = KeysUnavailable("https://login.example/keys: it cannot be connected to")
    for age in range(int(REFRESH), int(MAX_AGE)):
        issuer.now = 1000.0 + age
        assert cache.keys(MAX_AGE) is OLD
        await settle()
    issuer.now = 1000.0 + MAX_AGE
    with pytest.raises(KeysUnavailable, match="cannot be connected to"):
        cache.keys(MAX_AGE)
    tries = issuer.asked
    assert tries - 1 == (MAX_AGE - REFRESH) / RETRY
    assert caplog.messages[0] == (
        "The keys of https://login.example cannot be fetched, those of 300 s ago are held: "
        "https://login.example/keys: it cannot be connected to."
    )
    assert len(caplog.messages) == (MAX_AGE - REFRESH) / REFRESH
    caplog.clear()
    issuer.answer = NEW
    assert await cache.renew() is True
    assert cache.keys(MAX_AGE) is NEW
    issuer.now += COOL_DOWN
    await cache.renew()
    assert caplog.messages == ["The keys of https://login.example are fetched again."]


async def test_an_issuer_that_is_down_from_the_start(
    cache: KeyCache, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.answer = KeysUnavailable("down")
    cache.warm()
    await settle()
    assert caplog.messages == ["The keys of https://login.example cannot be fetched, none are held: down."]
    for _ in range(100):  # at once, without another fetch
        assert await cache.renew() is False
        with pytest.raises(KeysUnavailable):
            cache.keys(MAX_AGE)
    assert issuer.asked == 1
    issuer.now += RETRY
    issuer.answer = OLD
    assert await cache.renew() is True
    assert cache.keys(MAX_AGE) is OLD


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        pytest.param(KeysUnavailable("no answer"), True, id="down"),
        pytest.param(RuntimeError("https://secret"), True, id="fault"),
        pytest.param(KeysWithdrawn("no usable public key"), False, id="withdrawn"),
    ],
)
async def test_what_a_failed_fetch_leaves(
    cache: KeyCache, issuer: Issuer, caplog: pytest.LogCaptureFixture, answer: Exception, kept: bool
) -> None:
    await cache.renew()
    issuer.now += COOL_DOWN
    issuer.answer = answer
    assert await cache.renew() is True
    if kept:
        assert cache.keys(MAX_AGE) is OLD
    else:
        with pytest.raises(KeysUnavailable, match="no usable"):
            cache.keys(MAX_AGE)
    [line] = caplog.messages
    assert line.startswith("The keys of https://login.example cannot be fetched, ")
    assert "secret" not in line
    assert await cache.renew() is False


async def test_the_rules_say_how_old_they_may_be(cache: KeyCache, issuer: Issuer) -> None:
    short, long = RemoteKeys(cache, 600.0), RemoteKeys(cache, 86400.0)
    await cache.renew()
    issuer.answer = KeysUnavailable("down")
    issuer.now += 500
    assert await cache.renew() is True
    issuer.now += 100
    assert long.keys() is OLD
    with pytest.raises(KeysUnavailable):
        short.keys()


async def test_age_counts_from_the_question(cache: KeyCache, issuer: Issuer) -> None:
    issuer.open.clear()
    cache.warm()
    await settle()
    issuer.now += 60
    issuer.open.set()
    await settle()
    assert cache.keys(61.0) is OLD
    with pytest.raises(KeysUnavailable):
        cache.keys(60.0)


async def test_a_cancelled_fetch_is_no_lasting_one(cache: KeyCache, issuer: Issuer) -> None:
    issuer.open.clear()
    cache.warm()
    await settle()
    [task] = [task for task in asyncio.all_tasks() if task.get_name() == "lockgate keys"]
    task.cancel()
    await asyncio.wait([task])
    issuer.open.set()
    issuer.now += COOL_DOWN
    assert await cache.renew() is True
    assert cache.keys(MAX_AGE) is OLD


async def test_a_cache_lives_as_long_as_rules_use_it(caches: KeyCaches, issuer: Issuer) -> None:
    held = caches.of(WHERE)
    await held.renew()
    assert caches.of(Published("https://login.example")) is held
    for other in (
        replace(WHERE, issuer="https://other.example"),
        replace(WHERE, jwks="https://login.example/keys"),
        replace(WHERE, ca=Path("/ca.pem")),
    ):
        assert caches.of(other) is not held
    del held
    gc.collect()
    with pytest.raises(KeysUnavailable):
        caches.of(WHERE).keys(MAX_AGE)
