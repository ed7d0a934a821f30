"""What there is to know of a job that has not ended, read at one moment."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, or_, select

from runtime.store import workers
from runtime.store.jobs import events
from runtime.store.jobs import jobs as job_store
from runtime.store.schema import tables
from runtime.store.schema.tables_when import rates
from runtime.store.statements.in_sight import sight_of
from runtime.store.when import pauses
from runtime.values.access import Sight
from runtime.values.records import Job
from runtime.values.states import State
from runtime.values.when.line import NOT_DUE, PACKAGE
from runtime.values.when.schedules import ALL
from runtime.values.when.waits import MOST_NAMED, Facts, WorkerSeen

jobs = tables.jobs
IS_QUEUED = jobs.c.state == State.QUEUED


def facts_of(
    connection: Connection, *, job_id: str, at: datetime, alive_since: datetime, sight: Sight
) -> Facts:
    """Return the facts of a job in `sight`; raise NotFound."""
    job = job_store.get(connection, job_id=job_id, sight=sight)
    if job.state is not State.QUEUED:
        return Facts(job=job, at=at, phase=_phase(connection, job))
    with_key = _with_key(job)
    with_rate = (IS_QUEUED, jobs.c.rate_key == job.rate_key, _goes_before(job))
    row = select(rates.c.next_at).where(rates.c.key == job.rate_key)
    return Facts(
        job=job,
        at=at,
        before=_count(connection, IS_QUEUED, _goes_before(job), _waits_alike(job)),
        all_paused=pauses.get(connection, subject=ALL),
        package_paused=pauses.get(connection, subject=PACKAGE + job.package),
        with_key=_count(connection, *with_key) if job.slot_key else 0,
        seen_with_key=_seen(connection, *with_key, sight=sight) if job.slot_key else (),
        with_rate=_count(connection, *with_rate) if job.rate_key else 0,
        rate_free_at=connection.execute(row).scalar() if job.rate_key else None,
        workers=workers_seen(connection, since=alive_since),
        seen_running=_seen(connection, jobs.c.state == State.RUNNING, sight=sight),
    )


def _phase(connection: Connection, job: Job) -> str:
    told = events.narrative(connection, job_id=job.id, attempt=job.attempt)
    begun = [one for one in told if one.data.get("state") == "started"]
    return str(begun[-1].data.get("phase", "")) if begun else ""


def _with_key(job: Job) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the jobs that have a place by the key of `job`."""
    in_line = IS_QUEUED & (jobs.c.turn < NOT_DUE)
    return (
        jobs.c.slot_key == job.slot_key,
        or_(jobs.c.state == State.RUNNING, in_line),
        jobs.c.id != job.id,
    )


def _goes_before(job: Job) -> ColumnElement[bool]:
    turn = select(jobs.c.turn).where(jobs.c.id == job.id).scalar_subquery()
    return or_(jobs.c.turn < turn, (jobs.c.turn == turn) & (jobs.c.id < job.id))


def _waits_alike(job: Job) -> ColumnElement[bool]:
    """Return the condition for those that wait for the same: held by it, or in the lines."""
    if job.held_by is not None:
        return jobs.c.held_by == job.held_by
    return jobs.c.turn < NOT_DUE


def _count(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(jobs).where(*conditions)
    return connection.execute(query).scalar_one()


def _seen(
    connection: Connection, *conditions: ColumnElement[bool], sight: Sight
) -> tuple[str, ...]:
    query = select(jobs.c.id).where(*conditions, *sight_of(sight)).order_by(jobs.c.id)
    return tuple(connection.execute(query.limit(MOST_NAMED)).scalars())


def workers_seen(connection: Connection, *, since: datetime) -> tuple[WorkerSeen, ...]:
    """Return the workers that are alive, and how many jobs each runs."""
    counting = select(jobs.c.worker, func.count()).where(jobs.c.state == State.RUNNING)
    counted = dict(connection.execute(counting.group_by(jobs.c.worker)).tuples().all())
    living = workers.alive(connection, since=since)
    return tuple(WorkerSeen(worker=one, running=counted.get(one.id, 0)) for one in living)
