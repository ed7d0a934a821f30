"""Puts together what this process is seen by."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from frozen.values import frozen
from packages.environment.environment import Environments
from runtime.settings.settings import Settings
from runtime.store.databases.store import Store
from runtime.telemetry.builds import counted_builder
from runtime.telemetry.meter import CountedRun, Meter
from runtime.telemetry.telemetry import Telemetry
from runtime.telemetry.traces import traces_of
from runtime.values.clock import Clock
from runtime.values.records import Worker
from sandbox.command import Run


@frozen
class Seen:
    """What this process counts by, and tells by, as the worker that it is."""

    worker: Worker
    meter: Meter
    telemetry: Telemetry

    def run(self, run: Run) -> Run:
        """Return `run`, counted."""
        return CountedRun(run=run, meter=self.meter)

    def environments(self, environments: Environments) -> Environments:
        """Return `environments`, whose builds are counted."""
        builder = counted_builder(environments.builder, tally=self.meter.tally)
        return replace(environments, builder=builder)

    @property
    def close(self) -> Callable[[], None]:
        """Return what sends the spans that are not sent yet."""
        return self.telemetry.traces.close


def seen_of(settings: Settings, *, store: Store, clock: Clock, worker: Worker) -> Seen:
    """Return what a process of these settings is seen by; `worker` is its own."""
    meter = Meter(
        store=store,
        clock=clock,
        worker=worker.id,
        lost_after=timedelta(seconds=settings.worker_lost_after_s),
        packages_most=settings.telemetry.packages_most,
    )
    traces = traces_of(settings, worker=worker.id)
    return Seen(worker=worker, meter=meter, telemetry=Telemetry(tally=meter.tally, traces=traces))
