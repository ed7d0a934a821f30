"""A worker: takes attempts and activations from Docket and runs their stories.

Everything here is about being delivered at least once, being stopped, and being killed.
What an attempt does is told in `runtime.jobs.attempt`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from docket import Perpetual
from docket import Worker as DocketWorker

from runtime.activations.switchover import run_activation
from runtime.errors import Superseded
from runtime.ids import new_id
from runtime.jobs.attempt import run_attempt
from runtime.parts import Parts
from runtime.problem_table import fault_of
from runtime.queue.dispatch import ACTIVATION_TASK, ATTEMPT_TASK
from runtime.store import job_lists, workers
from runtime.store import jobs as job_store
from runtime.values.records import JobError
from runtime.values.states import State
from runtime.worker.environment_check import check_environments
from runtime.worker.reconcile import Reconciler

HEARTBEAT_S = 1.0

type Task = Callable[..., Awaitable[None]]

log = logging.getLogger("fumehood.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What this process is busy with, so that it can be stopped in order."""

    parts: Parts
    reconciler: Reconciler
    busy: set[asyncio.Task[object]] = field(default_factory=set[asyncio.Task[object]])

    def register(self) -> None:
        """Tell Docket which tasks there are; also a process that only adds them needs this."""
        docket = self.parts.dispatch.docket
        docket.register(self._attempt_task(), names=[ATTEMPT_TASK])
        docket.register(self._activation_task(), names=[ACTIVATION_TASK])
        docket.register(self._reconcile_task())

    def _attempt_task(self) -> Task:
        async def fumehood_attempt(job_id: str) -> None:
            with self._counted():
                await attempt_or_give_back(job_id, parts=self.parts)

        return fumehood_attempt

    def _activation_task(self) -> Task:
        async def fumehood_activation(activation_id: str) -> None:
            with self._counted():
                await run_activation(activation_id, parts=self.parts)

        return fumehood_activation

    def _reconcile_task(self) -> Task:
        every = timedelta(seconds=self.parts.settings.reconcile_interval_s)

        async def fumehood_reconcile(
            perpetual: Perpetual = Perpetual(every=every, automatic=True),  # noqa: B008
        ) -> None:
            await self.reconciler.run()

        return fumehood_reconcile

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


async def attempt_or_give_back(job_id: str, *, parts: Parts) -> None:
    """Run the story of an attempt; when it is *we* who fail, give the attempt back."""
    token = new_id()
    try:
        await run_attempt(job_id, token=token, parts=parts)
    except Superseded:
        log.warning("an attempt at job %s was superseded; nothing of it is published", job_id)
    except asyncio.CancelledError:
        await asyncio.shield(_give_back(job_id, token=token, error=STOPPED, parts=parts))
        raise
    except Exception as error:
        log.exception("an attempt at job %s failed on our side", job_id)
        await _give_back(job_id, token=token, error=_our_fault(error), parts=parts)
    finally:
        parts.bell.ring(job_id)


async def _give_back(job_id: str, *, token: str, error: JobError, parts: Parts) -> None:
    with suppress(Superseded):
        job = await parts.store.run(
            job_store.give_back,
            job_id=job_id,
            token=token,
            error=error,
            at=parts.clock(),
            most_attempts=parts.settings.most_attempts,
        )
        if job.state is State.QUEUED:
            await parts.dispatch.attempt(job)


def _our_fault(error: Exception) -> JobError:
    fault = fault_of(error)
    mend = next((problem.mend for problem in fault.problems if problem.mend), "see the log")
    return JobError(code=fault.code, what=fault.what, mend=mend, kind="appliance")


STOPPED = JobError(
    code=job_store.DRAINED,
    what="the worker was stopped before the attempt ended",
    mend="nothing to mend: the job is tried again",
    kind="appliance",
)


@asynccontextmanager
async def working(hands: Hands) -> AsyncGenerator[None]:
    """Work in the background; at the end let running attempts finish, for a while.

    What does not finish within `drain_s` is stopped and given back to the queue.
    """
    parts = hands.parts
    await parts.store.run(workers.register, worker=parts.worker)
    async with DocketWorker(
        parts.dispatch.docket,
        name=parts.worker.id,
        concurrency=parts.settings.slots,
        minimum_check_interval=timedelta(milliseconds=parts.settings.docket_check_interval_ms),
        scheduling_resolution=timedelta(milliseconds=100),
    ) as docket_worker:
        working = asyncio.create_task(docket_worker.run_forever(), name="fumehood-worker")
        heart = asyncio.create_task(_beat(parts), name="fumehood-heartbeat")
        check = asyncio.create_task(check_environments(parts), name="fumehood-environments")
        try:
            yield
        finally:
            await _drain(working, hands=hands)
            for beside in (heart, check):
                beside.cancel()
            await asyncio.gather(heart, check, return_exceptions=True)
            await parts.store.run(workers.forget, worker=parts.worker.id)


async def _drain(working: asyncio.Task[None], *, hands: Hands) -> None:
    working.cancel()  # docket takes nothing new and waits for what runs
    await asyncio.wait({working}, timeout=hands.parts.settings.drain_s)
    for task in tuple(hands.busy):
        task.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def _beat(parts: Parts) -> None:
    """Show signs of life, and hear of cancellations that other processes took."""
    while True:
        try:
            await parts.store.run(workers.see, worker=parts.worker.id, at=parts.clock())
            for job_id in await parts.store.run(job_lists.cancelling, worker=parts.worker.id):
                parts.cancellations.cancel(job_id)
        except Exception:
            log.exception("a heartbeat failed")
        await asyncio.sleep(HEARTBEAT_S)
