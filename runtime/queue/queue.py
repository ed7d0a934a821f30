"""What carries work to workers: a protocol of which Docket is one, and nothing is another.

The store is the truth, a queue only carries. Whatever it loses, `runtime.worker.reconcile` hands
out again.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Protocol

from frozen.values import frozen
from runtime.queue.notifier import Notifier
from runtime.settings.settings import Settings

type Task = Callable[[str], Awaitable[None]]
"""What is done about a subject: a ticket, or an activation's id."""
type Chore = Callable[[], Awaitable[None]]
"""What is done again and again, about nothing in particular."""
type OpenQueues = Callable[[Settings], AbstractAsyncContextManager[Queues]]


class Taker(Protocol):
    """Takes tasks from a queue and does them."""

    async def run(self) -> None:
        """Take and do, for ever; cancelled, it waits for what runs."""
        ...

    def pause(self) -> None:
        """Leave what comes to others, soon."""
        ...

    def resume(self) -> None:
        """Take again."""
        ...


class Queue(Protocol):
    """Carries tasks by their names, each at least once unless it is lost."""

    async def add(self, task: str, subject: str, *, when: datetime | None = None) -> bool:
        """Hand over a task about `subject`, for then; the same one twice is one.

        Returns whether it was taken; why not is logged.
        """
        ...

    def register(self, task: str, act: Task) -> None:
        """Say what `task` does; also a process that only adds tasks needs this."""
        ...

    def repeat(self, name: str, act: Chore, *, every: timedelta) -> None:
        """Let one of those that take do `act` every so often."""
        ...

    def taking(self, settings: Settings, *, worker: str) -> AbstractAsyncContextManager[Taker]:
        """Offer what takes tasks from this queue and does them."""
        ...


@frozen
class Queues:
    """The queue of jobs, and that of activations, which only hosts with the wheelhouse take.

    A worker elsewhere has no wheels but those that a lock names, so it could not make one. `news`
    tells other processes what this one's notifier hears, and the other way round.
    """

    of_jobs: Queue
    of_activations: Queue
    news: Callable[[Notifier], AbstractAsyncContextManager[None]]


def most_at_a_time(settings: Settings) -> int:
    """Return how many tasks a process has under way from a queue.

    Beside those who have a slot and those who wait for one: activations, the reconciler, and
    attempts that have left their slot and are being published. More cost more than they do: with
    Redis and two workers, three times as many made a fifth fewer jobs.
    """
    return 2 * settings.slots + 4


class Unattended:
    """A queue that nobody takes from: who opened the appliance does by hand what is to be done."""

    async def add(self, task: str, subject: str, *, when: datetime | None = None) -> bool:
        """Do nothing, and say that it was taken."""
        return True

    def register(self, task: str, act: Task) -> None:
        """Do nothing."""

    def repeat(self, name: str, act: Chore, *, every: timedelta) -> None:
        """Do nothing."""

    def taking(self, settings: Settings, *, worker: str) -> AbstractAsyncContextManager[Taker]:
        """Refuse: nothing is ever taken from it."""
        raise LookupError("a queue without a worker has no tasks to take")


@asynccontextmanager
async def no_queues(settings: Settings) -> AsyncGenerator[Queues]:
    """Offer queues that carry nothing. Docket and what it imports are a third of a `try`."""
    queue = Unattended()
    yield Queues(of_jobs=queue, of_activations=queue, news=no_news)


@asynccontextmanager
async def no_news(notifier: Notifier) -> AsyncGenerator[None]:
    """Tell no other process of anything: there is none."""
    yield
