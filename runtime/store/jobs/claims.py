"""Claims: an attempt is taken with a fencing token, and ended by whoever holds it.

Only the holder of the job's current token can publish or give back; anybody else gets
Superseded, and nothing changes.
"""

from collections.abc import Container, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, update

from frozen.values import frozen
from runtime.faults.errors import Superseded
from runtime.store.access import gate
from runtime.store.databases.units import of_each_job
from runtime.store.jobs import (
    admission,
    artifacts,
    dead_letters,
    events,
    job_changes,
    job_counts,
    turns,
)
from runtime.store.jobs import jobs as job_store
from runtime.store.jobs.events import Happening
from runtime.store.packages import activations
from runtime.store.schema import tables
from runtime.store.statements.prepared import Prepared
from runtime.store.statements.rows import STORED_OUTPUT, plain, plain_error
from runtime.values.backoff import backoff, jitter_of
from runtime.values.records import (
    Activation,
    Attempt,
    Claim,
    Finish,
    Gate,
    Job,
    JobError,
    JsonObject,
    Worker,
)
from runtime.values.retries import again_at
from runtime.values.states import ENDINGS, Change, State, after, is_allowed
from runtime.values.when.line import Ability, Choice, choose
from runtime.values.when.verdicts import verdict

DRAINED = "drained"
"""The error code of an attempt that was stopped with its worker: it does not count."""
UNCOUNTED = frozenset(
    {DRAINED, "store-away", "store-busy", "blobs-away", "disk-full", "home-read-only"}
)
"""Codes of what the job has no part in, and what passes: a bucket that was away for seconds ended
every job that came meanwhile. Such an attempt is made again, after a longer wait each time."""

TAKE = Prepared(
    update(tables.jobs)
    .where(tables.jobs.c.id == bindparam("job_id"), tables.jobs.c.state == State.QUEUED)
    .values(
        state=State.RUNNING,
        token=bindparam("by_token"),
        worker=bindparam("by_worker"),
        started_at=bindparam("now"),
        claimed_turn=tables.jobs.c.turn,
        progress=None,
    )
    .returning(tables.jobs, events.LAST_SEQ)
)

END = Prepared(
    update(tables.jobs)
    .where(
        tables.jobs.c.id == bindparam("job_id"),
        tables.jobs.c.token == bindparam("by_token"),
        tables.jobs.c.state == State.RUNNING,
    )
    .values(
        state=bindparam("its_state"),
        finished_at=bindparam("now"),
        error=bindparam("its_error", type_=tables.jobs.c.error.type),
        error_code=bindparam("its_code"),
    )
    .returning(tables.jobs, events.LAST_SEQ)
)


@frozen
class Taken:
    """A claim, without the activation of the job where that was known to whoever claimed."""

    job: Job
    activation: Activation | None
    attempts: tuple[Attempt, ...]
    gate: Gate
    waiting: int
    follows_at: datetime | None

    def claim(self, known: Mapping[str, Activation]) -> Claim:
        """Return the whole claim."""
        return Claim(
            job=self.job,
            activation=self.activation or known[self.job.activation_id],
            attempts=self.attempts,
            gate=self.gate,
            waiting=self.waiting,
            follows_at=self.follows_at,
        )


@of_each_job
def claim_next(
    connection: Connection,
    *,
    ability: Ability,
    token: str,
    worker: Worker,
    at: datetime,
    known: Container[str] = (),
) -> Taken | None:
    """Take the job that this worker should do next; None when nothing waits that it can do.

    `known` are ids of activations that need not be read.
    """
    looked_at = 0
    while waiting := turns.next_in_turn(connection, after=looked_at, at=at, worker=worker.id):
        choice = choose(waiting, ability=ability, at=at)
        taken_out = _take_out(connection, choice, at=at)
        if choice.chosen:
            return claim(
                connection, job_id=choice.chosen.id, token=token, worker=worker, at=at, known=known
            )
        looked_at += len(waiting) - taken_out
    return None


def _take_out(connection: Connection, choice: Choice, *, at: datetime) -> int:
    """Take those out of their lines who cannot be next; each is looked at once for it."""
    for job_id, held_by in choice.held:
        turns.hold(connection, job_id=job_id, held_by=held_by, at=at)
    for job_id in choice.expired:
        job_store.expire(connection, job_id=job_id, at=at)
    return len(choice.held) + len(choice.expired)


