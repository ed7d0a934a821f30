"""What operators ask of the queue: what waits for what, and what each worker runs."""

from datetime import datetime

from frozen.values import frozen
from runtime.values.records import Worker


@frozen
class WaitingGroup:
    """How many jobs of a package wait for the same, and since when the first of them does."""

    package: str
    why: str
    jobs: int
    since: datetime


@frozen
class RunningJob:
    """A job that a worker runs."""

    id: str
    package: str
    attempt: int
    since: datetime | None


@frozen
class WorkerNow:
    """A worker, how many jobs it runs, and which of them who asks may see."""

    worker: Worker
    running: int
    jobs: tuple[RunningJob, ...]
