"""What a scrape reads, each by an index or a counter; and what heartbeats write of it."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, bindparam, func, select, update

from runtime.store.access import gate
from runtime.store.jobs import admission
from runtime.store.schema import tables
from runtime.store.schema.tables_around import job_endings, totals
from runtime.store.totals import add
from runtime.values.records import JsonObject
from runtime.values.states import State
from runtime.values.totals import Reading, SeenWorker, Total, WorkerReading
from runtime.values.when.line import NOT_DUE

READING = TypeAdapter(WorkerReading)
LOOKED_AT = 100
"""How many of those who wait are looked at for the one that has waited longest."""

jobs = tables.jobs
STANDS = (jobs.c.state == State.QUEUED, jobs.c.turn < NOT_DUE, jobs.c.held_by.is_(None))
NEXT_IN_TURN = select(jobs.c.due_at).where(*STANDS).order_by(jobs.c.turn, jobs.c.id)
RUNNING = select(func.count()).select_from(jobs).where(jobs.c.state == State.RUNNING)
SHOWN = (
    select(tables.packages.c.name)
    .order_by(tables.packages.c.created_at, tables.packages.c.name)
    .limit(bindparam("most"))
)
"""The packages that have a name of their own: the first ones. Who came first stays first, so no
counter ever falls because another package grew."""
ENDINGS = select(job_endings).where(job_endings.c.package.in_(SHOWN))
OTHERS = (
    select(job_endings.c.state, func.sum(job_endings.c.value).label("value"))
    .where(job_endings.c.package.not_in(SHOWN))
    .group_by(job_endings.c.state)
)


def keep(
    connection: Connection, *, more: Iterable[Total], worker: str, reading: JsonObject | None
) -> None:
    """Write down what a worker has counted, and how it is where that has changed."""
    add(connection, more=more)
    if reading is not None:
        workers = tables.workers
        connection.execute(
            update(workers).where(workers.c.id == worker).values(reading=dict(reading))
        )


def read(connection: Connection, *, at: datetime, since: datetime, packages_most: int) -> Reading:
    """Return all that a scrape shows; workers seen at `since` or later are alive."""
    standing = gate.get(connection)
    return Reading(
        ended=_ended(connection, most=packages_most),
        totals=tuple(_total(row) for row in connection.execute(select(totals))),
        queue_depth=admission.depth(connection),
        queue_oldest_s=_oldest_s(connection, at=at),
        jobs_running=connection.execute(RUNNING).scalar_one(),
        is_gate_open=standing.is_open and (standing.until is None or standing.until > at),
        workers=_workers(connection, at=at, since=since),
    )


def _ended(connection: Connection, *, most: int) -> dict[tuple[str | None, str], float]:
    rows = connection.execute(ENDINGS, {"most": most})
    found: dict[tuple[str | None, str], float] = {
        (row.package, row.state): row.value for row in rows
    }
    others = connection.execute(OTHERS, {"most": most})
    return found | {(None, row.state): float(row.value) for row in others}


def _total(row: Any) -> Total:
    labels: dict[str, str] = json.loads(row.labels)
    return Total(name=row.name, labels=tuple(sorted(labels.items())), value=row.value)


def _oldest_s(connection: Connection, *, at: datetime) -> float:
    """Return how long the longest of those has waited whose turn is near."""
    due = connection.execute(NEXT_IN_TURN.limit(LOOKED_AT)).scalars()
    return max(((at - one).total_seconds() for one in due), default=0.0)


def _workers(connection: Connection, *, at: datetime, since: datetime) -> tuple[SeenWorker, ...]:
    return tuple(
        SeenWorker(
            slots=row.slots,
            is_alive=row.seen_at >= since,
            is_drained=row.drained_at is not None,
            silent_s=max(0.0, (at - row.seen_at).total_seconds()),
            reading=READING.validate_python(row.reading or {}),
        )
        for row in connection.execute(select(tables.workers))
    )
