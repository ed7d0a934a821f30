"""Meter: what this process has counted, written down at heartbeats and read at scrapes.

What was shown is in the store, so that no counter falls when a process is killed: Prometheus takes
a fall for a restart from zero, and would tell of a rise by the whole value.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from frozen.values import frozen
from runtime.store import telemetry
from runtime.store.databases.store import Store
from runtime.telemetry.tally import Tally
from runtime.values.clock import Clock
from runtime.values.totals import Reading, Total, WorkerReading
from sandbox.command import Command, Observe, OnVerdict, Outcome, Run

log = logging.getLogger("fumehood.telemetry")


@dataclass(slots=True, kw_only=True)
class Meter:
    """What this process counts. `worker` is the one whose heartbeats write it down."""

    store: Store
    clock: Clock
    worker: str
    lost_after: timedelta
    packages_most: int
    tally: Tally = field(default_factory=Tally)
    cells_running: int = 0
    walls: Mapping[str, bool] = field(default_factory=dict[str, bool])
    _kept: WorkerReading | None = None

    async def keep(self) -> None:
        """Write down what was counted, if anything was; what cannot be is kept for the next."""
        more = self.tally.take()
        reading = WorkerReading(cells_running=self.cells_running, walls=self.walls)
        changed = asdict(reading) if reading != self._kept else None
        if not more and changed is None:
            return
        keeping = asyncio.ensure_future(
            self.store.run(telemetry.keep, more=more, worker=self.worker, reading=changed)
        )
        keeping.add_done_callback(partial(self._put_back_unless_kept, more))
        # shield: who is cancelled meanwhile does not undo it, and would have it counted twice.
        await asyncio.shield(keeping)
        self._kept = reading

    def _put_back_unless_kept(self, more: Collection[Total], keeping: asyncio.Future[None]) -> None:
        if keeping.cancelled() or keeping.exception() is not None:
            self.tally.put_back(more)

    async def read(self) -> Reading:
        """Return what a scrape shows. Where nothing can be written, what was written before."""
        try:
            await self.keep()
        except Exception:
            log.warning("what was counted could not be written down", exc_info=True)
        now = self.clock()
        return await self.store.read(
            telemetry.read,
            at=now,
            since=now - self.lost_after,
            packages_most=self.packages_most,
        )


@frozen
class CountedRun:
    """Runs Commands as `run` does, and counts: how many, how they began, behind which walls."""

    run: Run
    meter: Meter

    async def __call__(
        self,
        command: Command,
        *,
        outputs_to: Path,
        observe: Observe,
        cancelled: asyncio.Event | None = None,
        on_verdict: OnVerdict | None = None,
    ) -> Outcome:
        """Run `command`."""
        self.meter.cells_running += 1
        try:
            outcome = await self.run(
                command,
                outputs_to=outputs_to,
                observe=observe,
                cancelled=cancelled,
                on_verdict=on_verdict,
            )
        finally:
            self.meter.cells_running -= 1
        isolation = outcome.isolation
        self.meter.walls = {layer.name: not layer.in_force for layer in isolation.layers}
        start_s = outcome.start_ms / 1000
        self.meter.tally.observe("cell_start_seconds", start_s, kind=isolation.start)
        return outcome
