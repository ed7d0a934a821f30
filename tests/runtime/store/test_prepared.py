"""Statements that are prepared say to the database what SQLAlchemy says, and answer as it does."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, event, select
from sqlalchemy.exc import IntegrityError

from runtime.store.databases.store import Store
from runtime.store.jobs import claims, job_changes
from runtime.store.jobs import jobs as job_store
from runtime.store.schema import tables
from runtime.store.statements.prepared import Prepared
from runtime.values.records import Finish, Job, JobError, StoredOutput
from runtime.values.states import State

from ..conftest import DIGEST, NOON, worker_named

FAILED = Finish(
    state=State.FAILED,
    error=JobError(code="oops", what="ein Fehler: ü", mend="", kind="package"),
    outputs=(StoredOutput(path="a", size_bytes=1, sha256=DIGEST, media_type="text/csv"),),
)
TOLD = (NOON, "job.log", {"text": "ü\n", "nothing": None, "n": [1, 2.5]})


@contextmanager
def sent_as_always(connection: Connection) -> Generator[list[str]]:
    """Have SQLAlchemy run all statements meanwhile; offer them."""
    sent: list[str] = []

    def note(_c: Any, _d: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(connection, "before_cursor_execute", note)


def run_to_its_end(connection: Connection, job: Job) -> None:
    """Take a job all the way, with a failure, outputs and events of several kinds."""
    job_store.submit(connection, job=job, queue_limit=9)
    claims.claim(connection, job_id=job.id, token="t", worker=worker_named("w"), at=NOON)
    job_store.report_progress(connection, job_id=job.id, token="t", progress={"done": 1})
    ending = {"job_id": job.id, "token": "t", "finish": FAILED, "at": NOON}
    claims.finish(connection, before=[TOLD, TOLD], **ending)


def left_by(connection: Connection, job: Job) -> list[tuple[Any, ...]]:
    """Return what the driver finds in the tables about a job, but for its id."""
    found: list[tuple[Any, ...]] = []
    for table, column in (("jobs", "id"), ("attempts", "job_id"), ("events", "job")):
        rows = connection.exec_driver_sql(
            f"SELECT * FROM {table} WHERE {column} = '{job.id}' ORDER BY 1, 2"
        )
        found += [tuple(one for one in row if one != job.id) for row in rows]
    return found


async def test_a_job_leaves_the_same_and_reads_the_same_either_way(
    store: Store, make_job: Callable[[], Job]
) -> None:
    prepared, always = make_job(), make_job()

    def both(connection: Connection) -> None:
        run_to_its_end(connection, prepared)
        with sent_as_always(connection) as sent:
            run_to_its_end(connection, always)
        assert len(sent) > 15
        ours, theirs = left_by(connection, prepared), left_by(connection, always)
        of_turn = {ours[0].index(one) for one in ours[0] if one not in theirs[0]}
        assert len(of_turn) <= 2, "but for the turn, which one has after the other"
        assert [len(row) for row in ours] == [len(row) for row in theirs]
        assert ours[1:] == theirs[1:]
        read = job_changes.job_row(connection, job_id=always.id)
        with sent_as_always(connection):
            again = job_changes.job_row(connection, job_id=always.id)
        assert dict(read._mapping) == dict(again._mapping) and tuple(read) == tuple(again)
        assert read.error["what"] == "ein Fehler: ü" and read.finished_at == NOON

    await store.run(both)


async def test_what_the_database_refuses_is_refused_as_always(
    store: Store, make_job: Callable[[], Job]
) -> None:
    job = make_job()
    await store.run(job_store.submit, job=job, queue_limit=9)
    with pytest.raises(IntegrityError):
        await store.run(job_store.submit, job=job, queue_limit=9)


async def test_a_parameter_that_was_left_out_is_no_null(store: Store) -> None:
    one = Prepared(select(tables.jobs.c.id).where(tables.jobs.c.id == bindparam("wanted")))
    with pytest.raises(Exception, match="wanted"):
        await store.run(lambda connection: one.first(connection, {}))
