"""Questions about many jobs: lists for people, and what the reconciler must look after."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, select

from runtime.faults.errors import NotFound
from runtime.store.schema import tables
from runtime.store.statements.cursor import page_of
from runtime.store.statements.rows import JOB, STORED_OUTPUT, value_of
from runtime.values.records import Job, Page, StoredOutput
from runtime.values.states import State
from runtime.values.when.line import turn_when_due


def are_due(connection: Connection, *, before: datetime) -> bool:
    """Return whether a job waits that was due before then."""
    query = select(tables.jobs.c.id).where(
        tables.jobs.c.state == State.QUEUED,
        tables.jobs.c.turn <= turn_when_due(before),
        tables.jobs.c.due_at <= before,
    )
    return connection.execute(query.limit(1)).first() is not None


def running_elsewhere(connection: Connection, *, alive: Collection[str]) -> tuple[Job, ...]:
    """Return running jobs whose worker is not among those alive."""
    query = select(tables.jobs).where(
        tables.jobs.c.state == State.RUNNING, tables.jobs.c.worker.not_in(alive)
    )
    return tuple(value_of(row, JOB) for row in connection.execute(query))


def shall_stop(connection: Connection, *, job_id: str, token: str) -> bool:
    """Return whether the attempt that holds `token` is to stop.

    Somebody asked for that, or it is no longer the current one and nothing of it will be published.
    """
    query = select(tables.jobs.c.token, tables.jobs.c.cancel_requested_at)
    row = connection.execute(query.where(tables.jobs.c.id == job_id)).first()
    return row is None or row.token != token or row.cancel_requested_at is not None


def list_outputs(
    connection: Connection, *, job_id: str, attempt: int, limit: int, cursor: str | None = None
) -> Page[StoredOutput]:
    """Return outputs of one attempt, by path."""
    query = (
        select(tables.outputs)
        .where(_of_attempt(job_id, attempt))
        .order_by(tables.outputs.c.path)
        .limit(limit + 1)
    )
    if cursor:
        query = query.where(tables.outputs.c.path > cursor)
    found = [value_of(row, STORED_OUTPUT) for row in connection.execute(query)]
    return page_of(found, limit=limit, key=lambda output: output.path)


def count_outputs(connection: Connection, *, job_id: str, attempt: int) -> int:
    """Return how many outputs one attempt has."""
    query = select(func.count()).select_from(tables.outputs).where(_of_attempt(job_id, attempt))
    return connection.execute(query).scalar_one()


def get_output(connection: Connection, *, job_id: str, attempt: int, path: str) -> StoredOutput:
    """Return one output of an attempt by its path; raise NotFound."""
    query = select(tables.outputs).where(
        _of_attempt(job_id, attempt), tables.outputs.c.path == path
    )
    if found := connection.execute(query).one_or_none():
        return value_of(found, STORED_OUTPUT)
    raise NotFound(
        f"Attempt {attempt} of job {job_id} has no output {path}",
        where=path,
        mend=f"`fumehood job outputs {job_id}` lists what there is",
    )


def _of_attempt(job_id: str, attempt: int) -> ColumnElement[bool]:
    return and_(tables.outputs.c.job_id == job_id, tables.outputs.c.attempt == attempt)
