"""From what was read to the text that Prometheus scrapes, by a registry made for each scrape.

Imported at the first scrape: prometheus_client brings an HTTP server along (0.1 s of a start).
"""

import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version as distribution_version
from itertools import product

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.registry import Collector

from runtime.telemetry.names import FIXED, METRICS, OTHER, Metric
from runtime.values.totals import Labels, Reading, SeenWorker, Total

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "fumehood_"

type Samples = dict[tuple[str, ...], float]
"""Values by the values of their labels, in the order of the table."""


def exposition(reading: Reading, *, queue_limit: int) -> bytes:
    """Return the metrics as text, each with its meaning and kind."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Shown(reading=reading, queue_limit=queue_limit))
    return generate_latest(registry)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # a registry keeps it as a key
class _Shown(Collector):
    reading: Reading
    queue_limit: int

    def collect(self) -> Iterable[Family]:
        """Yield each metric of the table."""
        samples = _gauges(self.reading, queue_limit=self.queue_limit)
        samples["jobs"] = _endings(self.reading)
        for name, metric in METRICS.items():
            if metric.kind == "histogram":
                yield _histogram(name, metric, totals=self.reading.totals)
                continue
            if metric.kind == "counter" and name not in samples:
                samples[name] = _counted(name, metric, totals=self.reading.totals)
            yield _plain(name, metric, samples=samples[name])


def _plain(name: str, metric: Metric, *, samples: Samples) -> Family:
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}
    family = kinds[metric.kind](PREFIX + name, metric.meaning, labels=metric.labels)
    for labels, value in samples.items():
        family.add_metric(list(labels), value)
    return family


def _endings(reading: Reading) -> Samples:
    return {(package or OTHER, state): value for (package, state), value in reading.ended.items()}


def _counted(name: str, metric: Metric, *, totals: Iterable[Total]) -> Samples:
    """Return the totals of one counter, those that nothing was added to yet as zero."""
    found: Samples = dict.fromkeys(_fixed(name, metric), 0.0)
    for total in totals:
        if total.name == name:
            found[_values(total.labels, metric.labels)] = total.value
    return found


def _fixed(name: str, metric: Metric) -> Iterator[tuple[str, ...]]:
    return product(*(FIXED[name, label] for label in metric.labels))


def _values(labels: Labels, names: Iterable[str]) -> tuple[str, ...]:
    told = dict(labels)
    return tuple(told[name] for name in names)


def _histogram(name: str, metric: Metric, *, totals: Iterable[Total]) -> Family:
    """Return a histogram of what was observed in single buckets; on the page each has all below."""
    counts: defaultdict[tuple[str, ...], Samples] = defaultdict(dict)
    sums: Samples = {}
    for total in totals:
        if total.name == f"{name}_bucket":
            labels = _values(total.labels, metric.labels)
            counts[labels][(dict(total.labels)["le"],)] = total.value
        elif total.name == f"{name}_sum":
            sums[_values(total.labels, metric.labels)] = total.value
    family = HistogramMetricFamily(PREFIX + name, metric.meaning, labels=metric.labels)
    for labels in _fixed(name, metric):
        buckets = list(_cumulative(counts[labels], bounds=metric.buckets))
        family.add_metric(list(labels), buckets, sum_value=sums.get(labels, 0.0))
    return family


def _cumulative(counts: Samples, *, bounds: Iterable[float]) -> Iterator[tuple[str, float]]:
    so_far = 0.0
    for bound in (*(f"{one:g}" for one in bounds), "+Inf"):
        so_far += counts.get((bound,), 0.0)
        yield bound, so_far


def _gauges(reading: Reading, *, queue_limit: int) -> dict[str, Samples]:
    alive = [one for one in reading.workers if one.is_alive]
    python = platform.python_version()
    alone = {
        "queue_depth": reading.queue_depth,
        "queue_limit": queue_limit,
        "queue_oldest_seconds": max(0.0, reading.queue_oldest_s),
        "jobs_running": reading.jobs_running,
        "cells_running": sum(one.reading.cells_running for one in alive),
        "gate_open": float(reading.is_gate_open),
        "slots": sum(one.slots for one in alive if not one.is_drained),
        "worker_heartbeat_age_seconds": max((one.silent_s for one in reading.workers), default=0.0),
    }
    return {
        **{name: {(): float(value)} for name, value in alone.items()},
        "wall_missing": _missing(alive),
        "workers": {(state,): float(number) for state, number in _by_state(reading).items()},
        "build_info": {(distribution_version("fumehood"), python): 1.0},
    }


def _missing(alive: Iterable[SeenWorker]) -> Samples:
    missing: Samples = {}
    for one in alive:
        for layer, is_missing in one.reading.walls.items():
            missing[(layer,)] = missing.get((layer,), 0.0) + is_missing
    return missing


def _by_state(reading: Reading) -> Mapping[str, int]:
    found = {"alive": 0, "drained": 0, "lost": 0}
    for one in reading.workers:
        state = "drained" if one.is_drained else "alive"
        found[state if one.is_alive else "lost"] += 1
    return found
