"""The tasks of a worker: what a queue may call here, and how they are stopped in order."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import Context, copy_context
from dataclasses import field
from datetime import timedelta
from typing import Any

from frozen.values import frozen
from packages.environment.environment import Environments
from runtime.activations.switchover import Switchover
from runtime.jobs.attempts.cancellations import Cancellations
from runtime.jobs.attempts.slots import Slots
from runtime.queue.dispatch import ACTIVATION_TASK, HANDED_ON, TICKET_TASK, Dispatch
from runtime.queue.queue import Queue, Taker
from runtime.settings.settings import Settings
from runtime.store import workers
from runtime.store.databases.store import Store
from runtime.store.jobs import heartbeat, job_lists
from runtime.store.when import queue
from runtime.telemetry.meter import Meter
from runtime.values.clock import Clock
from runtime.values.records import Claim, Worker
from runtime.worker.attempt_task import AttemptTask
from runtime.worker.environment_check import check_environments
from runtime.worker.patience import Patience, Unwanted
from runtime.worker.reconcile import Reconciler
from runtime.worker.signs_of_life import Living
from runtime.worker.timekeeping import Timekeeper

RECONCILE_TASK = "fumehood_reconcile"
HEARTBEAT_S = 1.0
LONGEST_TURN_S = 0.5
log = logging.getLogger("fumehood.worker")


@frozen
class WorkerTasks:
    """What this worker does; `busy` are the tasks under way, so that it can be stopped in order."""

    worker: Worker
    attempt: AttemptTask
    switchover: Switchover
    reconciler: Reconciler
    dispatch: Dispatch
    store: Store
    clock: Clock
    living: Living
    cancellations: Cancellations
    environments: Environments
    settings: Settings
    timekeeper: Timekeeper
    makes_activations: bool
    slots: Slots
    activation_slots: Slots
    meter: Meter
    takers: list[Taker] = field(default_factory=list[Taker])
    """Of what it takes from, in that order, while it works."""
    looks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    context: Context = field(default_factory=copy_context)
    busy: set[asyncio.Task[object]] = field(default_factory=set[asyncio.Task[object]])
    patience: Patience = field(default_factory=Patience)
    unwanted: Unwanted = field(default_factory=Unwanted)
    is_draining: asyncio.Event = field(default_factory=asyncio.Event)
    is_resting: asyncio.Event = field(default_factory=asyncio.Event)
    is_hurried: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def takes_from(self) -> tuple[Queue, ...]:
        """Return the queues from which this process takes."""
        queues = self.dispatch.queues
        if queues.of_activations is queues.of_jobs or not self.makes_activations:
            return (queues.of_jobs,)
        return (queues.of_jobs, queues.of_activations)

    def register(self) -> None:
        """Say which tasks there are; also a process that only adds them needs this."""
        queues, settings = self.dispatch.queues, self.settings
        queues.of_jobs.register(TICKET_TASK, self._take_ticket)
        queues.of_activations.register(ACTIVATION_TASK, self._take_activation)
        every = timedelta(seconds=settings.reconcile_interval_s)
        queues.of_jobs.repeat(RECONCILE_TASK, self.reconciler.run, every=every)

    def take_here(self, ticket: str) -> bool:
        """Look for jobs as whoever takes `ticket` from the queue does; return whether we do."""
        is_others = not self._is_alone and self.slots.are_taken
        if self._takes_nothing or is_others or len(self.looks) >= self._most_looks:
            return False
        # Not in the context of who submits: what is logged and traced of a run is not of a request.
        # Eager: where a job is about to be stored, its claim stands in line right behind it.
        look = asyncio.Task(
            self._look(ticket),
            loop=asyncio.get_running_loop(),
            name=f"{TICKET_TASK}:{ticket}",
            context=self.context.copy(),
            eager_start=True,
        )
        self.looks.add(look)
        look.add_done_callback(self.looks.discard)
        return True

    async def _look(self, ticket: str) -> None:
        try:
            await self._take_ticket(ticket)
        except Exception:
            log.exception("a look for jobs failed; the reconciler looks again")

    async def _take_ticket(self, ticket: str) -> None:
        self.dispatch.taken(ticket)
        if self.slots.is_enough_waiting:  # who waits for a slot claims after this
            await self._offer(ticket)
            return
        with self._counted():
            await self._run_jobs(ticket)

    async def _take_activation(self, activation_id: str) -> None:
        with self._counted():
            async with self.activation_slots.one():
                await self.switchover.run(activation_id)

    async def _run_jobs(self, ticket: str) -> None:
        """Run one job after the other until none waits, or until it is others' turn.

        To take a job from the store costs less than a ticket for each (2 ms of Docket); but whoever
        never came to an end would keep activations and the reconciler waiting for their turn.
        Who stores a job meanwhile has it looked for, so none is left when none waited at a claim.
        """
        until = time.monotonic() + LONGEST_TURN_S
        await self._offer(ticket)
        while not self._takes_nothing and time.monotonic() < until:
            async with self.slots.one() as slot:
                claim = await self.attempt.run_next(slot=slot, on_claim=self._share)
            if claim is None:
                return await self._leave(ticket)
            self.patience.reset()
            if not claim.waiting:
                return None
        if not self._takes_nothing:
            return await self.dispatch.ticket()
        return await self._leave(ticket)

    async def _leave(self, ticket: str) -> None:
        """Let another worker look for what waits and is not for this one.

        The ticket is spent; without another one, who could run it would hear of it when the
        reconciler finds that it waited for long.
        """
        if self._is_alone or not await self.store.read(job_lists.are_due, before=self.clock()):
            return
        await self._hand_on(ticket)

    async def _offer(self, ticket: str) -> None:
        """Let another worker have what waits, where all slots of this one are taken.

        It may be free, and a run here may last for hours: what was told to this one alone waited
        for its slots, and when those of another were free all the time.
        """
        if not self._is_alone and self.slots.are_taken:
            await self._hand_on(ticket)

    async def _hand_on(self, ticket: str) -> None:
        """Hand a ticket on: at once, or after a while where others have no use for it either."""
        if ticket.startswith(HANDED_ON):
            self.unwanted.note()
        after_s = self.patience.next_s() if self.unwanted.is_so() else 0.0
        await self.dispatch.hand_on(after_s=after_s)

    @property
    def _most_looks(self) -> int:
        """Return how many look for jobs within this process, which costs next to nothing.

        As many as are in their cells, and wait for their turn; twice as many as have claimed ahead,
        or are being published.
        """
        return 6 * self.settings.slots + 4

    @property
    def _is_alone(self) -> bool:
        return self.dispatch.tickets.is_told

    @property
    def _takes_nothing(self) -> bool:
        return self.is_draining.is_set() or self.is_resting.is_set()

    async def rest(self, *, is_drained: bool) -> None:
        """Take no more jobs, or take jobs again, as somebody has said in the store.

        Where others take jobs, too, their tickets are left to them: one that went to and fro
        between a drained worker and one that is not took seconds.
        """
        if is_drained and not self.is_resting.is_set():
            self.is_resting.set()
            for taker in self._takers_of_jobs:
                taker.pause()
        elif not is_drained and self.is_resting.is_set():
            self.is_resting.clear()
            for taker in self._takers_of_jobs:
                taker.resume()
            await self.dispatch.ticket_anew()

    @property
    def _takers_of_jobs(self) -> Sequence[Taker]:
        """Return who takes tickets and nothing else; in one process activations come with them."""
        return () if self._is_alone else self.takers[:1]

    async def _share(self, claim: Claim) -> None:
        """Let another slot, or another worker, take what waits behind `claim`."""
        if claim.waiting:
            await self.dispatch.ticket()

    @contextmanager
    def _counted(self) -> Generator[None]:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be stopped in order")
        self.busy.add(task)
        try:
            yield
        finally:
            self.busy.discard(task)


@asynccontextmanager
async def working(tasks: WorkerTasks) -> AsyncGenerator[None]:
    """Work in the background; at the end let running attempts finish, for a while.

    What does not finish within `drain_s`, or before `is_hurried` is set, is stopped and given back
    to the queue.
    """
    await tasks.store.run(workers.see, worker=tasks.worker, at=tasks.clock())
    async with AsyncExitStack() as stack:
        for queue in tasks.takes_from:
            taking = queue.taking(tasks.settings, worker=tasks.worker.id)
            tasks.takers.append(await stack.enter_async_context(taking))
        tasks.dispatch.tickets.take_here = tasks.take_here
        working = asyncio.gather(*(taker.run() for taker in tasks.takers))
        heart = asyncio.create_task(_beat(tasks), name="fumehood-heartbeat")
        clockwork = asyncio.create_task(tasks.timekeeper.keep(), name="fumehood-timekeeper")
        check = asyncio.create_task(_check_environments(tasks), name="fumehood-environments")
        try:
            yield
        finally:
            await _drain(working, tasks=tasks)
            for beside in (heart, check, clockwork):
                beside.cancel()
            await asyncio.gather(heart, check, clockwork, return_exceptions=True)
            await tasks.meter.keep()
            await tasks.store.run(workers.forget, worker=tasks.worker.id)


async def _check_environments(tasks: WorkerTasks) -> None:
    await check_environments(
        tasks.environments, store=tasks.store, clock=tasks.clock, who=tasks.worker.id
    )


async def _drain(working: asyncio.Future[list[None]], *, tasks: WorkerTasks) -> None:
    tasks.is_draining.set()
    await _tell_what_is_waited_for(tasks)
    working.cancel()  # they take nothing new and wait for what runs
    ending = asyncio.ensure_future(_ended(working, *tasks.looks))
    hurry = asyncio.ensure_future(tasks.is_hurried.wait())
    await asyncio.wait(
        {ending, hurry}, timeout=tasks.settings.drain_s, return_when=asyncio.FIRST_COMPLETED
    )
    hurry.cancel()
    for task in tuple(tasks.busy):
        task.cancel()
    await ending


async def _ended(*futures: asyncio.Future[Any]) -> None:
    await asyncio.gather(*futures, return_exceptions=True)


async def _tell_what_is_waited_for(tasks: WorkerTasks) -> None:
    """Say in the log which jobs are still to end before the worker does."""
    now = tasks.clock()
    found = await tasks.store.read(queue.workers_now, since=now - timedelta(days=1))
    for job in (job for one in found if one.worker.id == tasks.worker.id for job in one.jobs):
        since = f"{(now - job.since).total_seconds():.0f} s" if job.since else "now"
        log.info(
            "stopping: waits up to %g s for job %s of %s, which has run for %s",
            tasks.settings.drain_s,
            job.id,
            job.package,
            since,
        )


async def _beat(tasks: WorkerTasks) -> None:
    """Show signs of life, see those of others, and hear of what other processes want."""
    is_failing = False
    while True:
        try:
            await _beat_once(tasks)
        except Exception:
            is_failing = True
            log.exception("a heartbeat failed")
        else:
            if is_failing:
                log.info("heartbeats are written again")
            is_failing = False
        await asyncio.sleep(HEARTBEAT_S)


async def _beat_once(tasks: WorkerTasks) -> None:
    attempts, activations = frozenset(tasks.attempt.holding), frozenset(tasks.switchover.holding)
    heard = await tasks.store.run(heartbeat.beat, worker=tasks.worker, at=tasks.clock())
    await tasks.meter.keep()
    tasks.living.seen(heard.signs)
    await tasks.rest(is_drained=heard.is_drained)
    for job_id in heard.cancelling:
        tasks.cancellations.heard(job_id)
    await tasks.attempt.look_at_own(heard.running, before=attempts)
    await tasks.switchover.look_at_own(
        heard.activations, before=activations, most_tries=tasks.settings.most_attempts
    )
    await tasks.reconciler.run_if_late()
