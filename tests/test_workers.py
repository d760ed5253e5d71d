"""Work in processes beside the gateway's own."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from lockgate import workers
from lockgate.bodies.json import parse
from lockgate.errors import BodyUnreadable, WorkFailed
from lockgate.workers import Workers


async def test_work_is_done_in_another_process_that_is_kept() -> None:
    pool = Workers(1)
    first, second = [await pool.run(os.getpid) for _ in range(2)]
    await pool.close()
    assert first == second != os.getpid()


async def test_of_large_things_nothing_is_lost() -> None:
    pool = Workers(1)
    body = os.urandom(3 * 1024 * 1024)
    assert await pool.run(partial(bytes.upper, body)) == body.upper()
    await pool.close()


async def test_errors_of_our_own_are_raised_as_they_are() -> None:
    pool = Workers(1)
    with pytest.raises(BodyUnreadable, match="strict JSON"):
        await pool.run(partial(parse, b"{"))
    assert await pool.run(partial(parse, b"[]")) == []
    await pool.close()


async def test_of_other_errors_only_the_kind_is_said() -> None:
    pool = Workers(1)
    with pytest.raises(WorkFailed) as caught:
        await pool.run(partial(json.loads, "secret"))
    await pool.close()
    assert "JSONDecodeError" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(partial(os._exit, 3), id="it ends"),
        pytest.param(partial(os.kill, 0, signal.SIGKILL), id="it is killed"),
    ],
)
async def test_a_worker_that_is_gone_fails_its_work_alone(work: partial[object]) -> None:
    pool = Workers(1)
    with pytest.raises(WorkFailed):
        await pool.run(work)
    assert await pool.run(partial(len, "abc")) == 3
    await pool.close()


async def test_work_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SECONDS", 0.3)
    pool = Workers(1)
    began = time.monotonic()
    with pytest.raises(WorkFailed, match="TimeoutError"):
        await pool.run(partial(time.sleep, 60))
    assert time.monotonic() - began < 5
    await pool.close()


async def test_no_more_waits_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WAITING", 1)
    pool = Workers(1)
    one = asyncio.create_task(pool.run(partial(time.sleep, 0.1)))
    await asyncio.sleep(0)
    with pytest.raises(WorkFailed, match="too much"):
        await pool.run(os.getpid)
    await one
    assert await pool.run(os.getpid)
    await pool.close()


async def test_what_is_long_leaves_a_worker_for_the_rest() -> None:
    pool = Workers(2)
    slow = [asyncio.create_task(pool.run(partial(time.sleep, 60), long=True)) for _ in range(3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert await pool.run(partial(len, "abc")) == 3
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    await pool.close()


async def test_one_who_no_longer_waits_leaves_nothing_behind() -> None:
    """An answer that came late would be taken for that of the next piece of work."""
    pool = Workers(1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await pool.run(partial(time.sleep, 60))
    assert await pool.run(partial(len, "abc")) == 3
    await pool.close()


async def test_it_knows_nothing_of_the_gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CRM_TOKEN", "secret")
    kept = tmp_path / "kept"
    pool = Workers(1)
    with kept.open("w") as file:
        os.set_inheritable(file.fileno(), True)
        assert "CRM_TOKEN" not in await pool.run(environment)
        assert str(kept) not in await pool.run(open_files)
        assert await pool.run(core_limit) == (0, 0)
    await pool.close()


def environment() -> list[str]:
    return list(os.environ)


def open_files() -> list[str]:
    return [str(each.resolve()) for each in Path("/proc/self/fd").iterdir()]


def core_limit() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_CORE)


async def test_one_that_was_killed_while_it_had_nothing_to_do_is_not_asked() -> None:
    pool = Workers(1)
    os.kill(killed := await pool.run(os.getpid), signal.SIGKILL)
    while Path(f"/proc/{killed}").exists():  # noqa: ASYNC110, ASYNC240 - until its end has been seen here
        await asyncio.sleep(0.01)
    assert await pool.run(os.getpid) != killed
    await pool.close()


@pytest.mark.parametrize("busy", [False, True])
def test_it_ends_with_the_gateway(busy: bool) -> None:
    """However that ends, and whatever the worker is doing."""
    work = "asyncio.create_task(pool.run(partial(exec, 'while True: pass')))" if busy else None
    program = (
        "import asyncio, os\nfrom functools import partial\nfrom lockgate.workers import Workers\n"
        "async def main():\n"
        "    pool = Workers(1)\n"
        "    print(await pool.run(os.getpid), flush=True)\n"
        f"    work = {work}\n"
        "    await asyncio.sleep(0.2)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, text=True).stdout
    deadline = time.monotonic() + 10
    while Path(f"/proc/{printed.strip()}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{printed.strip()}").exists()
