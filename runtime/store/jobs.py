"""Jobs and their attempts: every change of state is one function and one transaction.

An attempt is claimed with a fencing token. Only the holder of the job's current token can
publish or give back; anybody else gets Superseded, and nothing changes.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from runtime.errors import NotFound, Superseded
from runtime.store import activations, admission, events, tables
from runtime.store.rows import ATTEMPT, JOB, STORED_OUTPUT, plain, plain_error, value_of
from runtime.values.access import EVERYTHING, Sight
from runtime.values.records import Attempt, Claim, Finish, Job, JobError, JsonObject
from runtime.values.states import ENDINGS, Change, State, after, is_allowed

DRAINED = "drained"
"""The error code of an attempt that was stopped with its worker: it does not count."""


def submit(connection: Connection, *, job: Job, queue_limit: int) -> Job:
    """Accept `job` into the queue; raise QueueFull when it has no room."""
    admission.admit(connection, limit=queue_limit)
    columns: dict[str, Any] = plain(job, JOB) | {"owner": job.request.principal}
    times = {"submitted_at": job.submitted_at, "queued_at": job.queued_at}
    connection.execute(tables.jobs.insert().values(columns | times))
    _queue_attempt(connection, job_id=job.id, number=1, at=job.queued_at)
    data: JsonObject = {"package": job.package, "version": job.version}
    _add_event(connection, job.id, attempt=1, at=job.queued_at, event="job.queued", data=data)
    return job


def get(connection: Connection, *, job_id: str, sight: Sight = EVERYTHING) -> Job:
    """Return a job; raise NotFound, also for one that is out of `sight`."""
    row = connection.execute(select(tables.jobs).where(tables.jobs.c.id == job_id)).first()
    if not row or not sight.includes(owner=row.owner, package=row.package):
        raise NotFound(
            f"There is no job {job_id}", where=job_id, mend="`fumehood job list` shows the jobs"
        )
    return value_of(row, JOB)


def claim(
    connection: Connection, *, job_id: str, token: str, worker: str, at: datetime
) -> Claim | None:
    """Take the queued attempt of a job: it runs from now on, and `token` is its holder's.

    Returns None when there is nothing to take: delivery is at least once, so the attempt
    may be another's, ended or cancelled by now.
    """
    taken = connection.execute(
        update(tables.jobs)
        .where(tables.jobs.c.id == job_id, tables.jobs.c.state == State.QUEUED)
        .values(state=State.RUNNING, token=token, worker=worker, started_at=at, progress=None)
    )
    if taken.rowcount == 0:
        return None
    job = get(connection, job_id=job_id)
    admission.leave(connection)
    change = {"state": State.RUNNING, "token": token, "worker": worker, "started_at": at}
    _change_attempt(connection, job, change)
    _add_event(
        connection, job.id, attempt=job.attempt, at=at, event="job.started", data={"worker": worker}
    )
    return Claim(
        job=job,
        activation=activations.get(connection, activation_id=job.activation_id),
        attempts=list_attempts(connection, job_id=job_id),
    )


def finish(connection: Connection, *, job_id: str, token: str, finish: Finish, at: datetime) -> Job:
    """Publish the end of the attempt that holds `token`: state, error, outputs, last event."""
    job = _held(connection, job_id, token=token)
    state = after(job.state, change=ENDINGS[finish.state])
    error = plain_error(finish.error)
    _change_job(connection, job, {"state": state, "finished_at": at, "error": error})
    ending = {"artifact_digest": finish.artifact_digest, "is_partial": finish.is_partial}
    _change_attempt(connection, job, {"state": state, "finished_at": at, "error": error} | ending)
    if finish.outputs:
        key = {"job_id": job_id, "attempt": job.attempt}
        rows = [plain(output, STORED_OUTPUT) | key for output in finish.outputs]
        connection.execute(tables.outputs.insert(), rows)
    _tell_finished(connection, job, state=state, error=error, at=at)
    return get(connection, job_id=job_id)


def give_back(
    connection: Connection,
    *,
    job_id: str,
    token: str,
    error: JobError,
    at: datetime,
    most_attempts: int,
) -> Job:
    """End an attempt that *we* failed: queue the next one, or fail the job after the last."""
    job = _held(connection, job_id, token=token)
    if job.cancel_requested_at:
        return finish(
            connection, job_id=job_id, token=token, finish=Finish(state=State.CANCELLED), at=at
        )
    is_counted = error.code != DRAINED
    if is_counted and _failed_by_us(connection, job_id=job_id) + 1 >= most_attempts:
        ending = Finish(state=State.FAILED, error=error)
        return finish(connection, job_id=job_id, token=token, finish=ending, at=at)
    ended = {"state": State.FAILED, "finished_at": at, "error": plain_error(error)}
    _change_attempt(connection, job, ended)
    admission.readmit(connection)
    return _queue_again(connection, job, change=Change.GIVE_BACK, at=at, why=error.what)


def retry(connection: Connection, *, job_id: str, at: datetime, queue_limit: int) -> Job:
    """Queue a new attempt of a job that has ended; raise StateConflict or QueueFull."""
    job = get(connection, job_id=job_id)
    after(job.state, change=Change.RETRY)
    admission.admit(connection, limit=queue_limit)
    return _queue_again(connection, job, change=Change.RETRY, at=at, why="asked for")


def cancel(connection: Connection, *, job_id: str, at: datetime) -> Job:
    """Cancel a waiting job at once, ask a running one to stop; raise StateConflict if ended."""
    job = get(connection, job_id=job_id)
    if job.state is State.CANCELLED or (job.state is State.RUNNING and job.cancel_requested_at):
        return job
    state = after(job.state, change=Change.CANCEL)
    if job.state is State.RUNNING:
        _change_job(connection, job, {"cancel_requested_at": at})
        _add_event(connection, job_id, attempt=job.attempt, at=at, event="job.cancelling", data={})
        return get(connection, job_id=job_id)
    if job.state is State.QUEUED:
        admission.leave(connection)
    ending = {"state": state, "finished_at": at}
    _change_job(connection, job, ending | {"cancel_requested_at": at})
    _change_attempt(connection, job, ending)
    _tell_finished(connection, job, state=state, error=None, at=at)
    return get(connection, job_id=job_id)


def report_progress(
    connection: Connection, *, job_id: str, token: str, progress: JsonObject
) -> None:
    """Keep how far the attempt that holds `token` has come."""
    connection.execute(
        update(tables.jobs)
        .where(tables.jobs.c.id == job_id, tables.jobs.c.token == token)
        .values(progress=progress)
    )


def is_held(connection: Connection, *, job_id: str, token: str) -> bool:
    """Return whether `token` is the current one of a running attempt."""
    query = select(tables.jobs.c.id).where(
        tables.jobs.c.id == job_id,
        tables.jobs.c.token == token,
        tables.jobs.c.state == State.RUNNING,
    )
    return connection.execute(query).first() is not None


def list_attempts(connection: Connection, *, job_id: str) -> tuple[Attempt, ...]:
    """Return the attempts of a job, the first first."""
    query = (
        select(tables.attempts)
        .where(tables.attempts.c.job_id == job_id)
        .order_by(tables.attempts.c.number)
    )
    return tuple(value_of(row, ATTEMPT) for row in connection.execute(query))


def _held(connection: Connection, job_id: str, *, token: str) -> Job:
    job = get(connection, job_id=job_id)
    if job.token != token or not is_allowed(job.state, change=Change.GIVE_BACK):
        raise Superseded(
            f"Another attempt of job {job_id} has taken the place of this one",
            where=job_id,
            mend="nothing to mend: the current attempt publishes",
        )
    return job


def _failed_by_us(connection: Connection, *, job_id: str) -> int:
    attempts = list_attempts(connection, job_id=job_id)
    errors = [attempt.error for attempt in attempts if attempt.error]
    return sum(1 for error in errors if error.kind == "appliance" and error.code != DRAINED)


def _queue_again(
    connection: Connection, job: Job, *, change: Change, at: datetime, why: str
) -> Job:
    number = job.attempt + 1
    fresh = {"attempt": number, "token": None, "worker": None, "queued_at": at, "progress": None}
    blank = {"started_at": None, "finished_at": None, "error": None, "cancel_requested_at": None}
    _change_job(connection, job, {"state": after(job.state, change=change)} | fresh | blank)
    _queue_attempt(connection, job_id=job.id, number=number, at=at)
    _add_event(connection, job.id, attempt=number, at=at, event="job.retried", data={"why": why})
    return get(connection, job_id=job.id)


def _queue_attempt(connection: Connection, *, job_id: str, number: int, at: datetime) -> None:
    key = {"job_id": job_id, "number": number}
    fresh = {"state": State.QUEUED, "queued_at": at, "is_partial": False}
    connection.execute(tables.attempts.insert().values(key | fresh))


def _change_job(connection: Connection, job: Job, values: dict[str, Any]) -> None:
    connection.execute(update(tables.jobs).where(tables.jobs.c.id == job.id).values(values))


def _change_attempt(connection: Connection, job: Job, values: dict[str, Any]) -> None:
    connection.execute(
        update(tables.attempts)
        .where(tables.attempts.c.job_id == job.id, tables.attempts.c.number == job.attempt)
        .values(values)
    )


def _tell_finished(
    connection: Connection,
    job: Job,
    *,
    state: State,
    error: dict[str, Any] | None,
    at: datetime,
) -> None:
    data: JsonObject = {"state": state.value, "error": error}
    _add_event(connection, job.id, attempt=job.attempt, at=at, event="job.finished", data=data)


def _add_event(
    connection: Connection, job_id: str, *, attempt: int, at: datetime, event: str, data: JsonObject
) -> None:
    events.append(connection, job_id=job_id, attempt=attempt, happenings=[(at, event, data)])
