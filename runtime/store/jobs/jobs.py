"""Jobs: submitted, looked at, cancelled, tried again. Each change is one transaction."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from runtime.errors import NotFound
from runtime.store import tables
from runtime.store.jobs import (
    admission,
    belongings,
    events,
    job_changes,
    job_counts,
    submissions,
    turns,
)
from runtime.store.rows import JOB, plain
from runtime.values.access import EVERYTHING, Sight
from runtime.values.records import Attempt, Job, JsonObject, SentKey
from runtime.values.states import Change, State, after

HELD = select(tables.jobs.c.id).where(
    tables.jobs.c.id == bindparam("job_id"),
    tables.jobs.c.token == bindparam("held_by"),
    tables.jobs.c.state == State.RUNNING,
)
PROGRESS = (
    update(tables.jobs)
    .where(tables.jobs.c.id == bindparam("job_id"), tables.jobs.c.token == bindparam("held_by"))
    .values(progress=bindparam("told"))
)


def submit(
    connection: Connection, *, job: Job, queue_limit: int, sent: SentKey | None = None
) -> Job:
    """Accept `job` into the queue; raise QueueFull when it has no room.

    Returns the job that was sent by the same key before, where there is one; raises KeyUsed where
    that was another order.
    """
    if sent and (known := submissions.job_sent_before(connection, sent=sent)):
        return get(connection, job_id=known)
    admission.admit(connection, limit=queue_limit)
    job = belongings.joined(connection, job)
    owner = job.request.principal
    turn = turns.turn_of(
        connection, package=job.package, owner=owner, due_at=job.due_at, at=job.queued_at
    )
    connection.execute(job_changes.INSERT_JOB, _columns(job) | {"owner": owner, "turn": turn})
    belongings.note(connection, job)
    if sent:
        submissions.note(connection, sent=sent, job_id=job.id, at=job.queued_at)
    job_changes.queue_attempt(connection, job_id=job.id, number=1, at=job.queued_at)
    data: JsonObject = {"package": job.package, "version": job.version}
    happening = (job.queued_at, "job.queued", data)
    events.append(connection, job_id=job.id, attempt=1, happenings=[happening], last=0)
    return job


def _columns(job: Job) -> dict[str, Any]:
    times = {"submitted_at": job.submitted_at, "queued_at": job.queued_at, "due_at": job.due_at}
    return plain(job, JOB) | times


def get(connection: Connection, *, job_id: str, sight: Sight = EVERYTHING) -> Job:
    """Return a job; raise NotFound, also for one that is out of `sight`."""
    row = job_changes.job_row(connection, job_id=job_id)
    if not row or not sight.includes(owner=row.owner, package=row.package):
        raise NotFound(
            f"There is no job {job_id}", where=job_id, mend="`fumehood job list` shows the jobs"
        )
    return job_changes.job_of(row)


def with_attempts(connection: Connection, *, job_id: str) -> tuple[Job, tuple[Attempt, ...]]:
    """Return a job and its attempts, of one moment; raise NotFound."""
    job = get(connection, job_id=job_id)
    return job, list_attempts(connection, job_id=job_id)


def list_attempts(connection: Connection, *, job_id: str) -> tuple[Attempt, ...]:
    """Return the attempts of a job, the first first."""
    return job_changes.list_attempts(connection, job_id=job_id)


def retry(connection: Connection, *, job_id: str, at: datetime, queue_limit: int) -> Job:
    """Queue a new attempt of a job that has ended; raise StateConflict or QueueFull.

    It is due at once, however often the job was tried: somebody asks for it now.
    """
    job = get(connection, job_id=job_id)
    after(job.state, change=Change.RETRY)
    belongings.refuse_without_inputs(job)
    job_counts.reopened(connection, state=job.state)
    admission.admit(connection, limit=queue_limit)
    return queue_again(connection, job, change=Change.RETRY, at=at, due_at=at, why="asked for")


def queue_again(
    connection: Connection,
    job: Job,
    *,
    change: Change,
    at: datetime,
    due_at: datetime,
    why: str,
) -> Job:
    """Queue the next attempt of `job`, to begin at `due_at` at the earliest."""
    number = job.attempt + 1
    turn = turns.turn_of(
        connection, package=job.package, owner=job.request.principal, due_at=due_at, at=at
    )
    fresh = {"attempt": number, "queued_at": at, "due_at": due_at, "turn": turn}
    blank = dict.fromkeys(
        (
            "token",
            "worker",
            "progress",
            "started_at",
            "finished_at",
            "error",
            "cancel_requested_at",
            "outputs_gone_at",
            "events_gone_at",
        )
    )
    state = {"state": after(job.state, change=change)}
    job_changes.change_job(connection, job_id=job.id, values=state | fresh | blank)
    job_changes.queue_attempt(connection, job_id=job.id, number=number, at=at)
    job_changes.add_event(
        connection, job_id=job.id, attempt=number, at=at, event="job.retried", data={"why": why}
    )
    return get(connection, job_id=job.id)


def cancel(connection: Connection, *, job_id: str, at: datetime) -> Job:
    """Cancel a waiting job at once, ask a running one to stop; raise StateConflict if ended."""
    job = get(connection, job_id=job_id)
    if job.state is State.CANCELLED or (job.state is State.RUNNING and job.cancel_requested_at):
        return job
    state = after(job.state, change=Change.CANCEL)
    if job.state is State.RUNNING:
        _ask_to_stop(connection, job, at=at)
        return get(connection, job_id=job_id)
    if job.state is State.QUEUED:
        admission.leave(connection)
    job_counts.ended(connection, state=state)
    ending = {"state": state, "finished_at": at}
    job_changes.change_job(connection, job_id=job_id, values=ending | {"cancel_requested_at": at})
    job_changes.change_attempt(connection, job_id=job_id, number=job.attempt, values=ending)
    data: JsonObject = {"state": state.value, "error": None}
    job_changes.add_event(
        connection, job_id=job_id, attempt=job.attempt, at=at, event="job.finished", data=data
    )
    return get(connection, job_id=job_id)


def _ask_to_stop(connection: Connection, job: Job, *, at: datetime) -> None:
    job_changes.change_job(connection, job_id=job.id, values={"cancel_requested_at": at})
    job_changes.add_event(
        connection, job_id=job.id, attempt=job.attempt, at=at, event="job.cancelling", data={}
    )


def report_progress(
    connection: Connection, *, job_id: str, token: str, progress: JsonObject
) -> None:
    """Keep how far the attempt that holds `token` has come."""
    connection.execute(PROGRESS, {"job_id": job_id, "held_by": token, "told": dict(progress)})


def is_held(connection: Connection, *, job_id: str, token: str) -> bool:
    """Return whether `token` is the current one of a running attempt."""
    return connection.execute(HELD, {"job_id": job_id, "held_by": token}).first() is not None
