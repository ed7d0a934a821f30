"""What happened to jobs, in the order of `seq`, which counts from 1 for each job."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from runtime.store.schema import tables
from runtime.store.statements.prepared import Prepared
from runtime.store.statements.rows import EVENT, value_of
from runtime.values.records import Event, JsonObject

type Happening = tuple[datetime, str, JsonObject]
"""When, the event's name, and its data."""

INSERT = Prepared(tables.events.insert())
NEXT_SEQ = func.coalesce(func.max(tables.events.c.seq), 0) + 1
LAST_SEQ = (
    select(func.coalesce(func.max(tables.events.c.seq), 0))
    .where(tables.events.c.job == tables.jobs.c.id)
    .correlate(tables.jobs)
    .scalar_subquery()
    .label("last_seq")
)
"""The number of the last event of a job that is changed: where that is known, to add some more is
three times as fast."""
INSERT_NEXT = Prepared(
    tables.events.insert().from_select(
        ["job", "seq", "attempt", "at", "event", "data"],
        select(
            bindparam("of_job", type_=tables.events.c.job.type),
            NEXT_SEQ,
            bindparam("of_attempt", type_=tables.events.c.attempt.type),
            bindparam("happened_at", type_=tables.events.c.at.type),
            bindparam("name", type_=tables.events.c.event.type),
            bindparam("told", type_=tables.events.c.data.type),
        ).where(tables.events.c.job == bindparam("of_job")),
    )
)
"""An event after the last one: to ask first which that is would be one more journey."""
FOLLOWING = Prepared(
    select(tables.events)
    .where(tables.events.c.job == bindparam("of_job"), tables.events.c.seq > bindparam("after"))
    .order_by(tables.events.c.seq)
    .limit(bindparam("most"))
)


def append(
    connection: Connection,
    *,
    job_id: str,
    attempt: int,
    happenings: Sequence[Happening],
    last: int | None = None,
) -> None:
    """Add `happenings` to the job's events; `last` is the number of its last one, if known."""
    if not happenings:
        return
    if last is None:
        _append_after_the_last(connection, happenings, job_id=job_id, attempt=attempt)
        return
    INSERT.run_each(
        connection,
        [
            {"job": job_id, "seq": seq, "attempt": attempt, "at": at, "event": name, "data": data}
            for seq, (at, name, data) in enumerate(happenings, start=last + 1)
        ],
    )


def _append_after_the_last(
    connection: Connection, happenings: Sequence[Happening], *, job_id: str, attempt: int
) -> None:
    of = {"of_job": job_id, "of_attempt": attempt}
    rows = [of | {"happened_at": at, "name": name, "told": data} for at, name, data in happenings]
    INSERT_NEXT.run_each(connection, rows)


def narrative(connection: Connection, *, job_id: str, attempt: int) -> tuple[Event, ...]:
    """Return what tells how an attempt went: where it started last, and each of its phases."""
    query = (
        select(tables.events)
        .where(
            tables.events.c.job == job_id,
            tables.events.c.attempt == attempt,
            tables.events.c.event.in_(("job.started", "job.phase")),
        )
        .order_by(tables.events.c.seq)
    )
    told = [value_of(row, EVENT) for row in connection.execute(query)]
    starts = [number for number, one in enumerate(told) if one.event == "job.started"]
    return tuple(told[starts[-1] :] if starts else told)  # it may have been claimed in vain before


def read(
    connection: Connection, *, job_id: str, after: int = 0, limit: int = 1000
) -> tuple[Event, ...]:
    """Return up to `limit` events of a job that follow number `after`."""
    keys = {"of_job": job_id, "after": after, "most": limit}
    return tuple(value_of(row, EVENT) for row in FOLLOWING.all(connection, keys))
