"""What the appliance answers of which job runs when, as types."""

from typing import Any, Literal, TypedDict

from runtime.client.views import InputView, JobView, RetryView, State


class WaitingGroupView(TypedDict):
    """How many jobs of a package wait for the same, and since when."""

    package: str
    why: str
    jobs: int
    since: str


class PauseView(TypedDict):
    """What is paused, by whom, why, and until when."""

    subject: str
    who: str
    reason: str
    at: str
    until: str | None


class TickView(TypedDict):
    """What came of one tick of a schedule."""

    at: str
    outcome: Literal["run", "missed", "overlapped", "refused"]
    told: str
    job_id: str | None
    noted_at: str


class ScheduleView(TypedDict):
    """A schedule, and when it comes next."""

    id: str
    name: str
    owner: str
    package: str
    version: str | None
    parameters: dict[str, Any]
    inputs: list[InputView]
    cron: str
    every_s: int | None
    zone: str
    missed: Literal["skip", "once", "all"]
    overlap: Literal["allow", "skip", "replace"]
    priority: int
    retry: RetryView | None
    created_at: str
    next_at: str | None
    last_job_id: str | None
    paused: PauseView | None
    next_ticks: list[str]


class ScheduleDetail(ScheduleView):
    """A schedule with what came of its last ticks."""

    ticks: list[TickView]


class WaitView(TypedDict):
    """One thing that a job waits for, when that clears, and what one can do."""

    code: str
    what: str
    mend: str
    clears_at: str | None
    jobs: list[str]


class WaitsView(TypedDict):
    """Everything that a job waits for."""

    job_id: str
    state: State
    expires_at: str | None
    waits: list[WaitView]


class RunningJobView(TypedDict):
    """A job that a worker runs."""

    id: str
    package: str
    attempt: int
    since: str | None


class WorkerView(TypedDict):
    """A worker and what it runs."""

    id: str
    host: str
    version: str
    platform: str
    offers: list[str]
    level: str
    slots: int
    running: int
    started_at: str
    seen_at: str
    drained_at: str | None
    drained_by: str
    jobs: list[RunningJobView]


class DeadLetterView(TypedDict):
    """A job that was given up."""

    code: str
    phase: str
    attempts: int
    at: str
    job: JobView


class UnreplayedView(TypedDict):
    """A dead letter that could not be tried again, and why."""

    job: str
    code: str
    what: str


class ReplayView(TypedDict):
    """Which dead letters are tried again, and which could not be."""

    replayed: list[str]
    refused: list[UnreplayedView]


class QueueView(TypedDict):
    """How much waits, how much may, why, and how many jobs there are in each state."""

    depth: int
    limit: int
    jobs: dict[State, int]
    waiting: list[WaitingGroupView]
    paused: list[PauseView]
