"""When a schedule comes: cron in a time zone, or every so many seconds. Pure.

A tick is a moment in UTC. At the change of clocks a cron comes as Debian's does (cron(8)): what
would fall into the hour that is left out comes right after it, what would come twice comes once;
a rule with `*` in its minute or hour goes by the hours that really pass.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from frozen.values import frozen
from wheelhouse.problem import Problem

MOST_CRON_CHARS = 200
NEVER = "it never comes: there is no such day"


@frozen
class Timetable:
    """When a schedule comes: by `cron` in `zone`, or every `every_s` seconds after `start`."""

    start: datetime
    cron: str = ""
    every_s: int | None = None
    zone: str = "UTC"


def ticks_after(timetable: Timetable, moment: datetime) -> Iterator[datetime]:
    """Yield each tick that comes after `moment`, in UTC; a cron that never comes again ends.

    >>> noon = datetime(2026, 11, 29, 12, tzinfo=UTC)
    >>> daily = Timetable(start=noon, cron="30 6 * * *", zone="Europe/Berlin")
    >>> next(ticks_after(daily, noon)).isoformat()
    '2026-11-30T05:30:00+00:00'
    """
    if timetable.every_s is not None:
        yield from _every(timetable.start, timetable.every_s, moment)
        return
    last = moment
    for tick in CronSim(timetable.cron, moment.astimezone(_zone(timetable.zone))):
        at = tick.astimezone(UTC)
        if at > last:  # an hour that comes twice leads back
            last = at
            yield at


def _every(start: datetime, every_s: int, moment: datetime) -> Iterator[datetime]:
    between = timedelta(seconds=every_s)
    number = max(0, (moment - start) // between) + 1
    while True:
        yield start + number * between
        number += 1


def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def next_tick(timetable: Timetable, *, after: datetime) -> datetime | None:
    """Return the first tick after a moment; None where none comes any more."""
    return next(ticks_after(timetable, after), None)


def last_tick(timetable: Timetable, *, at: datetime) -> datetime:
    """Return the last tick that came by then; the start where none had."""
    if timetable.every_s is not None:
        between = timedelta(seconds=timetable.every_s)
        return timetable.start + max(0, (at - timetable.start) // between) * between
    after = (at + timedelta(seconds=1)).replace(microsecond=0)
    ticks = CronSim(timetable.cron, after.astimezone(_zone(timetable.zone)), reverse=True)
    return next((tick.astimezone(UTC) for tick in ticks), timetable.start)


@lru_cache(maxsize=4096)
def next_ticks(timetable: Timetable, *, after: datetime, number: int = 5) -> tuple[datetime, ...]:
    """Return the next ticks after a moment; what was asked before is remembered.

    A rare day costs cronsim a look at each day of fifty years (20 ms): ask by a moment that stays,
    such as the tick that comes next.
    """
    return tuple(islice(ticks_after(timetable, after), number))


def judge_timetable(timetable: Timetable, *, at: datetime) -> Iterator[Problem]:
    """Yield every fault of a timetable: both ways or none, a bad cron, an unknown zone."""
    if bool(timetable.cron) == (timetable.every_s is not None):
        what = "a schedule comes by cron or every so many seconds: one of the two"
        yield _fault("contradiction", what, "cron", 'give "cron": "30 6 * * *", or "every_s": 3600')
        return
    if not _is_zone(timetable.zone):
        what = f"there is no time zone {timetable.zone!r}"
        yield _fault("unknown-zone", what, "zone", "take a name of IANA's, such as Europe/Berlin")
        return
    if timetable.cron and (why := _why_no_cron(timetable, at=at)):
        mend = "write five fields: minute, hour, day, month, weekday, such as 30 6 * * 1-5"
        yield _fault("bad-cron", f"{timetable.cron!r} is no cron: {why}", "cron", mend)


def _is_zone(name: str) -> bool:
    try:
        _zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder, a NUL, a way out
        return False
    return True


def _why_no_cron(timetable: Timetable, *, at: datetime) -> str:
    """Return why a cron cannot be followed; empty where it can."""
    if len(timetable.cron) > MOST_CRON_CHARS:
        return f"it has more than {MOST_CRON_CHARS} characters"
    if len(timetable.cron.split()) != 5:  # a sixth field would be seconds: use every_s
        return "it has not five fields"
    try:
        return "" if next_tick(timetable, after=at) else NEVER
    except CronSimError as error:
        return NEVER if str(error) == "Bad day-of-month" else str(error)
    except (ValueError, OverflowError) as error:
        return str(error)


def _fault(code: str, what: str, field: str, mend: str) -> Problem:
    return Problem(code=code, what=what, where=f"schedule: /{field}", mend=mend)
