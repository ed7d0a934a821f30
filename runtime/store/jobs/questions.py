"""Questions of jobs: asked as an attempt ends, answered once, forgotten with the job.

An answer is at hand for every later attempt: a job that asks twice is run a third time.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Integer, bindparam, delete, select, update

from runtime.faults.errors import NotFound, StateConflict, Superseded
from runtime.store.jobs import (
    admission,
    artifacts,
    claims,
    events,
    job_changes,
    job_counts,
    turns,
)
from runtime.store.jobs import jobs as job_store
from runtime.store.jobs.events import Happening
from runtime.store.schema.tables_around import questions
from runtime.store.statements.rows import ASKED, plain, plain_error, value_of
from runtime.values.around.questions import Answer, Asked, expired
from runtime.values.records import Finish, Job, JobError, JsonObject, SavedArtifact
from runtime.values.states import Change, State, after
from sandbox.command import Json

_OVERDUE = (
    select(questions)
    .where(questions.c.answered_at.is_(None), questions.c.expires_at <= bindparam("at"))
    .order_by(questions.c.expires_at)
    .limit(bindparam("most", type_=Integer))
)
"""Made once: it is asked each second."""


def ask(
    connection: Connection,
    *,
    asked: Asked,
    token: str,
    artifact: SavedArtifact,
    at: datetime,
    before: Sequence[Happening] = (),
) -> State:
    """End the attempt that holds `token` with a question; return the state of the job then.

    It is cancelled where somebody asked for that meanwhile. Raises Superseded as `claims.finish`.
    """
    job = job_store.get(connection, job_id=asked.job_id)
    if job.token != token or job.state is not State.RUNNING:
        raise Superseded(
            f"Another attempt of job {job.id} has taken the place of this one",
            where=job.id,
            mend="nothing to mend: the current attempt publishes",
        )
    if job.cancel_requested_at:
        end = Finish(state=State.CANCELLED, artifact=artifact)
        claims.finish(connection, job_id=job.id, token=token, finish=end, at=at, before=before)
        return State.CANCELLED
    state = after(job.state, change=Change.ASK)
    connection.execute(delete(questions).where(*_of(job.id, asked.key)))
    row = plain(asked, ASKED) | {"asked_at": asked.asked_at, "expires_at": asked.expires_at}
    connection.execute(questions.insert().values(row))
    job_changes.change_job(
        connection, job_id=job.id, values={"state": state, "token": None, "progress": None}
    )
    ending = {"state": state, "finished_at": at, "artifact_digest": artifact.digest}
    job_changes.change_attempt(connection, job_id=job.id, number=job.attempt, values=ending)
    artifacts.keep(connection, job_id=job.id, attempt=job.attempt, artifact=artifact)
    told: JsonObject = {
        "key": asked.key,
        "prompt": asked.prompt,
        "schema": dict(asked.schema),
        "expires_at": asked.expires_at.isoformat() if asked.expires_at else None,
    }
    happenings = [*before, (at, "job.asked", told)]
    events.append(connection, job_id=job.id, attempt=job.attempt, happenings=happenings)
    turns.left_slot(connection, job, at=at)
    return state


def _of(job_id: str, key: str) -> tuple[ColumnElement[bool], ...]:
    return questions.c.job_id == job_id, questions.c.key == key


def open_question(connection: Connection, *, job_id: str) -> Asked:
    """Return the question that a job waits with; raise NotFound where it has none."""
    job = job_store.get(connection, job_id=job_id)
    query = select(questions).where(questions.c.job_id == job_id, questions.c.answered_at.is_(None))
    row = connection.execute(query.order_by(questions.c.asked_at.desc()).limit(1)).first()
    if job.state is not State.WAITING or row is None:
        raise NotFound(
            f"Job {job_id} has no open question: it is {job.state}",
            where=job_id,
            mend=f"`fumehood job show {job_id}` shows how it stands",
        )
    return value_of(row, ASKED)


def answers(connection: Connection, *, job_id: str) -> dict[str, Json]:
    """Return what was answered, by key."""
    query = select(questions.c.key, questions.c.answer).where(
        questions.c.job_id == job_id, questions.c.answered_at.is_not(None)
    )
    return {row.key: row.answer["value"] for row in connection.execute(query)}


def list_asked(connection: Connection, *, job_id: str) -> tuple[Asked, ...]:
    """Return all questions of a job, the first first."""
    query = select(questions).where(questions.c.job_id == job_id).order_by(questions.c.asked_at)
    return tuple(value_of(row, ASKED) for row in connection.execute(query))


def answer(
    connection: Connection, *, job_id: str, given: Answer, asked_in: int | None = None
) -> Job:
    """Note an answer, and queue the job again with it; raise StateConflict for another question.

    `asked_in` is the attempt that asked, where only that one's question is meant. The queue's bound
    does not count: the job was accepted before.
    """
    asked = open_question(connection, job_id=job_id)
    if asked.key != given.key or asked_in not in {None, asked.attempt}:
        raise StateConflict(
            f"Job {job_id} asks for {asked.key!r} now, and not for {given.key!r}",
            where="key",
            mend=f"`fumehood job prompt {job_id}` shows what it asks",
        )
    values = {
        "answered_at": given.at,
        "answered_by": given.who,
        "answer": {"value": given.value},
    }
    connection.execute(update(questions).where(*_of(job_id, asked.key)).values(values))
    job = job_store.get(connection, job_id=job_id)
    told: JsonObject = {"key": asked.key, "by": given.who}
    job_changes.add_event(
        connection, job_id=job_id, attempt=job.attempt, at=given.at, event="job.answered", data=told
    )
    admission.readmit(connection)
    why = f"{asked.key} was answered by {given.who}"
    job = replace(job, counted_from=job.attempt + 1)  # to ask is no failure
    return job_store.queue_again(
        connection, job, change=Change.ANSWER, at=given.at, due_at=given.at, why=why
    )


def overdue(connection: Connection, *, at: datetime, limit: int) -> tuple[Asked, ...]:
    """Return open questions whose time is over."""
    rows = connection.execute(_OVERDUE, {"at": at, "most": limit})
    return tuple(value_of(row, ASKED) for row in rows)


def expire(
    connection: Connection, *, asked: Asked, at: datetime, error: JobError | None = None
) -> None:
    """Fail the job that waits with a question that nobody answers; forget the question.

    It may have been answered by now, or asked again by a later attempt: then that stays.
    """
    job = job_store.get(connection, job_id=asked.job_id)
    its = (questions.c.attempt == asked.attempt, questions.c.answered_at.is_(None))
    connection.execute(delete(questions).where(*_of(job.id, asked.key), *its))
    if job.state is not State.WAITING or job.attempt != asked.attempt:
        return
    state = after(job.state, change=Change.FAIL)
    job_counts.ended(connection, state=state, package=job.package)
    told_error = plain_error(error or expired(asked))
    ended = {"state": state, "finished_at": at, "error": told_error}
    job_changes.change_job(connection, job_id=job.id, values=ended)
    job_changes.change_attempt(connection, job_id=job.id, number=job.attempt, values=ended)
    told: JsonObject = {"state": state.value, "error": told_error}
    job_changes.add_event(
        connection, job_id=job.id, attempt=job.attempt, at=at, event="job.finished", data=told
    )
