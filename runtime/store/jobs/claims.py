"""Claims: an attempt is taken with a fencing token, and ended by whoever holds it.

Only the holder of the job's current token can publish or give back; anybody else gets
Superseded, and nothing changes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import Connection, bindparam, update

from runtime.errors import Superseded
from runtime.store import activations, gate, tables
from runtime.store.jobs import admission, events, job_changes, job_counts, turns
from runtime.store.jobs import jobs as job_store
from runtime.store.jobs.events import Happening
from runtime.store.rows import STORED_OUTPUT, plain, plain_error
from runtime.values.backoff import backoff
from runtime.values.line import Ability, choose
from runtime.values.records import (
    Activation,
    Attempt,
    Claim,
    Finish,
    Job,
    JobError,
    JsonObject,
    Worker,
)
from runtime.values.states import ENDINGS, Change, State, after, is_allowed

DRAINED = "drained"
"""The error code of an attempt that was stopped with its worker: it does not count."""
NOTHING_KNOWN: Mapping[str, Activation] = MappingProxyType({})

TAKE = (
    update(tables.jobs)
    .where(tables.jobs.c.id == bindparam("job_id"), tables.jobs.c.state == State.QUEUED)
    .values(
        state=State.RUNNING,
        token=bindparam("by_token"),
        worker=bindparam("by_worker"),
        started_at=bindparam("now"),
        progress=None,
    )
)


def claim_next(
    connection: Connection,
    *,
    ability: Ability,
    token: str,
    worker: Worker,
    at: datetime,
    known: Mapping[str, Activation] = NOTHING_KNOWN,
) -> Claim | None:
    """Take the job that this worker should do next; None when nothing waits that it can do.

    `known` are activations that need not be read again.
    """
    turns.wake(connection, at=at)
    looked_at = 0
    while waiting := turns.next_in_turn(connection, after=looked_at):
        if chosen := choose(waiting, ability=ability):
            return claim(
                connection, job_id=chosen.id, token=token, worker=worker, at=at, known=known
            )
        looked_at += len(waiting)
    return None


def claim(
    connection: Connection,
    *,
    job_id: str,
    token: str,
    worker: Worker,
    at: datetime,
    known: Mapping[str, Activation] = NOTHING_KNOWN,
) -> Claim | None:
    """Take the queued attempt of a job: it runs from now on, and `token` is its holder's.

    Returns None when there is nothing to take: it may be another's, ended or cancelled by now.
    """
    keys = {"job_id": job_id, "by_token": token, "by_worker": worker.id, "now": at}
    if connection.execute(TAKE, keys).rowcount == 0:
        return None
    waiting = admission.leave(connection)
    job = job_store.get(connection, job_id=job_id)
    change = {"state": State.RUNNING, "token": token, "worker": worker.id, "started_at": at}
    job_changes.change_attempt(connection, job_id=job_id, number=job.attempt, values=change)
    told: JsonObject = {"worker": worker.id, "host": worker.host, "version": worker.version}
    job_changes.add_event(
        connection, job_id=job_id, attempt=job.attempt, at=at, event="job.started", data=told
    )
    activation = known.get(job.activation_id)
    return Claim(
        job=job,
        activation=activation or activations.get(connection, activation_id=job.activation_id),
        attempts=_attempts(connection, job),
        gate=gate.get(connection),
        waiting=waiting,
    )


def _attempts(connection: Connection, job: Job) -> tuple[Attempt, ...]:
    """Return the attempts of a job just claimed, which tells the first one itself."""
    if job.attempt == 1:
        return (job_changes.current_attempt(job),)
    return job_changes.list_attempts(connection, job_id=job.id)


def finish(
    connection: Connection,
    *,
    job_id: str,
    token: str,
    finish: Finish,
    at: datetime,
    before: Sequence[Happening] = (),
) -> None:
    """Publish the end of the attempt that holds `token`: state, error, outputs, events.

    `before` are the events that came before the last one, as far as they are not stored yet.
    """
    job = _held(connection, job_id, token=token)
    state = after(job.state, change=ENDINGS[finish.state])
    job_counts.ended(connection, state=state)
    error = plain_error(finish.error)
    ended = {"state": state, "finished_at": at, "error": error}
    job_changes.change_job(connection, job_id=job_id, values=ended)
    ending = {"artifact_digest": finish.artifact_digest, "is_partial": finish.is_partial}
    job_changes.change_attempt(connection, job_id=job_id, number=job.attempt, values=ended | ending)
    if finish.outputs:
        key = {"job_id": job_id, "attempt": job.attempt}
        rows = [plain(output, STORED_OUTPUT) | key for output in finish.outputs]
        connection.execute(job_changes.INSERT_OUTPUTS, rows)
    last: JsonObject = {"state": state.value, "error": error}
    happenings = [*before, (at, "job.finished", last)]
    events.append(connection, job_id=job_id, attempt=job.attempt, happenings=happenings)


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
    failures = _failed_by_us(connection, job_id=job_id) + (error.code != DRAINED)
    is_last = error.code != DRAINED and failures >= most_attempts
    if job.cancel_requested_at or is_last:
        ending = (
            Finish(state=State.CANCELLED)
            if job.cancel_requested_at
            else Finish(state=State.FAILED, error=error)
        )
        finish(connection, job_id=job_id, token=token, finish=ending, at=at)
        return job_store.get(connection, job_id=job_id)
    ended = {"state": State.FAILED, "finished_at": at, "error": plain_error(error)}
    job_changes.change_attempt(connection, job_id=job_id, number=job.attempt, values=ended)
    admission.readmit(connection)
    due_at = at if error.code == DRAINED else at + backoff(failures)
    return job_store.queue_again(
        connection, job, change=Change.GIVE_BACK, at=at, due_at=due_at, why=error.what
    )


def _held(connection: Connection, job_id: str, *, token: str) -> Job:
    job = job_store.get(connection, job_id=job_id)
    if job.token != token or not is_allowed(job.state, change=Change.GIVE_BACK):
        raise Superseded(
            f"Another attempt of job {job_id} has taken the place of this one",
            where=job_id,
            mend="nothing to mend: the current attempt publishes",
        )
    return job


def _failed_by_us(connection: Connection, *, job_id: str) -> int:
    attempts = job_changes.list_attempts(connection, job_id=job_id)
    errors = [attempt.error for attempt in attempts if attempt.error]
    return sum(1 for error in errors if error.kind == "appliance" and error.code != DRAINED)
