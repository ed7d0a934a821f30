"""The operations of which job runs when: schedules, pauses, workers, dead letters, waits.

>>> why_it_waits("01a2").path
'/v1/jobs/01a2/waits'
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from runtime.client.calls import Call, Input, given, path_at
from runtime.client.views import PageOf
from runtime.client.when_views import (
    DeadLetterView,
    PauseView,
    ReplayView,
    ScheduleDetail,
    ScheduleView,
    WaitsView,
    WorkerView,
)


def why_it_waits(job_id: str) -> Call[WaitsView]:
    """Ask for everything that a job waits for."""
    return Call(method="GET", path=path_at("/v1/jobs/{}/waits", job_id))


def create_schedule(
    name: str,
    package: str,
    *,
    cron: str = "",
    every_s: int | None = None,
    zone: str = "UTC",
    version: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    inputs: Sequence[Input] = (),
    missed: Literal["skip", "once", "all"] = "skip",
    overlap: Literal["allow", "skip", "replace"] = "skip",
    priority: int = 0,
    retry: Mapping[str, Any] | None = None,
) -> Call[ScheduleDetail]:
    """Keep a schedule: by cron in a time zone, or every so many seconds."""
    order = {
        "name": name,
        "package": package,
        "version": version,
        "parameters": dict(parameters or {}),
        "cron": cron,
        "every_s": every_s,
        "zone": zone,
        "missed": missed,
        "overlap": overlap,
        "priority": priority,
        "retry": retry,
    }
    if not inputs:
        return Call(method="POST", path="/v1/schedules", body=order)
    form = {"schedule": json.dumps(order)}
    return Call(method="POST", path="/v1/schedules", form=form, inputs=inputs)


def list_schedules(*, package: str | None = None) -> Call[PageOf[ScheduleView]]:
    """List schedules, the last made first."""
    return Call(method="GET", path="/v1/schedules", query=given({"package": package}))


def get_schedule(schedule_id: str) -> Call[ScheduleDetail]:
    """Ask for a schedule with its next ticks, and what came of the last ones."""
    return Call(method="GET", path=path_at("/v1/schedules/{}", schedule_id))


def remove_schedule(schedule_id: str) -> Call[None]:
    """Forget a schedule; jobs that it made stay."""
    return Call(method="DELETE", path=path_at("/v1/schedules/{}", schedule_id))


def pause_schedule(
    schedule_id: str, *, reason: str, minutes: float | None = None
) -> Call[ScheduleDetail]:
    """Run no tick of a schedule until it is resumed, or for some minutes."""
    path = path_at("/v1/schedules/{}/pause", schedule_id)
    return Call(method="POST", path=path, body={"reason": reason, "minutes": minutes})


def resume_schedule(schedule_id: str) -> Call[ScheduleDetail]:
    """Let a schedule go on."""
    return Call(method="POST", path=path_at("/v1/schedules/{}/resume", schedule_id))


def list_pauses() -> Call[PageOf[PauseView]]:
    """List what is paused."""
    return Call(method="GET", path="/v1/pauses")


def pause(subject: str, *, reason: str, minutes: float | None = None) -> Call[PauseView]:
    """Let no job begin of `subject` (all, or package:NAME) until it is resumed."""
    order = {"subject": subject, "reason": reason, "minutes": minutes}
    return Call(method="POST", path="/v1/pauses", body=order)


def resume(subject: str) -> Call[PauseView]:
    """Let jobs of `subject` begin again."""
    return Call(method="DELETE", path=path_at("/v1/pauses/{}", subject))


def list_workers() -> Call[PageOf[WorkerView]]:
    """List the workers that are alive, and what they run."""
    return Call(method="GET", path="/v1/workers")


def drain_worker(worker_id: str) -> Call[WorkerView]:
    """Let a worker take no more jobs; the answer shows what it waits for."""
    return Call(method="POST", path=path_at("/v1/workers/{}/drain", worker_id))


def resume_worker(worker_id: str) -> Call[WorkerView]:
    """Let a worker take jobs again."""
    return Call(method="POST", path=path_at("/v1/workers/{}/resume", worker_id))


def list_dead_letters(
    *, package: str | None = None, code: str | None = None
) -> Call[PageOf[DeadLetterView]]:
    """List the jobs that were given up."""
    query = given({"package": package, "code": code})
    return Call(method="GET", path="/v1/dead-letters", query=query)


def replay_dead_letters(
    *,
    jobs: Sequence[str] = (),
    every: bool = False,
    package: str | None = None,
    code: str | None = None,
    most: int = 1000,
) -> Call[ReplayView]:
    """Try dead letters again: those named, or every one, of a package and a code if given."""
    order = {"jobs": list(jobs), "all": every, "package": package, "code": code, "most": most}
    return Call(method="POST", path="/v1/dead-letters/replay", body=order)
