"""One attempt as a task of a worker: an attempt that we fail, or stop, goes back to the queue.

Everything here is about being delivered at least once, being stopped, and being killed.
What an attempt does is told in `runtime.jobs.attempt`.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from runtime.clock import Clock
from runtime.errors import Superseded
from runtime.ids import new_id
from runtime.jobs.attempt import AttemptRunner
from runtime.problem_table import fault_of
from runtime.queue.dispatch import Dispatch
from runtime.queue.notifier import Notifier
from runtime.store import jobs as job_store
from runtime.store.store import Store
from runtime.values.records import JobError
from runtime.values.states import State

STOPPED = JobError(
    code=job_store.DRAINED,
    what="the worker was stopped before the attempt ended",
    mend="nothing to mend: the job is tried again",
    kind="appliance",
)

log = logging.getLogger("fumehood.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptTask:
    """Runs attempts, each under a fencing token of its own."""

    runner: AttemptRunner
    store: Store
    dispatch: Dispatch
    notifier: Notifier
    clock: Clock
    most_attempts: int

    async def run(self, job_id: str) -> None:
        """Run the story of an attempt; when it is *we* who fail, give the attempt back."""
        token = new_id()
        try:
            await self.runner.run(job_id, token=token)
        except Superseded:
            log.warning("an attempt at job %s was superseded; nothing of it is published", job_id)
        except asyncio.CancelledError:
            # shield: the cancellation that stops us must not also stop the giving back
            await asyncio.shield(self._give_back(job_id, token=token, error=STOPPED))
            raise
        except Exception as error:
            log.exception("an attempt at job %s failed on our side", job_id)
            await self._give_back(job_id, token=token, error=_our_fault(error))
        finally:
            self.notifier.notify(job_id)

    async def _give_back(self, job_id: str, *, token: str, error: JobError) -> None:
        with suppress(Superseded):
            job = await self.store.run(
                job_store.give_back,
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
