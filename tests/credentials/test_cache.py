from __future__ import annotations

import asyncio
import pickle

import pytest

from lockgate.credentials import cache as cache_module
from lockgate.credentials.cache import MARGIN, RETRY, Fetched
from lockgate.errors import SecretUnavailable


class Source:
    """Gives `secret-N` at the Nth fetch, once `open`; or fails."""

    def __init__(self, lifetime=300.0):
        self.lifetime = lifetime
        self.fetches = 0
        self.fault: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self):
        self.fetches += 1
        number = self.fetches
        await self.open.wait()
        if self.fault:
            raise self.fault
        return Fetched(f"secret-{number}", self.lifetime, (f"beside-{number}",))


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def get(cache, source):
    async def get(key="key", fetch=source):
        return (await cache.get(key, fetch)).value

    return get


async def settled():
    """Until every task has done what it can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_fetch_however_many_wait(get, source):
    source.open.clear()
    waiting = [asyncio.create_task(get()) for _ in range(20)]
    await settled()
    source.open.set()
    assert await asyncio.gather(*waiting) == ["secret-1"] * 20
    assert await get() == "secret-1"
    assert source.fetches == 1


async def test_other_keys_wait_for_nobody(get, source):
    source.open.clear()
    waiting = asyncio.create_task(get())
    await settled()
    assert await get("other", Source()) == "secret-1"
    source.open.set()
    await waiting


async def test_one_that_stops_waiting_takes_nothing_from_the_others(get, source):
    source.open.clear()
    first, second = asyncio.create_task(get()), asyncio.create_task(get())
    await settled()
    first.cancel()
    await settled()
    assert first.cancelled()
    source.open.set()
    assert await second == "secret-1"
    assert source.fetches == 1


async def test_fetched_anew_beside_requests_in_the_last_minute(get, source, clock):
    await get()
    clock.now += source.lifetime - MARGIN - 1
    assert await get() == "secret-1"
    assert source.fetches == 1
    clock.now += 1
    source.open.clear()
    assert [await get() for _ in range(3)] == ["secret-1"] * 3
    await settled()
    assert source.fetches == 2
    source.open.set()
    await settled()
    assert await get() == "secret-2"
    assert source.fetches == 2


async def test_requests_wait_once_it_has_ended(get, source, clock):
    await get()
    clock.now += source.lifetime
    assert await get() == "secret-2"


@pytest.mark.parametrize(("lifetime", "due_after"), [(60.0, 30.0), (2.0, 1.0), (120.0, 60.0), (1000.0, 940.0)])
async def test_when_it_is_due(cache, clock, lifetime, due_after):
    source = Source(lifetime)
    await cache.get("key", source)
    clock.now += due_after - 0.01
    await cache.get("key", source)
    await settled()
    assert source.fetches == 1
    clock.now += 0.01
    await cache.get("key", source)
    await settled()
    assert source.fetches == 2


async def test_a_failure_is_remembered_for_seconds(get, source, clock):
    source.fault = SecretUnavailable("vault:a/b#c: sealed")
    for _ in range(3):
        with pytest.raises(SecretUnavailable, match="sealed"):
            await get()
    assert source.fetches == 1
    source.fault = None
    clock.now += RETRY - 1
    with pytest.raises(SecretUnavailable):
        await get()
    clock.now += 1
    assert await get() == "secret-2"


async def test_all_who_wait_for_a_failed_fetch_hear_of_it(get, source):
    source.open.clear()
    source.fault = SecretUnavailable("sealed")
    waiting = [asyncio.create_task(get()) for _ in range(5)]
    await settled()
    source.open.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(each) for each in outcomes] == ["sealed"] * 5
    assert source.fetches == 1


async def test_what_was_fetched_serves_to_its_end_where_a_new_fetch_fails(get, source, clock, caplog):
    await get()
    source.fault = SecretUnavailable("vault:a/b#c: sealed")
    clock.now += source.lifetime - 30
    assert await get() == "secret-1"
    await settled()
    assert "vault:a/b#c: sealed; what was fetched before serves for another 30 s." in caplog.text
    assert await get() == "secret-1"
    assert source.fetches == 2
    clock.now += 30
    with pytest.raises(SecretUnavailable, match="sealed"):
        await get()
    assert source.fetches == 3
    with pytest.raises(SecretUnavailable, match="sealed"):
        await get()
    assert source.fetches == 3
    source.fault = None
    clock.now += RETRY
    assert await get() == "secret-4"


async def test_a_fault_is_a_failure_that_quotes_nothing(get, source):
    source.fault = ValueError("secret-0 is no number")
    with pytest.raises(SecretUnavailable, match=r"key: fault while it was fetched \(ValueError\)") as caught:
        await get()
    assert "secret" not in str(caught.value)


async def test_one_without_a_life_is_given_to_who_waited_for_it(cache):
    source = Source(0.0)
    assert (await cache.get("key", source)).value == "secret-1"
    assert (await cache.get("key", source)).value == "secret-2"


async def test_what_has_ended_is_let_go_of(cache, clock):
    for number in range(5):
        await cache.get(number, Source())
        clock.now += 400
    assert len(cache._entries) == 1


async def test_what_has_ended_is_not_held_beside_a_failure(cache, get, source, clock):
    await get()
    clock.now += 300
    source.fault = SecretUnavailable("sealed")
    with pytest.raises(SecretUnavailable):
        await get()
    assert [entry.held for entry in cache._entries.values()] == [None]


async def test_what_is_being_fetched_is_not_let_go_of(cache, get, source, clock):
    source.open.clear()
    waiting = asyncio.create_task(get())
    await settled()
    clock.now += 400
    await get("other", Source())
    source.open.set()
    assert await waiting == "secret-1"
    assert await get() == "secret-1"


async def test_secrecy(cache, source):
    held = await cache.get("key", source)
    assert "secret-1" not in repr(held) + str(held)
    with pytest.raises(TypeError):
        pickle.dumps(held)


def test_a_failure_is_not_remembered_for_long():
    assert cache_module.RETRY <= 10
