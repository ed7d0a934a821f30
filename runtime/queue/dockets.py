"""Docket as a queue: in this process' memory, or in a Redis of many."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

from docket import Docket, Perpetual, Worker
from redis.exceptions import RedisError

from runtime.queue.news import news_of_others
from runtime.queue.queue import Chore, Queues, Taker, Task, most_at_a_time
from runtime.settings.settings import Settings

HAND_OVER_S = 2.0
RESOLUTION_MS = 250
"""How often Docket looks for what has become due; every 100 ms it took 1 % of a core, idle."""

log = logging.getLogger("fumehood.dispatch")


class _Worker(Worker):
    """Docket's worker, without its ear for cancellations, which nobody sends by Docket.

    It asks for them ten times a second, in memory by a hop to a thread each time. Ours are heard by
    `runtime.jobs.attempts.cancellations`.
    """

    async def _cancellation_listener(self) -> None:
        session = self._processing_session
        if session is not None:
            session.cancellation_ready.set()
            await session.stopping.wait()


class DocketTaker:
    """A `Taker` that is a worker of Docket's."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._concurrency = worker.concurrency

    async def run(self) -> None:
        """Take and do, for ever; cancelled, it waits for what runs."""
        await self._worker.run_forever()

    def pause(self) -> None:
        """Leave what comes to others, once the read under way has ended.

        Docket asks each time how many it may run, and reads nothing where that is none.
        """
        self._worker.concurrency = 0

    def resume(self) -> None:
        """Take again."""
        self._worker.concurrency = self._concurrency


class DocketQueue:
    """A `Queue` whose tasks lie in `docket`."""

    def __init__(self, docket: Docket) -> None:
        self._docket = docket

    async def add(self, task: str, subject: str, *, when: datetime | None = None) -> bool:
        """Hand over a task about `subject`; Docket knows no second one of its name."""
        key = f"{task}:{subject}"
        try:
            # A Redis that stands still would hold up whoever submits for as long.
            async with asyncio.timeout(HAND_OVER_S):
                await self._docket.add(task, when=when, key=key)(subject)
        except (RedisError, OSError):
            log.warning("docket did not take %s; the reconciler will", key, exc_info=True)
            return False
        return True

    def register(self, task: str, act: Task) -> None:
        """Say what `task` does. Docket reads the signature, and takes functions only."""

        async def called(subject: str) -> None:
            await act(subject)

        called.__name__ = task
        self._docket.register(called, names=[task])

    def repeat(self, name: str, act: Chore, *, every: timedelta) -> None:
        """Let Docket plan the next time after each one."""

        async def called(
            perpetual: Perpetual = Perpetual(every=every, automatic=True),  # noqa: B008
        ) -> None:
            await act()

        called.__name__ = name
        self._docket.register(called)

    @asynccontextmanager
    async def taking(self, settings: Settings, *, worker: str) -> AsyncGenerator[Taker]:
        """Offer a worker of Docket's."""
        taker = _Worker(
            self._docket,
            name=worker,
            concurrency=most_at_a_time(settings),
            minimum_check_interval=timedelta(milliseconds=settings.docket_check_interval_ms),
            scheduling_resolution=timedelta(milliseconds=RESOLUTION_MS),
        )
        async with taker:
            yield DocketTaker(taker)


@asynccontextmanager
async def dockets(settings: Settings) -> AsyncGenerator[Queues]:
    """Offer the queues of these settings: in one process a single one will do."""
    keep = timedelta(seconds=settings.docket_keep_s)
    opened = partial(Docket, url=settings.docket_url, execution_ttl=keep)
    async with opened(name=settings.docket_name) as of_jobs:
        if settings.is_one_process:
            yield _queues(of_jobs, of_activations=of_jobs)
            return
        async with opened(name=f"{settings.docket_name}-activations") as of_activations:
            yield _queues(of_jobs, of_activations=of_activations)


def _queues(of_jobs: Docket, *, of_activations: Docket) -> Queues:
    queue = DocketQueue(of_jobs)
    return Queues(
        of_jobs=queue,
        of_activations=queue if of_activations is of_jobs else DocketQueue(of_activations),
        news=partial(news_of_others, of_jobs),
    )