def claim(
    connection: Connection,
    *,
    job_id: str,
    token: str,
    worker: Worker,
    at: datetime,
    known: Container[str] = (),
) -> Taken | None:
    """Take the queued attempt of a job: it runs from now on, and `token` is its holder's.

    Returns None when there is nothing to take: it may be another's, ended or cancelled by now.
    """
    keys = {"job_id": job_id, "by_token": token, "by_worker": worker.id, "now": at}
    row = TAKE.first(connection, keys)
    if row is None:
        return None
    waiting = admission.leave(connection)
    job = job_changes.job_of(row)
    change = {"state": State.RUNNING, "token": token, "worker": worker.id, "started_at": at}
    job_changes.change_attempt(connection, job_id=job_id, number=job.attempt, values=change)
    told: JsonObject = {"worker": worker.id, "host": worker.host, "version": worker.version}
    events.append(
        connection,
        job_id=job_id,
        attempt=job.attempt,
        happenings=[(at, "job.started", told)],
        last=row.last_seq,
    )
    activation_id = job.activation_id
    is_known = activation_id in known
    return Taken(
        job=job,
        activation=None if is_known else activations.get(connection, activation_id=activation_id),
        attempts=_attempts(connection, job),
        gate=gate.get(connection),
        waiting=waiting,
        follows_at=turns.started(connection, job, at=at),
    )


def _attempts(connection: Connection, job: Job) -> tuple[Attempt, ...]:
    """Return the attempts of a job just claimed, which tells the first one itself."""
    if job.attempt == 1:
        return (job_changes.current_attempt(job),)
    return job_changes.list_attempts(connection, job_id=job.id)


@of_each_job
def finish(
    connection: Connection,
    *,
    job_id: str,
    token: str,
    finish: Finish,
    at: datetime,
    before: Sequence[Happening] = (),
) -> Job:
    """Publish the end of the attempt that holds `token`: state, error, outputs, artifact, events.

    `before` are the events that came before the last one, as far as they are not stored yet.
    Returns the job as it is now: queued where its package failed and it is to be tried again.
    """
    if finish.error is not None:
        failed = held(connection, job_id, token=token)
        due_at = _again_at(connection, failed, finish=finish, token=token, at=at)
        if due_at is not None:
            return _failed_for_now(
                connection, failed, finish=finish, at=at, due_at=due_at, before=before
            )
    job, last_seq = _end(connection, job_id, token=token, finish=finish, at=at)
    _end_attempt(connection, job, finish=finish, at=at)
    job_counts.ended(connection, state=job.state, package=job.package)
    last: JsonObject = {"state": job.state.value, "error": plain_error(job.error)}
    events.append(
        connection,
        job_id=job_id,
        attempt=job.attempt,
        happenings=[*before, (at, "job.finished", last)],
        last=last_seq,
    )
    turns.left_slot(connection, job, at=at)
    return job


def _end(
    connection: Connection, job_id: str, *, token: str, finish: Finish, at: datetime
) -> tuple[Job, int]:
    """End a job that `token` holds; return it, and the number of its last event."""
    error = plain_error(finish.error)
    keys = {
        "job_id": job_id,
        "by_token": token,
        "its_state": after(State.RUNNING, change=ENDINGS[finish.state]),
        "now": at,
        "its_error": error,
        "its_code": error and error["code"],
    }
    row = END.first(connection, keys)
    if row is None:
        raise _superseded(job_id)
    return job_changes.job_of(row), row.last_seq


def _failed_for_now(
    connection: Connection,
    job: Job,
    *,
    finish: Finish,
    at: datetime,
    due_at: datetime,
    before: Sequence[Happening],
) -> Job:
    """End an attempt whose package failed, and queue the job again, as its retries say."""
    _end_attempt(connection, job, finish=finish, at=at)
    events.append(connection, job_id=job.id, attempt=job.attempt, happenings=before)
    admission.readmit(connection)
    why = finish.error.what if finish.error else ""
    return job_store.queue_again(
        connection, job, change=Change.GIVE_BACK, at=at, due_at=due_at, why=why
    )


