"""Jobs: submitted, looked at, cancelled, tried again. Each change is one transaction."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, select, update

from frozen.values import changed
from runtime.faults.errors import NotFound
from runtime.store.databases.units import of_each_job
from runtime.store.jobs import (
    admission,
    belongings,
    dead_letters,
    events,
    job_changes,
    job_counts,
    submissions,
    turns,
    uniqueness,
)
from runtime.store.schema import tables
from runtime.store.statements.prepared import Prepared
from runtime.store.statements.rows import JOB, plain, plain_error
from runtime.values.access import EVERYTHING, Sight
from runtime.values.records import Attempt, Job, JobError, JsonObject, Pinned, SentKey
from runtime.values.states import Change, State, after
from runtime.values.when.line import Place
from wheelhouse.times import rfc3339

type Keep = Literal["first", "newest"]
"""Which of several jobs with one unique key is kept."""
BLANK = dict.fromkeys(
    (
        *("token", "worker", "progress", "started_at", "finished_at", "error"),
        *("cancel_requested_at", "outputs_gone_at", "events_gone_at"),
    )
)
"""What a job has no more of once it is queued again."""

HELD = Prepared(
    select(tables.jobs.c.id).where(
        tables.jobs.c.id == bindparam("job_id"),
        tables.jobs.c.token == bindparam("by_token"),
        tables.jobs.c.state == State.RUNNING,
    )
)
PROGRESS = Prepared(
    update(tables.jobs)
    .where(tables.jobs.c.id == bindparam("job_id"), tables.jobs.c.token == bindparam("by_token"))
    .values(progress=bindparam("told"))
)


@of_each_job
def submit(
    connection: Connection,
    *,
    job: Job,
    queue_limit: int,
    sent: SentKey | None = None,
    keep: Keep = "first",
    active: str = "",
) -> Job:
    """Accept `job` into the queue; raise QueueFull when it has no room.

    `active` is an activation: NotActive is raised where its package runs on another one by now.

    Returns the job that was sent by the same key before, where there is one; raises KeyUsed where
    that was another order. Where one with its unique key waits or runs, that is returned, or,
    to keep the newest, what waits of them is cancelled.
    """
    if sent and (known := submissions.job_sent_before(connection, sent=sent)):
        return get(connection, job_id=known)
    if job.unique_key and (known := _one_like(connection, job, keep=keep)):
        return get(connection, job_id=known)
    if active:
        package = job.package
        admission.admit_on(connection, limit=queue_limit, package=package, activation_id=active)
    else:
        admission.admit(connection, limit=queue_limit)
    job = belongings.joined(connection, job)
    owner = job.request.principal
    place = turns.join(connection, job, at=job.queued_at)
    accepted = changed(
        job,
        due_at=place.due_at,
        due_why="rate" if place.is_for_rate else job.due_why,
        held_by=place.held_by,
    )
    where = turns.columns_of(place) | {"owner": owner}
    job_changes.INSERT_JOB.run(connection, _columns(accepted) | where)
    belongings.note(connection, accepted)
    if sent:
        submissions.note(connection, sent=sent, job_id=job.id, at=job.queued_at)
    job_changes.queue_attempt(connection, job_id=job.id, number=1, at=job.queued_at)
    data: JsonObject = {"package": job.package, "version": job.version}
    happening = (job.queued_at, "job.queued", data)
    events.append(connection, job_id=job.id, attempt=1, happenings=[happening], last=0)
    return accepted


def _one_like(connection: Connection, job: Job, *, keep: Keep) -> str | None:
    """Return the job that is there instead of `job`; None where it is the one to keep."""
    found = uniqueness.like(connection, job=job)
    if keep == "first":
        return found[0][0] if found else None
    for job_id, state in found:
        if state is State.QUEUED:
            cancel(connection, job_id=job_id, at=job.queued_at)
    return None


def _columns(job: Job) -> dict[str, Any]:
    times = {"submitted_at": job.submitted_at, "queued_at": job.queued_at, "due_at": job.due_at}
    return plain(job, JOB) | times | {"expires_at": job.expires_at}


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


def retry(
    connection: Connection,
    *,
    job_id: str,
    at: datetime,
    queue_limit: int,
    on: Pinned | None = None,
) -> Job:
    """Queue a new attempt of a job that has ended; raise StateConflict or QueueFull.

    It is due at once, however often the job was tried: somebody asks for it now, and failures are
    counted anew. `on` is the version to run it on, where it is not to be the same as before.
    """
    job = get(connection, job_id=job_id)
    after(job.state, change=Change.RETRY)
    belongings.refuse_without_inputs(job)
    job_counts.reopened(connection, state=job.state)
    admission.admit(connection, limit=queue_limit)
    dead_letters.remove(connection, job_id=job_id)
    why = "asked for"
    if on is not None:
        job_changes.change_job(connection, job_id=job_id, values=asdict(on))
        why = f"asked for, on {job.package} {on.version}"
    again = changed(job, counted_from=job.attempt + 1, expires_at=None)
    return queue_again(connection, again, change=Change.RETRY, at=at, due_at=at, why=why)


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
    place = turns.join(connection, changed(job, due_at=due_at, queued_at=at), at=at)
    fresh = {
        "attempt": number,
        "queued_at": at,
        "due_why": _why_not_due(place, at=at),
        "counted_from": job.counted_from,
        "expires_at": job.expires_at,
        "state": after(job.state, change=change),
    }
    where = turns.columns_of(place)
    job_changes.change_job(connection, job_id=job.id, values=fresh | where | BLANK)
    job_changes.queue_attempt(connection, job_id=job.id, number=number, at=at)
    data: JsonObject = {"why": why} | ({"due_at": rfc3339(due_at)} if due_at > at else {})
    job_changes.add_event(
        connection, job_id=job.id, attempt=number, at=at, event="job.retried", data=data
    )
    if job.state is State.RUNNING:
        turns.left_slot(connection, job, at=at)
    return get(connection, job_id=job.id)


def _why_not_due(place: Place, *, at: datetime) -> str:
    if place.is_for_rate:
        return "rate"
    return "backoff" if place.due_at > at else ""


def cancel(connection: Connection, *, job_id: str, at: datetime) -> Job:
    """Cancel a waiting job at once, ask a running one to stop; raise StateConflict if ended."""
    job = get(connection, job_id=job_id)
    if job.state is State.CANCELLED or (job.state is State.RUNNING and job.cancel_requested_at):
        return job
    if job.state is State.RUNNING:
        _ask_to_stop(connection, job, at=at)
        return get(connection, job_id=job_id)
    _end_waiting(connection, job, at=at, error=None)
    return get(connection, job_id=job_id)


def expire(connection: Connection, *, job_id: str, at: datetime) -> None:
    """End a job that waited until it was too late to begin."""
    job = get(connection, job_id=job_id)
    if job.state is State.QUEUED:
        _end_waiting(connection, job, at=at, error=expired(job.expires_at or at))


def _end_waiting(connection: Connection, job: Job, *, at: datetime, error: JobError | None) -> None:
    """Cancel a job that is in no cell; raise StateConflict if it has ended."""
    state = after(job.state, change=Change.CANCEL)
    if job.state is State.QUEUED:
        admission.leave(connection)
    job_counts.ended(connection, state=state, package=job.package)
    ending = {"state": state, "finished_at": at, "error": plain_error(error)}
    asked = {} if error else {"cancel_requested_at": at}
    job_changes.change_job(connection, job_id=job.id, values=ending | asked | {"held_by": None})
    job_changes.change_attempt(connection, job_id=job.id, number=job.attempt, values=ending)
    data: JsonObject = {"state": state.value, "error": plain_error(error)}
    job_changes.add_event(
        connection, job_id=job.id, attempt=job.attempt, at=at, event="job.finished", data=data
    )
    if job.held_by is None:
        turns.left_line(connection, slot_key=job.slot_key, rate_key=job.rate_key, at=at)


def expired(expires_at: datetime) -> JobError:
    """Return why a job ended that nobody ran in time."""
    return JobError(
        code="expired",
        what=f"it could not begin before {rfc3339(expires_at)}, and was not to begin later",
        mend="send it again with a later expires_at, or with none",
        kind="appliance",
    )


def _ask_to_stop(connection: Connection, job: Job, *, at: datetime) -> None:
    job_changes.change_job(connection, job_id=job.id, values={"cancel_requested_at": at})
    job_changes.add_event(
        connection, job_id=job.id, attempt=job.attempt, at=at, event="job.cancelling", data={}
    )


def report_progress(
    connection: Connection, *, job_id: str, token: str, progress: JsonObject
) -> None:
    """Keep how far the attempt that holds `token` has come."""
    PROGRESS.run(connection, {"job_id": job_id, "by_token": token, "told": dict(progress)})


def is_held(connection: Connection, *, job_id: str, token: str) -> bool:
    """Return whether `token` is the current one of a running attempt."""
    return HELD.first(connection, {"job_id": job_id, "by_token": token}) is not None
