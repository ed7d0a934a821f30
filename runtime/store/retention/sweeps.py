"""What goes of ended jobs: which may be due, what of them goes, and what stays of their rows."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Table, delete, select, tuple_, update

from runtime.faults.errors import NotFound
from runtime.store.jobs import artifacts, job_changes
from runtime.store.jobs import jobs as job_store
from runtime.store.retention import deletion, policies
from runtime.store.schema import tables
from runtime.store.schema.tables_around import former_jobs, input_blobs, pins
from runtime.values.access import EVERYTHING, Sight
from runtime.values.around.retention import Ended, FormerJob, Kind
from runtime.values.records import SavedArtifact
from runtime.values.states import FINAL, State

GONE_AT: Mapping[Kind, str] = {
    Kind.INPUTS: "inputs_gone_at",
    Kind.OUTPUTS: "outputs_gone_at",
    Kind.EVENTS: "events_gone_at",
}
jobs = tables.jobs


class Place(NamedTuple):
    """How far a look has come among ended jobs, the first ended first."""

    finished_at: datetime
    id: str


def ended_before(
    connection: Connection, *, at: datetime, after: Place | None, limit: int
) -> tuple[Ended, ...]:
    """Return jobs that ended before `at`, the first ended first, from behind a place on."""
    columns = (jobs.c.id, jobs.c.package, jobs.c.state, jobs.c.finished_at)
    gone = [jobs.c[name] for name in GONE_AT.values()]
    query = (
        select(*columns, *gone, pins.c.job_id.label("pin"))
        .join(pins, pins.c.job_id == jobs.c.id, isouter=True)
        .where(jobs.c.finished_at < at, jobs.c.state.in_(sorted(FINAL)))
        .order_by(jobs.c.finished_at, jobs.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(
            jobs.c.finished_at >= after.finished_at,
            tuple_(jobs.c.finished_at, jobs.c.id) > tuple_(after.finished_at, after.id),
        )
    return tuple(
        Ended(
            id=row.id,
            package=row.package,
            state=State(row.state),
            finished_at=row.finished_at,
            gone=frozenset(kind for kind, name in GONE_AT.items() if row._mapping[name]),  # pyright: ignore[reportPrivateUsage]
            is_pinned=row.pin is not None,
        )
        for row in connection.execute(query)
    )


def sweep(
    connection: Connection, *, due: Mapping[str, frozenset[Kind]], at: datetime
) -> tuple[str, ...]:
    """Let go of what is due of each job; return the digests that they named.

    A job that was tried again, pinned or deleted since somebody looked is left alone.
    """
    digests: set[str] = set()
    numbers = dict.fromkeys(Kind, 0)
    for job_id, kinds in due.items():
        if not _is_still_ended(connection, job_id):
            continue
        for kind in sorted(kinds, reverse=True):  # rows first: all the rest goes with them
            numbers[kind] += 1
        digests |= _let_go(connection, job_id, kinds=kinds, at=at)
    for kind, number in numbers.items():
        if number:
            policies.count_freed(connection, kind=kind, number=number)
    return tuple(sorted(digests))


def _is_still_ended(connection: Connection, job_id: str) -> bool:
    pinned = select(pins.c.job_id).where(pins.c.job_id == jobs.c.id).exists()
    query = select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.state.in_(sorted(FINAL)), ~pinned)
    return connection.execute(query).first() is not None


def _let_go(
    connection: Connection, job_id: str, *, kinds: frozenset[Kind], at: datetime
) -> set[str]:
    if Kind.ROWS in kinds:
        named = set(deletion.named_by(connection, job_id=job_id))
        _remove_row(connection, job_id, at=at)
        return named
    named: set[str] = set()
    if Kind.INPUTS in kinds:
        named |= _taken(connection, job_id, table=input_blobs)
    if Kind.OUTPUTS in kinds:
        named |= _taken(connection, job_id, table=tables.outputs)
    if Kind.EVENTS in kinds:
        connection.execute(delete(tables.events).where(tables.events.c.job == job_id))
    told = {GONE_AT[kind]: at for kind in kinds}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(told))
    return named


def _taken(connection: Connection, job_id: str, *, table: Table) -> set[str]:
    """Take the names of a job out of a table; return the digests that they named."""
    query = select(table.c.sha256).where(table.c.job_id == job_id)
    found = set(connection.execute(query).scalars())
    connection.execute(delete(table).where(table.c.job_id == job_id))
    return found


def _remove_row(connection: Connection, job_id: str, *, at: datetime) -> None:
    """Remove a job, and keep whose it was: its artifact is still there to be read."""
    job = job_store.get(connection, job_id=job_id)
    row = {
        "id": job.id,
        "package": job.package,
        "version": job.version,
        "owner": job.request.principal,
        "state": job.state,
        "attempt": job.attempt,
        "submitted_at": job.submitted_at,
        "finished_at": job.finished_at,
        "gone_at": at,
    }
    connection.execute(former_jobs.insert().values(row))
    deletion.remove_rows(connection, job=job)


def unrecorded(connection: Connection, *, job_id: str) -> tuple[int, ...]:
    """Return the attempts that were begun and whose artifact is in their events only."""
    found = job_changes.list_attempts(connection, job_id=job_id)
    return tuple(one.number for one in found if one.started_at and not one.artifact_digest)


def note_artifact(
    connection: Connection, *, job_id: str, number: int, artifact: SavedArtifact
) -> None:
    """Write down that an attempt's artifact has been saved, and keep a short one."""
    values = {"artifact_digest": artifact.digest}
    job_changes.change_attempt(connection, job_id=job_id, number=number, values=values)
    artifacts.keep(connection, job_id=job_id, attempt=number, artifact=artifact)


def former(connection: Connection, *, job_id: str, sight: Sight = EVERYTHING) -> FormerJob:
    """Return what is known of a job whose row has gone; raise NotFound, also out of `sight`."""
    row = connection.execute(select(former_jobs).where(former_jobs.c.id == job_id)).first()
    if row is None or not sight.includes(owner=row.owner, package=row.package):
        raise NotFound(
            f"There is no job {job_id}", where=job_id, mend="`fumehood job list` shows the jobs"
        )
    return FormerJob(id=row.id, package=row.package, owner=row.owner, attempt=row.attempt)


def is_there_or_was(connection: Connection, *, job_id: str, sight: Sight) -> None:
    """Raise NotFound unless a job is or was there, and in `sight`."""
    try:
        job_store.get(connection, job_id=job_id, sight=sight)
    except NotFound:
        former(connection, job_id=job_id, sight=sight)
