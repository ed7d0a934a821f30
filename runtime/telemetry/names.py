"""The table of the metrics: what each is called, means, and by which labels it is told apart.

No label has more values than are named here, but `package`, which the setting
`telemetry.packages_most` bounds. The id of a job is never one.
"""

from collections.abc import Mapping
from typing import Literal

from frozen.values import frozen

type Kind = Literal["counter", "gauge", "histogram"]

SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
"""The bounds of the buckets of a job: from a warm run to one that takes all that it may."""
START_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The bounds for the start of a cell: 2 ms warm, 25 ms cold, half a second with a big import."""
OTHER = "_other"
"""The packages beyond `telemetry.packages_most`, together: no package can be called so."""


@frozen
class Metric:
    """One metric; its name on the page begins with `fumehood_`."""

    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


METRICS: Mapping[str, Metric] = {
    "jobs": Metric(
        kind="counter",
        meaning="Jobs that came to an end; a job that is tried again ends again.",
        labels=("package", "state"),
    ),
    "job_seconds": Metric(
        kind="histogram",
        meaning="How long jobs took: waiting, and each phase of an attempt.",
        labels=("phase",),
        buckets=SECONDS,
    ),
    "queue_depth": Metric(kind="gauge", meaning="Jobs that wait."),
    "queue_limit": Metric(kind="gauge", meaning="Jobs that may wait."),
    "queue_oldest_seconds": Metric(
        kind="gauge",
        meaning="How long a job has waited that could begin now; the longest of the first ones.",
    ),
    "jobs_running": Metric(kind="gauge", meaning="Jobs that run."),
    "admission_rejected": Metric(
        kind="counter", meaning="Orders that were refused for now.", labels=("reason",)
    ),
    "cells_running": Metric(kind="gauge", meaning="Cells in which something runs."),
    "cell_start_seconds": Metric(
        kind="histogram",
        meaning="How long it took until a cell was ready for its run.",
        labels=("kind",),
        buckets=START_SECONDS,
    ),
    "env_builds": Metric(
        kind="counter", meaning="Environments that were built, or failed to.", labels=("result",)
    ),
    "gate_open": Metric(kind="gauge", meaning="1 while the network gate is open."),
    "gate_fetches": Metric(kind="counter", meaning="Wheels that came through the gate."),
    "wall_missing": Metric(
        kind="gauge",
        meaning="Workers of which the last run lacked this wall.",
        labels=("layer",),
    ),
    "workers": Metric(kind="gauge", meaning="Workers by their state.", labels=("state",)),
    "slots": Metric(kind="gauge", meaning="Attempts that all workers alive run at a time."),
    "worker_heartbeat_age_seconds": Metric(
        kind="gauge", meaning="How long ago the quietest worker showed a sign of life."
    ),
    "build_info": Metric(
        kind="gauge", meaning="1; what this appliance is.", labels=("version", "python")
    ),
}
FIXED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("job_seconds", "phase"): ("queue", "environment", "run", "collect", "hook"),
    ("cell_start_seconds", "kind"): ("cold", "warm"),
    ("env_builds", "result"): ("built", "failed"),
    ("admission_rejected", "reason"): ("queue-full", "quota-exceeded"),
}
"""Labels whose values are known before anything has happened: these are shown as 0 from the start,
so that the first one is seen as a rise."""
