"""Totals that only ever rise, and what a scrape reads of the store: values of the metrics."""

from collections.abc import Mapping
from dataclasses import field

from frozen.values import frozen

type Labels = tuple[tuple[str, str], ...]
"""Names and values of labels, by name."""


@frozen
class Total:
    """So much more, or so much in all, of one thing."""

    name: str
    labels: Labels
    value: float


@frozen
class WorkerReading:
    """What a worker told of itself at a heartbeat.

    `walls` says of each wall whether it was missing around its last run.
    """

    cells_running: int = 0
    walls: Mapping[str, bool] = field(default_factory=dict[str, bool])


@frozen
class SeenWorker:
    """A worker, how long ago it was seen, and what it told then."""

    slots: int
    is_alive: bool
    is_drained: bool
    silent_s: float
    reading: WorkerReading


@frozen
class Reading:
    """All that a scrape reads of the store, of one moment.

    `ended` are numbers of jobs by package and state; None are the packages beyond the bound.
    """

    ended: Mapping[tuple[str | None, str], float]
    totals: tuple[Total, ...]
    queue_depth: int
    queue_oldest_s: float
    jobs_running: int
    is_gate_open: bool
    workers: tuple[SeenWorker, ...]
