"""What waits, why, and since when; and what each worker runs: for operators."""

from datetime import datetime

from sqlalchemy import Connection, case, func, literal, select

from runtime.store.schema import tables
from runtime.store.statements.in_sight import sight_of
from runtime.store.when.wait_facts import workers_seen
from runtime.values.access import EVERYTHING, Sight
from runtime.values.states import State
from runtime.values.when.line import HELD, KEY, NOT_DUE, PACKAGE, RATE
from runtime.values.when.queue import RunningJob, WaitingGroup, WorkerNow

MOST_GROUPS = 200
MOST_RUNNING = 1000

jobs = tables.jobs
WHY = case(
    (jobs.c.held_by.startswith(PACKAGE), literal("paused-package")),
    (jobs.c.held_by.startswith(KEY), literal("key")),
    (jobs.c.held_by.startswith(RATE), literal("rate")),
    (jobs.c.turn.between(NOT_DUE, HELD - 1), jobs.c.due_why),
    else_=literal("turn"),
)


def waiting(connection: Connection, *, sight: Sight = EVERYTHING) -> tuple[WaitingGroup, ...]:
    """Return how many jobs of each package wait for what, the most first."""
    why = WHY.label("why")
    number = func.count().label("number")
    query = (
        select(jobs.c.package, why, number, func.min(jobs.c.queued_at).label("since"))
        .where(jobs.c.state == State.QUEUED, *sight_of(sight))
        .group_by(jobs.c.package, why)
        .order_by(number.desc(), jobs.c.package, why)
        .limit(MOST_GROUPS)
    )
    return tuple(
        WaitingGroup(
            package=row.package, why=row.why or "not-before", jobs=row.number, since=row.since
        )
        for row in connection.execute(query)
    )


def workers_now(
    connection: Connection, *, since: datetime, sight: Sight = EVERYTHING
) -> tuple[WorkerNow, ...]:
    """Return the workers that are alive, with the jobs that they run, as far as in `sight`."""
    columns = (jobs.c.id, jobs.c.package, jobs.c.worker, jobs.c.attempt, jobs.c.started_at)
    running = select(*columns).where(jobs.c.state == State.RUNNING, *sight_of(sight))
    rows = connection.execute(running.order_by(jobs.c.id).limit(MOST_RUNNING)).all()
    return tuple(
        WorkerNow(
            worker=one.worker,
            running=one.running,
            jobs=tuple(
                RunningJob(
                    id=row.id, package=row.package, attempt=row.attempt, since=row.started_at
                )
                for row in rows
                if row.worker == one.worker.id
            ),
        )
        for one in workers_seen(connection, since=since)
    )
