"""The bounded queue: an exact count of waiting jobs, changed in the transaction of the job."""

import math

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert

from runtime.errors import QueueFull
from runtime.store import tables

QUEUED = "jobs-queued"
SAMPLE = 20
LONGEST_WAIT_S = 60


def admit(connection: Connection, *, limit: int) -> None:
    """Count one more waiting job; raise QueueFull when `limit` of them wait already."""
    connection.execute(
        insert(tables.counters).values(name=QUEUED, value=0).on_conflict_do_nothing()
    )
    counted = connection.execute(
        update(tables.counters)
        .where(tables.counters.c.name == QUEUED, tables.counters.c.value < limit)
        .values(value=tables.counters.c.value + 1)
    )
    if counted.rowcount == 0:
        raise _full(connection, limit=limit)


def refuse_if_full(connection: Connection, *, limit: int) -> None:
    """Raise QueueFull when `limit` jobs wait; counts nothing."""
    if depth(connection) >= limit:
        raise _full(connection, limit=limit)


def _full(connection: Connection, *, limit: int) -> QueueFull:
    return QueueFull(
        f"{depth(connection)} jobs are waiting, and {limit} may",
        where="queue",
        mend="try again after the seconds in Retry-After; the setting is `queue_limit`",
        retry_after_s=_drain_s(connection),
    )


def _drain_s(connection: Connection) -> int:
    """Return after how many seconds a place is likely to be free, by the last jobs started."""
    query = (
        select(tables.attempts.c.started_at)
        .where(tables.attempts.c.started_at.is_not(None))
        .order_by(tables.attempts.c.started_at.desc())
        .limit(SAMPLE)
    )
    started = [at for at in connection.execute(query).scalars() if at]
    if len(started) < 2:
        return LONGEST_WAIT_S
    between_s = (started[0] - started[-1]).total_seconds() / (len(started) - 1)
    return min(max(1, math.ceil(between_s)), LONGEST_WAIT_S)


def readmit(connection: Connection) -> None:
    """Count one more waiting job that was accepted before: it is never refused."""
    _add(connection, 1)


def leave(connection: Connection) -> None:
    """Count one waiting job less."""
    _add(connection, -1)


def _add(connection: Connection, by: int) -> None:
    connection.execute(
        update(tables.counters)
        .where(tables.counters.c.name == QUEUED)
        .values(value=tables.counters.c.value + by)
    )


def depth(connection: Connection) -> int:
    """Return how many jobs wait."""
    query = select(tables.counters.c.value).where(tables.counters.c.name == QUEUED)
    return connection.execute(query).scalar() or 0
