"""What `fumehood top` shows: the appliance at a glance, from what its API answers. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from runtime.cli.output.printing import table
from runtime.client.views import GateView, State
from runtime.client.when_views import QueueView, WorkerView

ENDINGS: tuple[State, ...] = ("succeeded", "failed", "cancelled")
MOST_ROWS = 15
BAR = 20


class Sample(TypedDict):
    """The appliance at one moment; None is what this token may not see.

    `rates` are ends of jobs in a second since the sample before; None in the first one.
    """

    at: str
    queue: QueueView
    workers: list[WorkerView] | None
    gate: GateView | None
    rates: dict[str, float] | None


def rates_between(before: Sample, now: Sample) -> dict[str, float]:
    """Return how many jobs ended in a second between two samples, by how they ended.

    What retention deletes meanwhile makes no rate negative.
    """
    spent_s = (_moment(now["at"]) - _moment(before["at"])).total_seconds()
    earlier, later = before["queue"]["jobs"], now["queue"]["jobs"]
    rates: dict[str, float] = {}
    for state in ENDINGS:
        rise = max(0, later.get(state, 0) - earlier.get(state, 0))
        rates[state] = round(rise / max(spent_s, 0.001), 2)
    return rates


def top_text(sample: Sample) -> str:
    """Return a sample as text, the most pressing first."""
    parts = [_head(sample), _queue_lines(sample["queue"], at=sample["at"])]
    if waiting := sample["queue"]["waiting"]:
        parts.append(_first_of(waiting, columns=("package", "why", "jobs", "since")))
    if sample["workers"] is None:
        parts.append("workers: not in sight of this token")
    else:
        parts += _workers(sample["workers"], at=sample["at"])
    return "\n\n".join(parts)


def _head(sample: Sample) -> str:
    rates = sample["rates"]
    told = "  ".join(f"{state} {rates[state]:g}/s" for state in ENDINGS) if rates else "–"
    return f"{_gate_line(sample['gate'])}\nends  {told}"


def _gate_line(gate: GateView | None) -> str:
    if gate is None:
        return "gate  not in sight of this token"
    if not gate["is_open"]:
        return "gate  closed"
    until = f" until {gate['until']}" if gate["until"] else ""
    return f"gate  OPEN{until} by {gate['who']}: {gate['reason']}"


def _queue_lines(queue: QueueView, *, at: str) -> str:
    depth, limit = queue["depth"], queue["limit"]
    filled = min(BAR, round(BAR * depth / max(1, limit)))
    oldest = min((one["since"] for one in queue["waiting"]), default=None)
    age = f", the first one for {_age(oldest, at=at)}" if oldest else ""
    counts = ", ".join(f"{number} {state}" for state, number in queue["jobs"].items())
    lines = [
        f"queue {'#' * filled}{'.' * (BAR - filled)} {depth} of {limit} that may wait{age}",
        f"jobs  {counts}",
    ]
    lines += [f"      {one['subject']} is paused: {one['reason']}" for one in queue["paused"]]
    return "\n".join(lines)


def _workers(workers: Sequence[WorkerView], *, at: str) -> list[str]:
    if not workers:
        return ["no worker is alive"]
    rows = [
        {
            "worker": one["id"],
            "slots": f"{one['running']} of {one['slots']}",
            "seen": f"{_age(one['seen_at'], at=at)} ago",
            "state": "drained" if one["drained_at"] else "works",
        }
        for one in workers
    ]
    running = [
        {
            "job": job["id"],
            "package": job["package"],
            "attempt": job["attempt"],
            "for": _age(job["since"], at=at) if job["since"] else "–",
            "worker": one["id"],
        }
        for one in workers
        for job in one["jobs"]
    ]
    parts = [_first_of(rows, columns=("worker", "slots", "seen", "state"))]
    if running:
        parts.append(_first_of(running, columns=("job", "package", "attempt", "for", "worker")))
    return parts


def _first_of(rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str]) -> str:
    shown = table(rows[:MOST_ROWS], columns=columns)
    return shown if len(rows) <= MOST_ROWS else f"{shown}\n… and {len(rows) - MOST_ROWS} more"


def _age(since: str, *, at: str) -> str:
    """Return how long ago something was.

    >>> _age("2026-11-29T08:00:00Z", at="2026-11-29T09:01:05Z")
    '1 h 1 min'
    """
    age_s = max(0, round((_moment(at) - _moment(since)).total_seconds()))
    if age_s < 60:
        return f"{age_s} s"
    if age_s < 3600:
        return f"{age_s // 60} min {age_s % 60} s"
    return f"{age_s // 3600} h {age_s % 3600 // 60} min"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
