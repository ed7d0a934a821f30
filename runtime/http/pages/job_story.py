"""What the page of a job tells, computed from events and the artifact. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from frozen.values import frozen
from runtime.artifact.traffic_text import connection_text
from runtime.values.bounds import preview, shortened
from runtime.values.records import Attempt, Event, Job, StoredOutput

NOTHING_YET: Mapping[str, Any] = {
    "callables": (),
    "environment": None,
    "hooks": (),
    "install": None,
    "isolation": None,
    "limits": {},
    "lock_digest": "",
    "notes": (),
    "refusals": (),
    "result": None,
    "result_text": None,
    "timeline": (),
    "traffic": None,
    "usage": None,
}
"""What a page shows of an artifact before the attempt has one."""

LIMIT_OF_USAGE = (
    ("wall", "wall_ms", "wall_s", 1 / 1000, "s"),
    ("cpu", "cpu_ms", "cpu_s", 1 / 1000, "s"),
    ("memory", "peak_rss_bytes", "memory_mb", 1 / 1024**2, "MiB"),
)


LOG_CHARS_MOST = 1 << 20
"""What a page shows of it; the API has the rest."""


@frozen
class Segment:
    """A piece of the timeline. `start` and `width` are parts of the whole, 0 to 100."""

    phase: str
    start: float
    width: float
    duration_ms: float


@frozen
class LogLine:
    """One line of the log: what the run printed or logged, or an event of its own."""

    seq: int
    at: datetime
    stream: str
    text: str


@frozen
class UsageBar:
    """What was used of a limit; `part` is 0 to 100."""

    name: str
    used: float
    limit: float
    unit: str
    part: float


@frozen
class JobStory:
    """Everything that the page of a job shows beside the job itself."""

    attempt: Attempt
    attempts: tuple[Attempt, ...]
    timeline: tuple[Segment, ...]
    log: tuple[LogLine, ...]
    last_seq: int
    outputs: tuple[StoredOutput, ...]
    more_outputs: int
    artifact: dict[str, Any]
    has_artifact: bool
    usage: tuple[UsageBar, ...]
    duration_ms: float | None

    @property
    def is_last(self) -> bool:
        """Return whether the attempt shown is the current one."""
        return self.attempt.number == len(self.attempts)


def story_of(
    job: Job,
    *,
    attempts: tuple[Attempt, ...],
    number: int,
    events: Sequence[Event],
    outputs: tuple[StoredOutput, ...],
    more_outputs: int,
    artifact: Mapping[str, Any] | None,
    now: datetime,
) -> JobStory:
    """Return the story of attempt `number` of `job`."""
    attempt = attempts[number - 1]
    record: dict[str, Any] = dict(NOTHING_YET) | dict(artifact or {})
    if record["result"] is not None:
        record["result_text"] = preview(record["result"])
    mine = [event for event in events if event.attempt == number]
    ended_at = attempt.finished_at or now
    took = (ended_at - attempt.started_at).total_seconds() * 1000 if attempt.started_at else None
    return JobStory(
        attempt=attempt,
        attempts=attempts,
        timeline=timeline(attempt, artifact=record, now=now),
        log=tuple(_kept(line for event in mine if (line := log_line(event)))),
        last_seq=events[-1].seq if events else 0,
        outputs=outputs,
        more_outputs=more_outputs,
        artifact=record,
        has_artifact=artifact is not None,
        usage=usage_bars(record),
        duration_ms=took,
    )


def _kept(lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """Yield the lines that a page has room for, each as far as it is read; then say so."""
    left = LOG_CHARS_MOST
    for line in lines:
        text = shortened(line.text)
        left -= len(text)
        if left < 0:
            yield replace(line, stream="fumehood", text="more is in the events of the job")
            return
        yield replace(line, text=text)


def timeline(
    attempt: Attempt, *, artifact: Mapping[str, Any], now: datetime
) -> tuple[Segment, ...]:
    """Return the phases of an attempt, from the moment it was queued, side by side."""
    begun = attempt.started_at or now
    phases = [("queued", attempt.queued_at, begun)]
    phases += [
        (phase["phase"], _time(phase["started_at"]), _time(phase["ended_at"]))
        for phase in artifact["timeline"]
    ]
    end = attempt.finished_at or max(now, *(stop for _, _, stop in phases))
    whole_s = max((end - attempt.queued_at).total_seconds(), 0.001)
    return tuple(
        Segment(
            phase=name,
            start=_part((start - attempt.queued_at).total_seconds(), whole_s),
            width=max(0.4, _part((stop - start).total_seconds(), whole_s)),
            duration_ms=(stop - start).total_seconds() * 1000,
        )
        for name, start, stop in phases
    )


def _part(seconds: float, whole_s: float) -> float:
    return round(min(100.0, max(0.0, 100 * seconds / whole_s)), 2)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def log_line(event: Event) -> LogLine | None:
    """Return the line that `event` adds to the log, None for those shown elsewhere."""
    data = event.data
    match event.event:
        case "job.log":
            stream = str(data.get("stream", "stdout"))
            text = str(data.get("line", data.get("message", "")))
            text = f"{data['level']}: {text}" if stream == "log" and "level" in data else text
        case "job.event":
            stream = "event"
            text = f"{data.get('name')} {json.dumps(data.get('data', {}), ensure_ascii=False)}"
        case "job.network":
            stream, text = "network", connection_text(data)
        case (
            "job.phase"
            | "job.started"
            | "job.unclaimed"
            | "job.retried"
            | "job.asked"
            | "job.answered"
            | "job.cancelling"
            | "job.finished"
        ):
            stream, text = "fumehood", sentence(event)
        case _:
            return None
    return LogLine(seq=event.seq, at=event.at, stream=stream, text=text)


def sentence(event: Event) -> str:
    """Return what one of our own events says, in words."""
    data = event.data
    match event.event:
        case "job.phase":
            took = data.get("duration_ms")
            after = f" after {float(took):.0f} ms" if isinstance(took, int | float) else ""
            return f"{data.get('phase')} {data.get('state')}{after}"
        case "job.started":
            return f"started on {data.get('worker')}"
        case "job.unclaimed":
            return f"waits again: on {data.get('worker')}, {data.get('why')}"
        case "job.retried":
            return f"queued again: {data.get('why')}"
        case "job.asked":
            return f"asks for {data.get('key')}: {data.get('prompt')}"
        case "job.answered":
            return f"{data.get('key')} answered by {data.get('by')}"
        case "job.cancelling":
            return "asked to stop"
        case _:
            return f"{data.get('state')}"


def usage_bars(artifact: Mapping[str, Any]) -> tuple[UsageBar, ...]:
    """Return what the run used of its limits."""
    usage, limits = artifact["usage"], artifact["limits"]
    if not usage or not limits:
        return ()
    return tuple(
        UsageBar(
            name=name,
            used=usage[used] * scale,
            limit=limits[limit],
            unit=unit,
            part=_part(usage[used] * scale, limits[limit]),
        )
        for name, used, limit, scale, unit in LIMIT_OF_USAGE
        if limit in limits
    )
