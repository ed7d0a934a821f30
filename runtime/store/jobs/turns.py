"""The lines of waiting jobs: each job's turn, given as it joins and looked at as one is claimed."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select, update

from runtime.store import tables
from runtime.values.line import NOT_DUE, Waiting, turn_after, turn_when_due
from runtime.values.states import State

WINDOW = 16
"""How many of those who wait are looked at together."""
MOST_WOKEN = 100
"""How many that have become due join their lines at once; the others with the next claim."""

jobs = tables.jobs
IS_WAITING = (jobs.c.state == State.QUEUED, jobs.c.turn < NOT_DUE)
STANDING = select(
    select(func.min(jobs.c.turn)).where(*IS_WAITING).scalar_subquery().label("now"),
    select(func.max(jobs.c.turn))
    .where(*IS_WAITING, jobs.c.package == bindparam("of_package"))
    .where(jobs.c.owner == bindparam("of_owner"))
    .scalar_subquery()
    .label("last_of_line"),
)
NEXT = (
    select(jobs.c.id, jobs.c.package, jobs.c.platform)
    .where(*IS_WAITING)
    .order_by(jobs.c.turn, jobs.c.id)
    .limit(WINDOW)
    .offset(bindparam("after"))
)
DUE = (
    select(jobs.c.id, jobs.c.package, jobs.c.owner)
    .where(jobs.c.state == State.QUEUED)
    .where(jobs.c.turn.between(NOT_DUE, bindparam("until")))
    .order_by(jobs.c.turn, jobs.c.id)
    .limit(MOST_WOKEN)
)
SET_TURN = update(jobs).where(jobs.c.id == bindparam("job_id")).values(turn=bindparam("its_turn"))


def turn_of(
    connection: Connection, *, package: str, owner: str, due_at: datetime, at: datetime
) -> int:
    """Return the turn of a job that begins to wait."""
    if due_at > at:
        return turn_when_due(due_at)
    row = connection.execute(STANDING, {"of_package": package, "of_owner": owner}).one()
    return turn_after(now=row.now, last_of_line=row.last_of_line)


def wake(connection: Connection, *, at: datetime) -> None:
    """Let those join their lines that have become due."""
    for row in connection.execute(DUE, {"until": turn_when_due(at)}).all():
        turn = turn_of(connection, package=row.package, owner=row.owner, due_at=at, at=at)
        connection.execute(SET_TURN, {"job_id": row.id, "its_turn": turn})


def next_in_turn(connection: Connection, *, after: int) -> list[Waiting]:
    """Return those whose turn is next, leaving out the first `after`."""
    rows = connection.execute(NEXT, {"after": after})
    return [Waiting(id=row.id, package=row.package, platform=row.platform) for row in rows]
