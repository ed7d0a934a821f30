"""What happened to jobs, in the order of `seq`, which counts from 1 for each job."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from runtime.store import tables
from runtime.store.rows import EVENT, value_of
from runtime.values.records import Event, JsonObject

type Happening = tuple[datetime, str, JsonObject]
"""When, the event's name, and its data."""


def append(
    connection: Connection, *, job_id: str, attempt: int, happenings: Sequence[Happening]
) -> None:
    """Add `happenings` to the job's events."""
    if not happenings:
        return
    last = last_seq(connection, job_id=job_id)
    connection.execute(
        tables.events.insert(),
        [
            {"job": job_id, "seq": seq, "attempt": attempt, "at": at, "event": name, "data": data}
            for seq, (at, name, data) in enumerate(happenings, start=last + 1)
        ],
    )


def last_seq(connection: Connection, *, job_id: str) -> int:
    """Return the number of the job's last event, 0 for none."""
    query = select(func.max(tables.events.c.seq)).where(tables.events.c.job == job_id)
    return connection.execute(query).scalar() or 0


def read(
    connection: Connection, *, job_id: str, after: int = 0, limit: int = 1000
) -> tuple[Event, ...]:
    """Return up to `limit` events of a job that follow number `after`."""
    query = (
        select(tables.events)
        .where(tables.events.c.job == job_id, tables.events.c.seq > after)
        .order_by(tables.events.c.seq)
        .limit(limit)
    )
    return tuple(value_of(row, EVENT) for row in connection.execute(query))
