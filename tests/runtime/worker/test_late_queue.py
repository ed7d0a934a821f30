"""The queue of one process is opened late: what comes before it is open is not lost."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from runtime.queue.late import LateQueues
from runtime.queue.queue import Queues
from runtime.settings.settings import Settings

QUIET_S = 0.3


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, docket_name="late")


@pytest.fixture
def late() -> LateQueues:
    return LateQueues()


@pytest.fixture
async def queues(late: LateQueues, settings: Settings) -> AsyncIterator[Queues]:
    async with late.open(settings) as opened:
        yield opened


class Seen:
    """What tasks and chores were called with."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.chores = 0
        self.is_done = asyncio.Event()

    async def task(self, subject: str) -> None:
        self.subjects.append(subject)
        self.is_done.set()

    async def chore(self) -> None:
        self.chores += 1
        self.is_done.set()


async def test_what_comes_before_it_is_open_has_it_opened_and_is_done(
    queues: Queues, settings: Settings
) -> None:
    seen = Seen()
    queues.of_jobs.register("a_task", seen.task)
    async with queues.of_jobs.taking(settings, worker="w") as taker:
        running = asyncio.create_task(taker.run())
        assert await queues.of_jobs.add("a_task", "first")
        async with asyncio.timeout(30):
            await seen.is_done.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert seen.subjects == ["first"]


async def test_nothing_is_taken_nor_repeated_until_it_is_wanted(
    late: LateQueues, queues: Queues, settings: Settings
) -> None:
    seen = Seen()
    queues.of_jobs.repeat("a_chore", seen.chore, every=timedelta(seconds=0.05))
    async with queues.of_jobs.taking(settings, worker="w") as taker:
        running = asyncio.create_task(taker.run())
        await asyncio.sleep(QUIET_S)
        assert seen.chores == 0
        late.begin()
        async with asyncio.timeout(30):
            await seen.is_done.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_who_is_paused_before_it_is_open_takes_nothing_until_told_to(
    queues: Queues, settings: Settings
) -> None:
    seen = Seen()
    queues.of_jobs.register("a_task", seen.task)
    async with queues.of_jobs.taking(settings, worker="w") as taker:
        taker.pause()
        running = asyncio.create_task(taker.run())
        assert await queues.of_jobs.add("a_task", "first")
        await asyncio.sleep(QUIET_S)
        assert seen.subjects == []
        taker.resume()
        async with asyncio.timeout(30):
            await seen.is_done.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_one_that_was_never_wanted_is_closed_at_once(
    late: LateQueues, settings: Settings
) -> None:
    async with asyncio.timeout(10), late.open(settings):
        pass


async def test_who_waits_for_one_that_is_closed_before_it_is_open_waits_no_longer(
    late: LateQueues, settings: Settings
) -> None:
    async with late.open(settings) as queues, queues.of_jobs.taking(settings, worker="w") as taker:
        running = asyncio.create_task(taker.run())
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await running


def test_a_start_imports_no_docket() -> None:
    """It took a quarter of it."""
    code = "import sys, runtime.appliance.serve; sys.exit('docket' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
