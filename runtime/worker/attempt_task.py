"""One attempt as a task of a worker: an attempt that we fail, or stop, goes back to the queue.

Everything here is about being delivered at least once, being stopped, and being killed.
What an attempt does is told in `runtime.jobs.attempts.attempt`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Container, Iterable
from contextlib import suppress
from dataclasses import field
from functools import partial

from frozen.values import frozen
from runtime.faults.errors import Superseded
from runtime.jobs.attempts.attempt import AttemptRunner
from runtime.jobs.attempts.persistence import until_written
from runtime.jobs.attempts.slots import Slot, a_slot
from runtime.problem_table import fault_of
from runtime.queue.dispatch import Dispatch
from runtime.queue.notifier import Notifier, ended
from runtime.store.databases.store import Store
from runtime.store.jobs import claims
from runtime.telemetry.about import about
from runtime.values.clock import Clock
from runtime.values.ids import new_id
from runtime.values.records import Claim, JobError
from runtime.values.states import State

STOPPED = JobError(
    code=claims.DRAINED,
    what="the worker was stopped before the attempt ended",
    mend="nothing to mend: the job is tried again",
    kind="appliance",
)

FORGOTTEN = JobError(
    code="attempt-lost",
    what="its worker is alive, and had lost hold of the attempt",
    mend="see the worker's log; the job is tried again by itself",
    kind="appliance",
)

type OnClaim = Callable[[Claim], Awaitable[None]]

log = logging.getLogger("fumehood.worker")


async def _nothing_more(_: Claim) -> None:
    """Do nothing about a claim."""


@frozen
class AttemptTask:
    """Runs attempts, each under a fencing token of its own."""

    runner: AttemptRunner
    store: Store
    dispatch: Dispatch
    notifier: Notifier
    clock: Clock
    most_attempts: int
    holding: set[str] = field(default_factory=set[str])
    """The tokens of the attempts that this worker has in hand, those it claims just now too."""

    async def run_next(
        self, *, slot: Slot | None = None, on_claim: OnClaim = _nothing_more
    ) -> Claim | None:
        """Claim a job and run the story of its attempt; return the claim, None for nothing to do.

        `on_claim` is awaited in between, and `slot` given back after the last run. When it is *we*
        who fail, the attempt is given back.
        """
        token = new_id()
        self.holding.add(token)
        try:
            claim = await self._claim(token)
            if claim is not None:
                await self._run_seen(claim, token=token, slot=slot or a_slot(), on_claim=on_claim)
            return claim
        finally:
            self.holding.discard(token)

    async def _run_seen(self, claim: Claim, *, token: str, slot: Slot, on_claim: OnClaim) -> None:
        """Run an attempt, told of in the log and in a trace."""
        job = claim.job
        with (
            about(job=job.id, attempt=job.attempt, worker=self.runner.worker.id),
            self.runner.telemetry.traces.attempt(claim),
        ):
            await self._run(claim, token=token, slot=slot, on_claim=on_claim)

    async def look_at_own(
        self, running: Iterable[tuple[str, str]], *, before: Container[str]
    ) -> None:
        """Give back what is recorded as running here, and nobody here has in hand any more.

        `before` is what was in hand before the look: what ended meanwhile is no more.
        """
        for job_id, token in running:
            if token not in before and token not in self.holding:
                log.warning("job %s is recorded as running here, and does not", job_id)
                await self._give_back(job_id, token=token, error=FORGOTTEN)

    async def _claim(self, token: str) -> Claim | None:
        """Claim a job; who is stopped meanwhile gives back what it would have got."""
        claiming = asyncio.Task(
            self.runner.claim(token=token), loop=asyncio.get_running_loop(), eager_start=True
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            if claim := await claiming:
                await asyncio.shield(self._give_back(claim.job.id, token=token, error=STOPPED))
            raise

    async def _run(self, claim: Claim, *, token: str, slot: Slot, on_claim: OnClaim) -> None:
        job_id, told = claim.job.id, None
        try:
            await on_claim(claim)
            if claim.follows_at:
                await self.dispatch.at(claim.follows_at)
            told = await self.runner.run(claim, token=token, slot=slot)
            if told is not None and told.job.state is State.QUEUED:
                await self.dispatch.attempt(told.job)
        except Superseded:
            log.warning("an attempt at job %s was superseded; nothing of it is published", job_id)
        except asyncio.CancelledError:
            # shield: the cancellation that stops us must not also stop the giving back. Where that
            # cannot be written, the next start finds the job, or another worker does.
            await asyncio.shield(self._give_back(job_id, token=token, error=STOPPED))
            raise
        except Exception as error:
            log.exception("an attempt at job %s failed on our side", job_id)
            giving = partial(self._give_back, job_id, token=token, error=_our_fault(error))
            await until_written(giving, doing=f"the end of an attempt at job {job_id}")
        finally:
            self.notifier.notify(job_id)
            self.notifier.notify(ended(job_id), saying=told)

    async def _give_back(self, job_id: str, *, token: str, error: JobError) -> None:
        with suppress(Superseded):
            job = await self.store.run(
                claims.give_back,
                job_id=job_id,
                token=token,
                error=error,
                at=self.clock(),
                most_attempts=self.most_attempts,
            )
            if job.state is State.QUEUED:
                await self.dispatch.attempt(job)


def _our_fault(error: Exception) -> JobError:
    fault = fault_of(error)
    mend = next((problem.mend for problem in fault.problems if problem.mend), "see the log")
    return JobError(code=fault.code, what=fault.what, mend=mend, kind="appliance")
