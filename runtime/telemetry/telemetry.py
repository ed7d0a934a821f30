"""What the story of a job is given to be seen by: a tally of the process, and its traces."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import field

from frozen.values import frozen
from runtime.telemetry.tally import Tally
from runtime.telemetry.traces import NoTraces, Traces
from runtime.values.around.questions import Waits
from runtime.values.records import Finish, Job
from runtime.values.states import State

PHASES = {
    "environment": "environment",
    "extract": "run",
    "collect": "collect",
    "on_after_extract": "hook",
}
"""What the phases of an attempt are called as labels of a metric."""


@frozen
class Telemetry:
    """Counts, and tells of spans; by itself it counts for nobody and tells nobody."""

    tally: Tally = field(default_factory=Tally)
    traces: Traces = field(default_factory=NoTraces)

    def began(self, job: Job) -> None:
        """Add to the waits how long a job has waited since it could begin."""
        since = max(job.queued_at, job.due_at)
        waited_s = ((job.started_at or since) - since).total_seconds()
        self.tally.observe("job_seconds", waited_s, phase="queue")

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        """Measure a phase of the attempt under way, and tell of it; one that we fail counts not."""
        started = time.monotonic()
        with self.traces.phase(name):
            yield
        took_s = time.monotonic() - started
        self.tally.observe("job_seconds", took_s, phase=PHASES[name])

    @contextmanager
    def publishing(self, finish: Finish | Waits) -> Generator[None]:
        """Tell how the attempt under way ended, and of its publication while that lasts."""
        self.traces.ended(State.WAITING if isinstance(finish, Waits) else finish.state)
        with self.traces.phase("publish"):
            yield
