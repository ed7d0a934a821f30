"""What the API shows of which job runs when."""

from datetime import datetime

from pydantic import Field, JsonValue

from runtime.http.api.models.views import InputView, JobView, RetryView, View
from runtime.values.times import Time
from runtime.values.when.queue import WorkerNow
from runtime.values.when.schedules import Pause, Schedule, Tick
from runtime.values.when.timetable import next_ticks
from runtime.values.when.waits import Facts, waits_for


class PauseView(View):
    """What is paused, by whom, why, and until when."""

    subject: str
    who: str
    reason: str
    at: Time
    until: Time | None


class TickView(View):
    """What came of one tick of a schedule."""

    at: Time
    outcome: str
    told: str
    job_id: str | None
    noted_at: Time


class ScheduleView(View):
    """A schedule, and when it comes next."""

    id: str
    name: str
    owner: str
    package: str
    version: str | None
    parameters: dict[str, JsonValue]
    inputs: tuple[InputView, ...]
    cron: str
    every_s: int | None
    zone: str
    missed: str
    overlap: str
    priority: int
    retry: RetryView | None
    created_at: Time
    next_at: Time | None
    last_job_id: str | None
    paused: PauseView | None = None
    next_ticks: tuple[Time, ...] = Field((), description="The next five, if it is not paused.")


class ScheduleDetail(ScheduleView):
    """A schedule with what came of its last ticks."""

    ticks: tuple[TickView, ...] = ()


class WaitView(View):
    """One thing that a job waits for, when that clears, and what one can do."""

    code: str
    what: str
    mend: str
    clears_at: Time | None
    jobs: tuple[str, ...]


class WaitsView(View):
    """Everything that a job waits for; nothing once it has ended."""

    job_id: str
    state: str
    expires_at: Time | None
    waits: tuple[WaitView, ...]


class WaitingGroupView(View):
    """How many jobs of a package wait for the same, and since when."""

    package: str
    why: str
    jobs: int
    since: Time


class QueueView(View):
    """What waits and why, what is paused, and how many jobs there are in each state."""

    depth: int
    limit: int
    jobs: dict[str, int]
    waiting: tuple[WaitingGroupView, ...] = ()
    paused: tuple[PauseView, ...] = ()


class RunningJobView(View):
    """A job that a worker runs."""

    id: str
    package: str
    attempt: int
    since: Time | None


class WorkerView(View):
    """A worker and what it runs; one that is drained takes no more jobs."""

    id: str
    host: str
    version: str
    platform: str
    offers: list[str]
    level: str
    slots: int
    running: int
    started_at: Time
    seen_at: Time
    drained_at: Time | None
    drained_by: str
    jobs: tuple[RunningJobView, ...]


class DeadLetterView(View):
    """A job that was given up: as what, in which phase, after how many attempts."""

    code: str
    phase: str
    attempts: int
    at: Time
    job: JobView


class UnreplayedView(View):
    """A dead letter that could not be tried again, and why."""

    job: str
    code: str
    what: str


class ReplayView(View):
    """Which dead letters are tried again, and which could not be."""

    replayed: tuple[str, ...]
    refused: tuple[UnreplayedView, ...]


def schedule_view(
    schedule: Schedule, *, pause: Pause | None, at: datetime, ticks: tuple[Tick, ...] = ()
) -> ScheduleDetail:
    """Return the view of a schedule."""
    first = schedule.next_at
    coming: tuple[datetime, ...] = ()
    if pause is None and first is not None and first > at:
        coming = (first, *next_ticks(schedule.timetable, after=first, number=4))
    elif pause is None:
        coming = next_ticks(schedule.timetable, after=at)
    shown = ScheduleView.model_validate(schedule).model_dump(exclude={"paused", "next_ticks"})
    return ScheduleDetail(
        **shown,
        paused=PauseView.model_validate(pause) if pause else None,
        next_ticks=coming,
        ticks=tuple(TickView.model_validate(tick) for tick in ticks),
    )


def waits_view(facts: Facts) -> WaitsView:
    """Return the view of what a job waits for."""
    job = facts.job
    waits = tuple(WaitView.model_validate(one) for one in waits_for(facts))
    return WaitsView(job_id=job.id, state=job.state, expires_at=job.expires_at, waits=waits)


def worker_view(now: WorkerNow) -> WorkerView:
    """Return the view of a worker."""
    one = now.worker
    return WorkerView(
        id=one.id,
        host=one.host,
        version=one.version,
        platform=one.platform,
        offers=one.offers.split(),
        level=one.level,
        slots=one.slots,
        running=now.running,
        started_at=one.started_at,
        seen_at=one.seen_at,
        drained_at=one.drained_at,
        drained_by=one.drained_by,
        jobs=tuple(RunningJobView.model_validate(job) for job in now.jobs),
    )
