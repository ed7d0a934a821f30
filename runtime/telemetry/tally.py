"""What a process has counted and not written down yet.

Counting adds to a dict and touches no store: a heartbeat writes it down
(`runtime.telemetry.meter`).

>>> tally = Tally()
>>> tally.count("env_builds", result="built")
>>> tally.observe("job_seconds", 0.3, phase="run")
>>> sorted(total.name for total in tally.take())[:2]
['env_builds', 'job_seconds_bucket']
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from runtime.telemetry.names import FIXED, METRICS
from runtime.values.totals import Labels, Total

REASONS = FIXED["admission_rejected", "reason"]

type Key = tuple[str, Labels]


@dataclass(slots=True)
class Tally:
    """Counts and observations since they were taken last. For one event loop and its threads."""

    counts: dict[Key, float] = field(default_factory=dict[Key, float])

    def count(self, name: str, *, by: float = 1.0, **labels: str) -> None:
        """Count something that happened. The labels are those of the table of metrics."""
        self._add(name, by, labels=tuple(sorted(labels.items())))

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        """Add a duration to a histogram: one bucket, the sum and the number."""
        told = tuple(sorted(labels.items()))
        bounds, names = _buckets(name)
        bucket = names[bisect_left(bounds, seconds)]
        self._add(f"{name}_bucket", 1.0, labels=(*told, ("le", bucket)))
        self._add(f"{name}_sum", max(0.0, seconds), labels=told)

    def refused(self, code: str) -> None:
        """Count an order that was refused, where it was for now: the code of its fault says so."""
        if code in REASONS:
            self.count("admission_rejected", reason=code)

    def take(self) -> tuple[Total, ...]:
        """Return all that was counted, and begin anew."""
        taken, self.counts = self.counts, {}
        return tuple(
            Total(name=name, labels=labels, value=value) for (name, labels), value in taken.items()
        )

    def put_back(self, totals: Iterable[Total]) -> None:
        """Count again what could not be written down."""
        for total in totals:
            self._add(total.name, total.value, labels=total.labels)

    def _add(self, name: str, by: float, *, labels: Labels) -> None:
        key = (name, labels)
        self.counts[key] = self.counts.get(key, 0.0) + by


@cache
def _buckets(name: str) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Return the bounds of a histogram, and what its buckets are called, the endless one last."""
    bounds = METRICS[name].buckets
    return bounds, (*(f"{bound:g}" for bound in bounds), "+Inf")
