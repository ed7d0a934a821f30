"""Deletes jobs with all that belongs to them; says which bytes they named."""

from dataclasses import field
from datetime import datetime

from sqlalchemy import Column, Connection, Text, cast, delete, func, select

from frozen.values import frozen
from runtime.faults.errors import StateConflict
from runtime.store.jobs import job_counts
from runtime.store.jobs import jobs as job_store
from runtime.store.schema import tables
from runtime.store.schema.tables_around import input_blobs, metadata, pins
from runtime.store.schema.tables_when import schedules
from runtime.values.records import Job


@frozen
class Gone:
    """What went with a job: the digests of bytes that it named, and of its artifacts."""

    job: Job
    digests: tuple[str, ...]
    artifacts: tuple[str, ...] = field(default=())


def refuse_pinned(connection: Connection, *, job_id: str) -> None:
    """Raise StateConflict where somebody has pinned the job."""
    query = select(pins.c.who, pins.c.reason).where(pins.c.job_id == job_id)
    if pin := connection.execute(query).first():
        raise StateConflict(
            f"Job {job_id} is kept by {pin.who}: {pin.reason or 'no reason was given'}",
            where=job_id,
            mend=f"`fumehood job unpin {job_id}` lets it go",
        )


def delete_job(connection: Connection, *, job_id: str) -> Gone:
    """Delete a job that has ended, with every row that belongs to it.

    Raises NotFound, or StateConflict where it has not ended or is pinned. The bytes that it named
    are for the caller to collect, once this is committed.
    """
    job = job_store.get(connection, job_id=job_id)
    if not job.state.is_final:
        raise StateConflict(
            f"Job {job_id} is {job.state}: only what has ended can be deleted",
            where=f"job state {job.state}",
            mend=f"`fumehood job cancel {job_id}` ends it",
        )
    refuse_pinned(connection, job_id=job_id)
    digests = named_by(connection, job_id=job_id)
    gone = Gone(job=job, digests=digests, artifacts=_artifacts(connection, job_id=job_id))
    remove_rows(connection, job=job)
    return gone


def _artifacts(connection: Connection, *, job_id: str) -> tuple[str, ...]:
    attempts = tables.attempts.c
    query = select(attempts.artifact_digest).where(attempts.job_id == job_id)
    return tuple(one for one in connection.execute(query).scalars() if one)


def named_by(connection: Connection, *, job_id: str) -> tuple[str, ...]:
    """Return the digests of the bytes that a job names: its inputs and outputs."""
    inputs = select(input_blobs.c.sha256).where(input_blobs.c.job_id == job_id)
    outputs = select(tables.outputs.c.sha256).where(tables.outputs.c.job_id == job_id)
    return tuple(sorted(set(connection.execute(inputs.union(outputs)).scalars())))


def remove_rows(connection: Connection, *, job: Job) -> None:
    """Remove the row of a job that has ended, and before it all that refers to it."""
    for table in reversed(metadata.sorted_tables):
        for column in _of_jobs(table.columns.values()):
            connection.execute(delete(table).where(column == job.id))
    connection.execute(delete(tables.jobs).where(tables.jobs.c.id == job.id))
    job_counts.reopened(connection, state=job.state)


def _of_jobs(columns: list[Column[str]]) -> list[Column[str]]:
    """Return the columns that hold a job's id, by what they refer to."""
    referred = {tables.jobs.c.id, tables.attempts.c.job_id}
    return [one for one in columns if any(key.column in referred for key in one.foreign_keys)]


def is_named(connection: Connection, *, sha256: str) -> bool:
    """Return whether any job names these bytes, or a schedule for its jobs to come."""
    inputs = select(input_blobs.c.job_id).where(input_blobs.c.sha256 == sha256)
    outputs = select(tables.outputs.c.job_id).where(tables.outputs.c.sha256 == sha256)
    # The few schedules keep their inputs as one value; a digest stands in no other text by chance.
    scheduled = select(schedules.c.id).where(cast(schedules.c.inputs, Text).contains(sha256))
    asked = (inputs, outputs, scheduled)
    return any(connection.execute(query.limit(1)).first() for query in asked)


def oldest_run(connection: Connection) -> datetime | None:
    """Return when the oldest running attempt began, None where none runs."""
    query = select(func.min(tables.jobs.c.started_at)).where(tables.jobs.c.state == "running")
    return connection.execute(query).scalar()
