"""The bounded queue: an exact count of waiting jobs, changed in the transaction of the job."""

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert

from runtime.errors import QueueFull
from runtime.store import tables

QUEUED = "jobs-queued"


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
        raise QueueFull(
            f"{limit} jobs are waiting, which is as many as may",
            where="queue",
            mend="try again after the seconds in Retry-After, or raise `queue_limit`",
            retry_after_s=1,
        )


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
