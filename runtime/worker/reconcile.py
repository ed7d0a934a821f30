"""Looks after what was lost: work that Docket forgot, workers that died, a gate left open."""

import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from frozen.values import frozen
from runtime.faults.errors import StateConflict, Superseded
from runtime.gate.opening import close_if_over
from runtime.gate.steady import GateClock
from runtime.queue.dispatch import Dispatch
from runtime.store.databases.store import Store
from runtime.store.jobs import claims, job_lists, submissions
from runtime.store.packages import activations
from runtime.values.clock import Clock
from runtime.values.records import Job, JobError
from runtime.values.states import State
from runtime.worker.signs_of_life import Living

PATIENCE = timedelta(seconds=10)
"""How long Docket may carry something before it is handed over again."""

log = logging.getLogger("fumehood.reconcile")


@dataclass(slots=True)
class _Ran:
    """When the reconciler ran last, by a steady clock."""

    at_s: float | None = None


@frozen
class Reconciler:
    """Compares the truth in the store with what is really going on."""

    store: Store
    dispatch: Dispatch
    clock: Clock
    living: Living
    gate_clock: GateClock
    most_attempts: int
    keys_live: timedelta
    late_after_s: float
    steady: Callable[[], float] = field(default=time.monotonic)
    _ran: _Ran = field(default_factory=_Ran)

    async def run_if_late(self) -> None:
        """Do everything once where Docket should have asked for it, and has not.

        It asks by the wall clock: set back by a day, that lets nobody look after anything for one.
        """
        now_s = self.steady()
        self._ran.at_s = self._ran.at_s if self._ran.at_s is not None else now_s
        if now_s - self._ran.at_s >= self.late_after_s:
            await self.run()

    async def run(self) -> None:
        """Do everything once."""
        self._ran.at_s = self.steady()
        self.gate_clock.note(await self.store.run(close_if_over, at=self.gate_clock()))
        await self.recover(alive=await self.living.workers())
        await self.dispatch_again(patience=PATIENCE)
        await self.store.run(submissions.forget, before=self.clock() - self.keys_live)

    async def recover(self, *, alive: Collection[str]) -> None:
        """Put back what runs on workers that are not among those alive."""
        for job in await self.store.read(job_lists.running_elsewhere, alive=alive):
            await self._put_back(job)
        for activation_id in await self.store.read(activations.running_elsewhere, alive=alive):
            with suppress(StateConflict):  # it came to an end while we looked
                await self.store.run(
                    activations.put_back,
                    activation_id=activation_id,
                    most=self.most_attempts,
                    at=self.clock(),
                )

    async def dispatch_again(self, *, patience: timedelta) -> None:
        """Hand over again what has waited for longer than `patience`."""
        before = self.clock() - patience
        for activation_id in await self.store.read(activations.queued_before, at=before):
            await self.dispatch.activation(activation_id)
        if await self.store.read(job_lists.are_due, before=before):
            await self.dispatch.ticket_anew()

    async def _put_back(self, job: Job) -> None:
        log.warning("job %s lost its worker %s", job.id, job.worker)
        try:
            again = await self.store.run(
                claims.give_back,
                job_id=job.id,
                token=job.token or "",
                error=lost(job),
                at=self.clock(),
                most_attempts=self.most_attempts,
            )
        except (Superseded, StateConflict):
            return  # it came to an end while we looked
        if again.state is State.QUEUED:
            await self.dispatch.attempt(again)


def lost(job: Job) -> JobError:
    """Return the error of an attempt whose worker died."""
    return JobError(
        code="worker-lost",
        what=f"the worker {job.worker} was gone before the attempt ended",
        mend="see the worker's log; the job is tried again by itself",
        kind="appliance",
    )
