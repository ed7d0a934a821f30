"""What comes of the ticks of a schedule: run now, or left out as missed. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice, takewhile

from frozen.values import frozen
from runtime.values.when.timetable import Timetable, last_tick, next_tick, ticks_after

MISSED_AFTER = timedelta(seconds=60)
"""A tick that is looked at so much later was missed: nobody was there to run it, or no room."""
MOST_AT_ONCE = 100
"""How many ticks one look runs; the others follow with the next looks."""
A_MOMENT = timedelta(microseconds=1)


class Missed(StrEnum):
    """What to do with ticks that were missed."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


class Overlap(StrEnum):
    """What to do with a tick while the job of the last one has not ended."""

    ALLOW = "allow"
    SKIP = "skip"
    REPLACE = "replace"


class Outcome(StrEnum):
    """What came of a tick."""

    RUN = "run"
    MISSED = "missed"
    OVERLAPPED = "overlapped"
    REFUSED = "refused"


@frozen
class Due:
    """The ticks to run now, and the tick that the schedule waits for next, None for none.

    `left_out` is the first of those that were missed and are not made good.
    """

    run: tuple[datetime, ...]
    next_at: datetime | None
    left_out: datetime | None = None


def due_ticks(timetable: Timetable, *, waits_for: datetime, now: datetime, missed: Missed) -> Due:
    """Return what to do at `now` about a schedule whose next tick is `waits_for`.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 11, 29, 12, tzinfo=UTC)
    >>> hourly = Timetable(start=noon, every_s=3600)
    >>> first, late = noon + timedelta(hours=1), noon + timedelta(hours=5, minutes=30)
    >>> [len(due_ticks(hourly, waits_for=first, now=late, missed=one).run) for one in Missed]
    [0, 1, 5]
    """
    if waits_for > now:
        return Due(run=(), next_at=waits_for)
    on_time_from = max(waits_for, now - MISSED_AFTER)
    is_late = waits_for < on_time_from
    if missed is Missed.ALL or not is_late:
        return _run(timetable, first=waits_for, now=now)
    if missed is Missed.ONCE:
        return Due(run=(last_tick(timetable, at=now),), next_at=next_tick(timetable, after=now))
    due = _run(timetable, first=on_time_from, now=now)
    return Due(run=due.run, next_at=due.next_at, left_out=waits_for)


def _run(timetable: Timetable, *, first: datetime, now: datetime) -> Due:
    """Return the ticks from `first` on that are due, as many as one look runs."""
    coming = ticks_after(timetable, first - A_MOMENT)
    due = tuple(islice(takewhile(lambda tick: tick <= now, coming), MOST_AT_ONCE))
    last = due[-1] if due else now
    return Due(run=due, next_at=next_tick(timetable, after=last))
