"""The state machine as it is: the functions of the store, in a SQLite database in memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, create_engine, delete, func, insert, select
from sqlalchemy.pool import StaticPool
from support.simulation.seen import (
    FULL,
    KEY,
    MOST_ATTEMPTS,
    NOON,
    QUESTION,
    QUEUE_LIMIT,
    REFUSED,
    SUPERSEDED,
    AtAttempt,
    AttemptSeen,
    Held,
    JobSeen,
    Seen,
    Wish,
)

from runtime.faults.errors import NotFound, QueueFull, StateConflict, Superseded
from runtime.jobs.attempts.events import _append_if_held  # pyright: ignore[reportPrivateUsage]
from runtime.jobs.webhooks.deliveries import messages_of_job
from runtime.store import webhooks
from runtime.store.jobs import claims, heartbeat, job_lists, jobs, questions, unclaiming
from runtime.store.schema import tables, tables_around
from runtime.store.schema.tables_when import dead_letters
from runtime.store.statements.json_text import from_text, to_text
from runtime.values.around.questions import Answer, Asked
from runtime.values.records import (
    Activation,
    ActivationState,
    Finish,
    Job,
    JobError,
    RequestContext,
    SavedArtifact,
    SentKey,
    Worker,
)
from runtime.values.retries import RetryPolicy
from runtime.values.states import FINAL, State
from runtime.values.when.line import Ability
from runtime.worker.timekeeping import look_for

ANY = Ability(platform="")
ACTIVATION = Activation(
    id="activation",
    package="hello",
    version="1.0",
    digest="sha256:1",
    state=ActivationState.SUCCEEDED,
    who="ana",
    reason="",
    requested_at=NOON,
)
TO_EMPTY = ("deliveries", "questions", "dead_letters", "submissions", "outputs", "events")
COUNTED = {f"jobs-{state}": state for state in (*FINAL, State.QUEUED)}


@contextmanager
def memory() -> Iterator[Connection]:
    """Offer a database in memory with the tables, a version that jobs run on, and the counters."""
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, json_serializer=to_text, json_deserializer=from_text
    )
    with engine.connect() as connection:
        tables.metadata.create_all(connection)
        connection.execute(insert(tables.packages).values(name="hello", created_at=NOON))
        version = {
            "package": "hello",
            "version": "1.0",
            "digest": "sha256:1",
            "size_bytes": 1,
            "title": "",
            "manifest": {},
            "requirements": [],
            "uploaded_by": "ana",
        }
        connection.execute(insert(tables.versions).values(version | {"uploaded_at": NOON}))
        activation = {
            "id": "activation",
            "package": "hello",
            "version": "1.0",
            "digest": "sha256:1",
            "state": "succeeded",
            "who": "ana",
            "reason": "",
            "requested_at": NOON,
            "problems": [],
            "traceback": "",
            "log": [],
        }
        connection.execute(insert(tables.activations).values(activation))
        counters = [{"name": name, "value": 0} for name in COUNTED]
        connection.execute(insert(tables.counters), counters)
        connection.commit()
        yield connection
    engine.dispose()


class OfStore:
    """The state machine behind one connection; each act is one transaction, in the given order."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stale: dict[AtAttempt, Job] = {}
        self._asked: dict[AtAttempt, Asked] = {}
        connection.rollback()
        for name in TO_EMPTY:
            connection.execute(delete(tables.metadata.tables[name]))
        connection.execute(delete(tables.attempts))
        connection.execute(delete(tables.jobs))
        connection.execute(tables.counters.update().values(value=0))

    def _told[T](self, act: Callable[..., T], **given: Any) -> T | str:
        """Act in a savepoint, as the one writer does; return in a word what was raised."""
        try:
            with self._connection.begin_nested():
                return act(self._connection, **given)
        except QueueFull:
            return FULL
        except Superseded:
            return SUPERSEDED
        except (StateConflict, NotFound):
            return REFUSED

    def submit(self, job: str, wish: Wish, *, at: datetime) -> str:
        told = self._told(
            jobs.submit,
            job=_ordered(job, wish, at=at),
            queue_limit=QUEUE_LIMIT,
            sent=SentKey(principal="ana", key=job, fingerprint=job),
        )
        return told.id if isinstance(told, Job) else told

    def cancel(self, job: str, *, at: datetime) -> str:
        return _state(self._told(jobs.cancel, job_id=job, at=at))

    def retry(self, job: str, *, at: datetime) -> str:
        return _state(self._told(jobs.retry, job_id=job, at=at, queue_limit=QUEUE_LIMIT))

    def answer(self, job: str, *, at: datetime) -> str:
        given = Answer(key=QUESTION, value=1, who="ana", at=at)
        return _state(self._told(questions.answer, job_id=job, given=given))

    def claim(self, worker: str, token: str, *, at: datetime) -> str:
        told = self._told(
            claims.claim_next,
            ability=ANY,
            token=token,
            worker=_worker(worker),
            at=at,
            known={"activation": ACTIVATION},
        )
        return "" if told is None else told if isinstance(told, str) else told.job.id

    def write(self, held: Held, *, at: datetime) -> bool:
        job = jobs.get(self._connection, job_id=held[0])
        said = [(at, "job.log", {})]
        return bool(
            self._told(
                _append_if_held,
                job_id=job.id,
                attempt=job.attempt,
                token=held[1],
                batch=said,
                progress=None,
            )
        )

    def finish(self, held: Held, state: State, *, at: datetime) -> str:
        raised = JobError(code="package-raised", what="package-raised", mend="", kind="package")
        finish = Finish(state=state, error=raised if state is State.FAILED else None)
        given = {"job_id": held[0], "token": held[1], "finish": finish, "at": at}
        told = self._told(claims.finish, **given)
        return state if told is None else _state(told)

    def ask(self, held: Held, *, at: datetime) -> str:
        attempt = jobs.get(self._connection, job_id=held[0]).attempt
        asked = Asked(
            job_id=held[0],
            key=QUESTION,
            attempt=attempt,
            prompt="?",
            schema={},
            asked_at=at,
            expires_at=at + timedelta(seconds=60),
        )
        given = {"asked": asked, "token": held[1], "artifact": SavedArtifact(digest=""), "at": at}
        return str(self._told(questions.ask, **given))

    def give_back(self, held: Held, code: str, *, at: datetime) -> str:
        error = JobError(code=code, what=code, mend="", kind="appliance")
        told = self._told(
            claims.give_back,
            job_id=held[0],
            token=held[1],
            error=error,
            at=at,
            most_attempts=MOST_ATTEMPTS,
        )
        return _state(told)

    def unclaim(self, held: Held, *, at: datetime) -> str:
        return _state(self._told(unclaiming.unclaim, job_id=held[0], token=held[1], at=at))

    def running_elsewhere(self, *, alive: tuple[str, ...]) -> tuple[Held, ...]:
        found = job_lists.running_elsewhere(self._connection, alive=alive)
        return tuple((job.id, job.token or "") for job in found)

    def running_on(self, worker: str) -> tuple[Held, ...]:
        return heartbeat.hear(self._connection, worker=worker).running

    def are_due(self, *, before: datetime) -> bool:
        return job_lists.are_due(self._connection, before=before)

    def late(self, *, at: datetime) -> tuple[str, ...]:
        return look_for(self._connection, at=at).late

    def is_due(self, *, at: datetime) -> bool:
        return look_for(self._connection, at=at).is_job_due

    def expire(self, job: str, *, at: datetime) -> None:
        self._told(jobs.expire, job_id=job, at=at)

    def overdue(self, *, at: datetime) -> tuple[AtAttempt, ...]:
        found = questions.overdue(self._connection, at=at, limit=100)
        self._asked |= {(one.job_id, one.attempt): one for one in found}
        return tuple((one.job_id, one.attempt) for one in found)

    def expire_question(self, asked: AtAttempt, *, at: datetime) -> None:
        self._told(questions.expire, asked=self._asked[asked], at=at)

    def untold(self) -> tuple[AtAttempt, ...]:
        found = webhooks.untold(self._connection, limit=100)
        self._stale |= {(job.id, job.attempt): job for job in found}
        return tuple((job.id, job.attempt) for job in found)

    def tell(self, ended: AtAttempt, *, at: datetime) -> None:
        def note(connection: Connection, *, job: Job) -> None:
            if webhooks.note_told(connection, job=job):
                made = messages_of_job(job, webhooks=(), at=at)
                webhooks.queue(connection, made=made)

        self._told(note, job=self._stale[ended])

    def look(self) -> Seen:
        rows = self._connection.execute(select(tables.jobs).order_by(tables.jobs.c.id)).all()
        attempts, ends = self._attempts(), self._ends()
        dead = set(self._connection.execute(select(dead_letters.c.job_id)).scalars())
        messages = self._messages()
        counted = self._connection.execute(select(tables.counters)).all()
        return Seen(
            jobs={
                row.id: JobSeen(
                    state=State(row.state),
                    attempt=row.attempt,
                    token=row.token,
                    worker=row.worker,
                    is_asked_to_stop=row.cancel_requested_at is not None,
                    has_key=row.slot_key is not None,
                    turn=row.turn,
                    held_by=row.held_by,
                    attempts=tuple(attempts.get(row.id, ())),
                    ends=tuple(ends.get(row.id, ())),
                    messages=messages.get(row.id, 0),
                    is_dead=row.id in dead,
                )
                for row in rows
            },
            counted={COUNTED[row.name]: row.value for row in counted},
        )

    def _attempts(self) -> dict[str, list[AttemptSeen]]:
        found: dict[str, list[AttemptSeen]] = {}
        query = select(tables.attempts).order_by(tables.attempts.c.job_id, tables.attempts.c.number)
        for row in self._connection.execute(query):
            fault = row.error["kind"] if row.error else ""
            one = AttemptSeen(row.number, State(row.state), row.token, fault)
            found.setdefault(row.job_id, []).append(one)
        return found

    def _ends(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        events = tables.events
        query = select(events.c.job, events.c.attempt).where(events.c.event == "job.finished")
        for row in self._connection.execute(query.order_by(events.c.job, events.c.seq)):
            found.setdefault(row.job, []).append(row.attempt)
        return found

    def _messages(self) -> dict[str, int]:
        deliveries = tables_around.deliveries
        query = select(deliveries.c.job_id, func.count()).group_by(deliveries.c.job_id)
        return {row[0]: row[1] for row in self._connection.execute(query)}


def _state(told: Job | str) -> str:
    return told.state if isinstance(told, Job) else told


def _worker(name: str) -> Worker:
    return Worker(id=name, host="h", version="0", slots=1, started_at=NOON, seen_at=NOON)


def _ordered(job: str, wish: Wish, *, at: datetime) -> Job:
    return Job(
        id=job,
        package="hello",
        version="1.0",
        digest="sha256:1",
        activation_id="activation",
        platform="",
        state=State.QUEUED,
        attempt=1,
        parameters={},
        inputs=(),
        request=RequestContext(principal="ana"),
        submitted_at=at,
        queued_at=at,
        due_at=at + timedelta(seconds=wish.after_s),
        expires_at=at + timedelta(seconds=wish.expires_s) if wish.expires_s else None,
        retry=RetryPolicy(attempts=1 + wish.retries) if wish.retries else None,
        slot_key=KEY if wish.has_key else None,
        slot_most=1 if wish.has_key else None,
        webhook="https://hooks.example.org/jobs",
        told_attempt=0,
    )