def _end_attempt(connection: Connection, job: Job, *, finish: Finish, at: datetime) -> None:
    """Write down how an attempt ended, and what it left."""
    ended = {
        "state": after(State.RUNNING, change=ENDINGS[finish.state]),
        "finished_at": at,
        "error": plain_error(finish.error),
        "artifact_digest": finish.artifact and finish.artifact.digest,
        "is_partial": finish.is_partial,
    }
    job_changes.change_attempt(connection, job_id=job.id, number=job.attempt, values=ended)
    artifacts.keep(connection, job_id=job.id, attempt=job.attempt, artifact=finish.artifact)
    if finish.outputs:
        key = {"job_id": job.id, "attempt": job.attempt}
        rows = [plain(output, STORED_OUTPUT) | key for output in finish.outputs]
        job_changes.INSERT_OUTPUTS.run_each(connection, rows)


def _again_at(
    connection: Connection, job: Job, *, finish: Finish, token: str, at: datetime
) -> datetime | None:
    """Return when a job is due again whose package failed; None where that is its end."""
    error = finish.error
    if job.retry is None or job.cancel_requested_at or error is None or error.kind != "package":
        return None
    if finish.state is not State.FAILED:
        return None
    return again_at(
        job.retry,
        code=error.code,
        what=error.what,
        failures=1 + len(_failures(connection, job, kind="package")),
        ended_at=at,
        jitter=jitter_of(token),
    )


def give_back(
    connection: Connection,
    *,
    job_id: str,
    token: str,
    error: JobError,
    at: datetime,
    most_attempts: int,
) -> Job:
    """End an attempt that *we* failed: queue the next one, or give the job up after the last."""
    job = held(connection, job_id, token=token)
    counted = _failures(connection, job, kind="appliance")
    if error.code not in UNCOUNTED:
        counted = (*counted, error)
    if job.cancel_requested_at:
        ending = Finish(state=State.CANCELLED)
    elif error.code not in UNCOUNTED and len(counted) >= most_attempts:
        ending = Finish(state=State.FAILED, error=_give_up(connection, job, counted, at=at))
    else:
        return _once_more(connection, job, error=error, token=token, at=at)
    finish(connection, job_id=job_id, token=token, finish=ending, at=at)
    return job_store.get(connection, job_id=job_id)


def _once_more(
    connection: Connection, job: Job, *, error: JobError, token: str, at: datetime
) -> Job:
    ended = {"state": State.FAILED, "finished_at": at, "error": plain_error(error)}
    job_changes.change_attempt(connection, job_id=job.id, number=job.attempt, values=ended)
    admission.readmit(connection)
    due_at = at
    if error.code != DRAINED:
        failed = len(_failures(connection, job, kind="appliance", but=(DRAINED,)))
        due_at = at + backoff(failed, jitter=jitter_of(token))
    return job_store.queue_again(
        connection, job, change=Change.GIVE_BACK, at=at, due_at=due_at, why=error.what
    )


def _give_up(
    connection: Connection, job: Job, counted: Sequence[JobError], *, at: datetime
) -> JobError:
    """Lay a job among the dead letters; return what it is given up for."""
    told = events.narrative(connection, job_id=job.id, attempt=job.attempt)
    begun = [one for one in told if one.data.get("state") == "started"]
    phase = str(begun[-1].data.get("phase", "")) if begun else ""
    error = verdict(counted, phase=phase)
    dead_letters.add(
        connection, job_id=job.id, code=error.code, phase=phase, attempts=len(counted), at=at
    )
    return error


def held(connection: Connection, job_id: str, *, token: str) -> Job:
    """Return a job that `token` holds. Raises Superseded."""
    job = job_store.get(connection, job_id=job_id)
    if job.token != token or not is_allowed(job.state, change=Change.GIVE_BACK):
        raise _superseded(job_id)
    return job


def _superseded(job_id: str) -> Superseded:
    return Superseded(
        f"Another attempt of job {job_id} has taken the place of this one",
        where=job_id,
        mend="nothing to mend: the current attempt publishes",
    )


def _failures(
    connection: Connection, job: Job, *, kind: str, but: Container[str] = UNCOUNTED
) -> tuple[JobError, ...]:
    """Return why attempts failed before this one, since somebody asked for the job last."""
    attempts = job_changes.list_attempts(connection, job_id=job.id)
    errors = [one.error for one in attempts if one.error and one.number >= job.counted_from]
    return tuple(one for one in errors if one.kind == kind and one.code not in but)
