"""Pauses: of all dispatch, of a package, of a schedule."""

from datetime import datetime

from sqlalchemy import Connection, String, bindparam, delete, func, literal, or_, select, update

from runtime.store.jobs import turns
from runtime.store.schema import tables
from runtime.store.schema.tables_when import pauses
from runtime.store.statements import upsert
from runtime.store.statements.rows import PAUSE, plain, value_of
from runtime.values.states import State
from runtime.values.when.line import HELD, KEY, NOT_DUE, PACKAGE, RATE
from runtime.values.when.schedules import Pause

MOST_HOLDERS = 1000
HELD_BY = tables.jobs.c.held_by
NEXT_HOLDER = select(func.min(HELD_BY)).where(
    bindparam("after") < HELD_BY, bindparam("end") > HELD_BY
)
NO_JOB = literal("")
FREE_SLOT = select(turns.with_slot(bindparam("key", type_=String), but=NO_JOB))
FREE_RATE = select(turns.with_rate(bindparam("key", type_=String), but=NO_JOB))
MOST_RELEASED = 200
"""How many jobs of a package join their lines at once when it is resumed."""


_OVER = select(pauses).where(pauses.c.until.is_not(None), pauses.c.until <= bindparam("at"))
"""Made once: it is asked each second."""


def get(connection: Connection, *, subject: str) -> Pause | None:
    """Return the pause of `subject`, None for none."""
    row = connection.execute(select(pauses).where(pauses.c.subject == subject)).first()
    return value_of(row, PAUSE) if row else None


def list_pauses(connection: Connection) -> tuple[Pause, ...]:
    """Return all pauses, by what they are of."""
    found = connection.execute(select(pauses).order_by(pauses.c.subject))
    return tuple(value_of(row, PAUSE) for row in found)


def put(connection: Connection, *, pause: Pause) -> Pause:
    """Pause what is not paused yet, or change until when and why."""
    values = plain(pause, PAUSE) | {"at": pause.at, "until": pause.until}
    upsert.put(connection, pauses, key={"subject": pause.subject}, values=values)
    if pause.subject.startswith(PACKAGE):
        _hold_all(connection, package=pause.subject.removeprefix(PACKAGE), at=pause.at)
    return pause


def remove(connection: Connection, *, subject: str, at: datetime) -> Pause | None:
    """End a pause; return what it was, None where there was none."""
    found = get(connection, subject=subject)
    connection.execute(delete(pauses).where(pauses.c.subject == subject))
    if found and subject.startswith(PACKAGE):
        turns.release(connection, held_by=subject, at=at, most=MOST_RELEASED)
    return found


def _hold_all(connection: Connection, *, package: str, at: datetime) -> None:
    """Take all jobs of a package out of their lines, in their order, by one statement.

    Others that have their keys follow: they may be of a package that is not paused.
    """
    jobs = tables.jobs.c
    standing = (jobs.package == package, jobs.state == State.QUEUED, jobs.turn < NOT_DUE)
    has_key = or_(jobs.slot_key.is_not(None), jobs.rate_key.is_not(None))
    query = select(jobs.slot_key, jobs.rate_key).where(*standing, has_key).distinct()
    keys = connection.execute(query.limit(MOST_RELEASED)).all()
    connection.execute(
        update(tables.jobs)
        .where(*standing)
        .values(turn=jobs.turn + HELD, held_by=PACKAGE + package)
    )
    for slot_key, rate_key in keys:
        turns.left_line(connection, slot_key=slot_key, rate_key=rate_key, at=at)


def resumed(connection: Connection) -> tuple[str, ...]:
    """Return the packages whose jobs are held by a pause that has ended."""
    there = {one.subject for one in list_pauses(connection)}
    return tuple(one for one in holders(connection, kind=PACKAGE) if one not in there)


def forgotten(connection: Connection) -> tuple[str, ...]:
    """Return the keys that hold jobs although nobody is there who would let them go.

    None should ever be: each who lets go releases the next. This is the net below.
    """
    keys = (
        *((one, FREE_SLOT, KEY) for one in holders(connection, kind=KEY)),
        *((one, FREE_RATE, RATE) for one in holders(connection, kind=RATE)),
    )
    return tuple(
        one
        for one, query, kind in keys
        if connection.execute(query, {"key": one.removeprefix(kind)}).scalar() == 0
    )


def holders(connection: Connection, *, kind: str) -> list[str]:
    """Return what of a kind holds jobs: one look into the index for each, however many it holds."""
    found: list[str] = []
    after, end = kind, kind[:-1] + chr(ord(kind[-1]) + 1)
    while len(found) < MOST_HOLDERS:
        following = connection.execute(NEXT_HOLDER, {"after": after, "end": end}).scalar()
        if following is None:
            return found
        found.append(following)
        after = following
    return found


def let_go(connection: Connection, *, held_by: tuple[str, ...], at: datetime) -> None:
    """Let some of those go that nothing holds any more.

    Of a package that was resumed the others follow: thousands at once would hold up the store.
    """
    for one in held_by:
        most = MOST_RELEASED if one.startswith(PACKAGE) else 1
        turns.release(connection, held_by=one, at=at, most=most)


def over(connection: Connection, *, at: datetime) -> tuple[Pause, ...]:
    """Return the pauses that are over by their own word."""
    return tuple(value_of(row, PAUSE) for row in connection.execute(_OVER, {"at": at}))
