"""One act on many jobs: a few at a time, on those that were meant, and no further than it may."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, inspect

from runtime.store.databases.store import Store
from runtime.store.jobs import jobs as job_store
from runtime.store.lists import bulk
from runtime.store.retention import deletion
from runtime.values.access import EVERYTHING, Sight
from runtime.values.around.bulk import (
    MEANT,
    Act,
    BulkOperation,
    BulkState,
    Turn,
    after_turn,
    judge,
    states_of,
    stopped,
)
from runtime.values.ids import new_id
from runtime.values.job_filter import ANY_JOB, JobFilter
from runtime.values.records import Activation, Job
from runtime.values.states import State

from ...conftest import NOON, job_on
from .test_filters import put

type MakeJob = Callable[[], Job]


def operation(act: Act, *, wanted: JobFilter = ANY_JOB, **more: object) -> BulkOperation:
    made = BulkOperation(
        id=new_id(),
        act=act,
        wanted=wanted,
        who="ana",
        reason="because",
        sight=EVERYTHING,
        matched=0,
        at=NOON,
        place=new_id() + "~",
    )
    return replace(made, **more)  # pyright: ignore[reportArgumentType]


async def carried_on(store: Store, one: BulkOperation, do: bulk.Do) -> BulkOperation:
    now, _ = await store.run(bulk.carry_on, operation_id=one.id, do=do, at=NOON)
    return now


def cancel(connection: Connection, job_id: str) -> None:
    job_store.cancel(connection, job_id=job_id, at=NOON)


def retry(connection: Connection, job_id: str, *, queue_limit: int) -> None:
    job_store.retry(connection, job_id=job_id, at=NOON, queue_limit=queue_limit)


async def test_a_turn_is_bounded_and_the_rest_waits_for_the_next(
    store: Store, activation: Activation
) -> None:
    for _ in range(bulk.AT_A_TIME + 7):
        await put(store, job_on(activation))
    begun = await store.run(bulk.begin, operation=operation(Act.CANCEL))
    later = await put(store, replace(job_on(activation)))
    first = await carried_on(store, begun, cancel)
    assert (first.done, first.state) == (bulk.AT_A_TIME, BulkState.RUNNING)
    second = await carried_on(store, begun, cancel)
    assert (second.done, second.state) == (bulk.AT_A_TIME + 7, BulkState.DONE)
    untouched = await store.read(job_store.get, job_id=later.id)
    assert untouched.state is State.QUEUED, "what came after it began is not among them"
    third = await carried_on(store, begun, cancel)
    assert third == second, "what is done is done once"


async def test_a_retry_waits_for_room_in_the_queue_and_goes_on_then(
    store: Store, activation: Activation
) -> None:
    failed = replace(job_on(activation), state=State.FAILED)
    jobs = [await put(store, replace(failed, id=new_id())) for _ in range(5)]
    for one in jobs:  # they were counted as they were put there
        await store.run(job_store.admission.leave)
        del one
    begun = await store.run(bulk.begin, operation=operation(Act.RETRY))
    first = await carried_on(store, begun, partial(retry, queue_limit=3))
    assert (first.done, first.state) == (3, BulkState.RUNNING)
    assert "may" in first.waits_for
    second = await carried_on(store, begun, partial(retry, queue_limit=5))
    assert (second.done, second.state, second.waits_for) == (5, BulkState.DONE, "")


async def test_what_is_stopped_goes_no_further_and_nobody_elses_jobs_are_touched(
    store: Store, activation: Activation
) -> None:
    others = await put(store, job_on(activation))
    hers = Sight(owner="token:ana")
    begun = await store.run(bulk.begin, operation=operation(Act.CANCEL, sight=hers))
    done = await carried_on(store, begun, cancel)
    assert (done.done, done.state) == (0, BulkState.DONE)
    again = await store.run(bulk.begin, operation=operation(Act.CANCEL))
    await store.run(bulk.stop, operation_id=again.id, at=NOON)
    assert (await carried_on(store, again, cancel)).state is BulkState.STOPPED
    assert (await store.read(job_store.get, job_id=others.id)).state is State.QUEUED


async def test_a_deleted_job_leaves_no_row_behind(store: Store, activation: Activation) -> None:
    job = replace(job_on(activation), state=State.CANCELLED, labels={"a": "b"})
    await put(store, job)
    gone = await store.run(deletion.delete_job, job_id=job.id)
    assert gone.job.id == job.id

    def left(connection: Connection) -> list[str]:
        return [
            name
            for name in inspect(connection).get_table_names()
            if any(
                job.id in map(str, row)
                for row in connection.exec_driver_sql(f"SELECT * FROM {name}")
            )
        ]

    assert await store.read(left) == []


TURNS = st.lists(
    st.builds(
        Turn,
        done=st.integers(0, 50),
        left_alone=st.integers(0, 50),
        place=st.none() | st.uuids().map(str),
        waits_for=st.sampled_from(["", "the queue is full"]),
    )
    | st.just("stop"),
    max_size=8,
)


@given(TURNS)
def test_an_operation_counts_every_turn_and_ends_once(turns: list[Turn | str]) -> None:
    now = operation(Act.CANCEL)
    for turn in turns:
        was = now
        now = stopped(now, at=NOON) if isinstance(turn, str) else after_turn(now, turn, at=NOON)
        if was.state is not BulkState.RUNNING:
            assert now.state is was.state and now.finished_at == was.finished_at
        assert (now.finished_at is not None) == (now.state is not BulkState.RUNNING)
        assert now.done >= was.done and now.place


@pytest.mark.parametrize("act", Act)
def test_what_is_meant_can_be_done(act: Act) -> None:
    assert states_of(act, ANY_JOB) == MEANT[act]
    for state in State:
        assert states_of(act, JobFilter(state=state)) <= {state}
    assert State.SUCCEEDED in states_of(Act.RETRY, JobFilter(state=State.SUCCEEDED))
    assert State.SUCCEEDED not in states_of(Act.RETRY, ANY_JOB)


def test_a_filter_that_means_everything_by_mistake_is_refused_with_the_other_faults() -> None:
    def codes(**asked: object) -> list[str]:
        usual = {"reason": "x", "matched": 7, "count": None, "is_everything": False}
        wanted = asked.pop("wanted", ANY_JOB)
        return [one.code for one in judge(Act.DELETE, wanted, **(usual | asked))]

    assert codes() == ["everything"]
    assert codes(count=7) == codes(is_everything=True) == []
    assert codes(count=6, reason=" ") == ["no-reason", "other-count"]
    assert codes(wanted=JobFilter(state=State.QUEUED)) == ["no-such-state"]
    assert codes(wanted=JobFilter(package="hello")) == []
