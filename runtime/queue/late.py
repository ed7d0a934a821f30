"""A queue inside the process that is opened once the appliance answers: nobody waits for Docket.

To import it takes a quarter of a start. Jobs are taken within the process without it
(`Tickets.take_here`); whatever needs it (activations, what is for later, what is repeated) waits
until it is there, and what comes early has it opened at once.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module

from runtime.queue.queue import Chore, OpenQueues, Queue, Queues, Taker, Task, no_news
from runtime.settings.settings import Settings

MODULE = "runtime.queue.dockets"
log = logging.getLogger("fumehood.dispatch")


class LateQueue:
    """A `Queue` that stands for another one, which is opened when it is wanted."""

    def __init__(self) -> None:
        self._is_wanted = asyncio.Event()
        self._opened: asyncio.Future[Queue] = asyncio.get_running_loop().create_future()
        self._tasks: dict[str, Task] = {}
        self._chores: list[tuple[str, Chore, timedelta]] = []

    def begin(self) -> None:
        """Have it opened now."""
        self._is_wanted.set()

    async def opened(self) -> Queue:
        """Return it, once it is open."""
        return await asyncio.shield(self._opened)

    async def add(self, task: str, subject: str, *, when: datetime | None = None) -> bool:
        """Hand over a task about `subject`, once there is whom to hand it to."""
        self.begin()
        return await (await self.opened()).add(task, subject, when=when)

    def register(self, task: str, act: Task) -> None:
        """Remember what `task` does."""
        self._tasks[task] = act

    def repeat(self, name: str, act: Chore, *, every: timedelta) -> None:
        """Remember what is to be done again and again."""
        self._chores.append((name, act, every))

    @asynccontextmanager
    async def taking(self, settings: Settings, *, worker: str) -> AsyncGenerator[Taker]:
        """Offer what takes from it as soon as it is open."""
        yield _LateTaker(queue=self, settings=settings, worker=worker)

    async def keep_open(self, settings: Settings) -> None:
        """Open it as soon as it is wanted, and keep it open until this is cancelled."""
        try:
            await self._is_wanted.wait()
            open_queues: OpenQueues = (await asyncio.to_thread(import_module, MODULE)).dockets
            async with open_queues(settings) as queues:
                self._opened.set_result(self._told_of_all(queues.of_jobs))
                gc.freeze()  # with what a start has made before it
                await asyncio.Future[None]()
        except Exception as fault:
            log.exception("the queue cannot be opened")
            self._opened.set_exception(fault)
        finally:
            self._opened.cancel()  # nothing, where it is open; else nobody waits for it any more

    def _told_of_all(self, queue: Queue) -> Queue:
        for task, act in self._tasks.items():
            queue.register(task, act)
        for name, act, every in self._chores:
            queue.repeat(name, act, every=every)
        return queue


@dataclass(slots=True, kw_only=True)
class _LateTaker:
    """A `Taker` that begins when its queue is open."""

    queue: LateQueue
    settings: Settings
    worker: str
    _taker: Taker | None = None
    _is_paused: bool = False

    async def run(self) -> None:
        """Take and do, for ever; cancelled, it waits for what runs."""
        opened = await self.queue.opened()
        async with opened.taking(self.settings, worker=self.worker) as self._taker:
            if self._is_paused:
                self._taker.pause()
            await self._taker.run()

    def pause(self) -> None:
        """Leave what comes to others."""
        self._is_paused = True
        if self._taker is not None:
            self._taker.pause()

    def resume(self) -> None:
        """Take again."""
        self._is_paused = False
        if self._taker is not None:
            self._taker.resume()


@dataclass(slots=True)
class LateQueues:
    """Opens the queue of one process late; `begin` says when."""

    _queue: LateQueue | None = None

    def begin(self) -> None:
        """Have it opened, now that nobody waits for the appliance any more."""
        if self._queue is not None:
            self._queue.begin()

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncGenerator[Queues]:
        """Offer the queues of a process that is alone."""
        queue = self._queue = LateQueue()
        keeping = asyncio.create_task(queue.keep_open(settings), name="fumehood-queue")
        try:
            yield Queues(of_jobs=queue, of_activations=queue, news=no_news)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
