"""Dead letters: the jobs that were given up since *we* failed them each time."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from runtime.store.schema import tables
from runtime.store.schema.tables_when import dead_letters
from runtime.store.statements.cursor import page_of
from runtime.store.statements.in_sight import sight_of
from runtime.store.statements.rows import JOB, value_of
from runtime.values.access import EVERYTHING, Sight
from runtime.values.records import DeadLetter, Page


def add(
    connection: Connection, *, job_id: str, code: str, phase: str, attempts: int, at: datetime
) -> None:
    """Keep a job that is given up."""
    values = {"job_id": job_id, "code": code, "phase": phase, "attempts": attempts, "at": at}
    connection.execute(dead_letters.insert().values(values))


def remove(connection: Connection, *, job_id: str) -> bool:
    """Take a job from the list, since it is tried again; return whether it was there."""
    gone = delete(dead_letters).where(dead_letters.c.job_id == job_id)
    return connection.execute(gone).rowcount > 0


def is_there(connection: Connection, *, job_id: str) -> bool:
    """Return whether a job is on the list."""
    query = select(dead_letters.c.job_id).where(dead_letters.c.job_id == job_id)
    return connection.execute(query).first() is not None


def list_letters(
    connection: Connection,
    *,
    limit: int,
    cursor: str | None = None,
    package: str | None = None,
    code: str | None = None,
    sight: Sight = EVERYTHING,
) -> Page[DeadLetter]:
    """Return dead letters in `sight`, of the job that was submitted last first."""
    named = ("code", "phase", "attempts", "at")
    columns = (dead_letters.c[name].label(f"letter_{name}") for name in named)
    query = (
        select(tables.jobs, *columns)
        .join(dead_letters, dead_letters.c.job_id == tables.jobs.c.id)
        .where(*sight_of(sight))
        .order_by(tables.jobs.c.id.desc())
        .limit(limit + 1)
    )
    if cursor:
        query = query.where(tables.jobs.c.id < cursor)
    if package:
        query = query.where(tables.jobs.c.package == package)
    if code:
        query = query.where(dead_letters.c.code == code)
    found = [
        DeadLetter(
            job=value_of(row, JOB),
            code=row.letter_code,
            phase=row.letter_phase,
            attempts=row.letter_attempts,
            at=row.letter_at,
        )
        for row in connection.execute(query)
    ]
    return page_of(found, limit=limit, key=lambda letter: letter.job.id)
