"""Schedules, their ticks, and pauses, as the store keeps them."""

from datetime import datetime

from frozen.values import frozen
from runtime.values.access import Sight, is_bound_to
from runtime.values.records import JobInput, JsonObject, RequestSnapshot
from runtime.values.retries import RetryPolicy
from runtime.values.when.ticks import Missed, Outcome, Overlap
from runtime.values.when.timetable import Timetable

ALL = "all"
PACKAGE, SCHEDULE = "package:", "schedule:"
"""What can be paused: all dispatch, a package by its name, a schedule by its id."""


def is_told(subject: str, *, sight: Sight) -> bool:
    """Return whether a pause of `subject` is told to who has `sight`; schedules tell of theirs.

    >>> bound = Sight(packages=("hello",))
    >>> [is_told(one, sight=bound) for one in ("all", "package:hello", "package:other")]
    [True, True, False]
    """
    if subject.startswith(PACKAGE):
        return is_bound_to(sight.packages, subject.removeprefix(PACKAGE))
    return not subject.startswith(SCHEDULE)


@frozen
class Schedule:
    """Jobs that somebody ordered for times to come; inputs are kept by digest.

    `next_at` is the tick that it waits for, None where none comes any more. Its jobs are those of
    who made it, and run on `version`, or on what is active then.
    """

    id: str
    name: str
    owner: str
    package: str
    version: str | None
    parameters: JsonObject
    inputs: tuple[JobInput, ...]
    request: RequestSnapshot
    cron: str
    every_s: int | None
    zone: str
    missed: Missed
    overlap: Overlap
    created_at: datetime
    next_at: datetime | None
    last_job_id: str | None = None
    priority: int = 0
    retry: RetryPolicy | None = None

    @property
    def timetable(self) -> Timetable:
        """Return when it comes."""
        return Timetable(
            start=self.created_at, cron=self.cron, every_s=self.every_s, zone=self.zone
        )


@frozen
class Tick:
    """What came of one tick of a schedule; its row is the lock that lets one worker run it."""

    schedule_id: str
    at: datetime
    outcome: Outcome
    noted_at: datetime
    told: str = ""
    job_id: str | None = None


@frozen
class Pause:
    """What waits since somebody said so: who, why, and until when (None: until it is resumed)."""

    subject: str
    who: str
    reason: str
    at: datetime
    until: datetime | None = None
