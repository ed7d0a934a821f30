"""The store is the truth: every change of a job is whole, and only the holder's counts."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import Connection

from runtime.faults.errors import NotFound, QueueFull, StateConflict, Superseded, VersionConflict
from runtime.store.databases.store import Store
from runtime.store.jobs import admission, claims, events, heartbeat, job_lists
from runtime.store.jobs import jobs as job_store
from runtime.store.lists import filtered
from runtime.store.packages import activations, packages
from runtime.values.ids import new_id
from runtime.values.records import Claim, Finish, Job, JobError, StoredOutput
from runtime.values.states import State

from ..conftest import DIGEST, NOON, activate, version_of, worker_named

LOST = JobError(code="worker-lost", what="gone", mend="none", kind="appliance")
type MakeJob = Callable[[], Job]


async def submit(store: Store, job: Job, *, limit: int = 100) -> Job:
    return await store.run(job_store.submit, job=job, queue_limit=limit)


async def claim(store: Store, job: Job, token: str = "t1") -> Claim | None:
    worker = worker_named("w1")
    return await store.run(claims.claim, job_id=job.id, token=token, worker=worker, at=NOON)


async def finish(store: Store, job: Job, ending: Finish, token: str = "t1") -> Job:
    await store.run(claims.finish, job_id=job.id, token=token, finish=ending, at=NOON)
    return await store.read(job_store.get, job_id=job.id)


async def outputs(store: Store, job: Job, *, attempt: int) -> tuple[StoredOutput, ...]:
    page = await store.run(job_lists.list_outputs, job_id=job.id, attempt=attempt, limit=10)
    return page.items


async def test_a_job_goes_from_submission_to_its_published_end(
    store: Store, make_job: MakeJob
) -> None:
    job = await submit(store, make_job())
    assert await store.run(admission.depth) == 1

    taken = await claim(store, job)
    assert taken and taken.job.state is State.RUNNING
    assert taken.activation.prepared is not None
    assert await store.run(admission.depth) == 0

    output = StoredOutput(path="a/b.csv", size_bytes=3, sha256=DIGEST, media_type="text/csv")
    ended = await finish(store, job, Finish(state=State.SUCCEEDED, outputs=(output,)))

    assert ended.state is State.SUCCEEDED
    assert await outputs(store, job, attempt=1) == (output,)
    told = [event.event for event in await store.run(events.read, job_id=job.id)]
    assert told == ["job.queued", "job.started", "job.finished"]


async def test_an_attempt_is_claimed_by_one_worker_however_often_it_is_delivered(
    store: Store, make_job: MakeJob
) -> None:
    job = await submit(store, make_job())
    taken = await asyncio.gather(*(claim(store, job, token) for token in "abcdefgh"))
    assert len([one for one in taken if one]) == 1


async def test_nothing_of_a_superseded_attempt_is_published(
    store: Store, make_job: MakeJob
) -> None:
    job = await submit(store, make_job())
    await claim(store, job, "old")
    again = await give_back(store, job, "old")
    assert (again.state, again.attempt) == (State.QUEUED, 2)
    await claim(store, job, "new")

    with pytest.raises(Superseded):
        await finish(store, job, Finish(state=State.FAILED), "old")
    with pytest.raises(Superseded):
        await give_back(store, job, "old")

    ended = await finish(store, job, Finish(state=State.SUCCEEDED), "new")
    assert ended.state is State.SUCCEEDED
    with pytest.raises(Superseded):
        await finish(store, job, Finish(state=State.SUCCEEDED), "new")


async def give_back(
    store: Store, job: Job, token: str, error: JobError = LOST, most: int = 3
) -> Job:
    return await store.run(
        claims.give_back,
        job_id=job.id,
        token=token,
        error=error,
        at=NOON,
        most_attempts=most,
    )


async def test_a_job_that_we_fail_again_and_again_fails_at_last(
    store: Store, make_job: MakeJob
) -> None:
    job = await submit(store, make_job())
    for token in ("a", "b", "c"):
        await claim(store, job, token)
        job = await give_back(store, job, token)
    assert job.state is State.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.kind) == ("ended-its-worker", "appliance")
    assert await store.run(admission.depth) == 0


async def test_being_stopped_with_the_worker_does_not_count_as_a_failure(
    store: Store, make_job: MakeJob
) -> None:
    job = await submit(store, make_job())
    stopped = JobError(code=claims.DRAINED, what="stop", mend="none", kind="appliance")
    for number in range(6):
        await claim(store, job, str(number))
        job = await give_back(store, job, str(number), error=stopped)
    assert (job.state, job.attempt) == (State.QUEUED, 7)


async def test_the_queue_takes_exactly_as_many_jobs_as_it_may(
    store: Store, make_job: MakeJob
) -> None:
    jobs = [make_job() for _ in range(25)]
    results = await asyncio.gather(
        *(submit(store, job, limit=10) for job in jobs), return_exceptions=True
    )
    refused = [one for one in results if isinstance(one, QueueFull)]
    assert len(refused) == 15
    assert all(one.retry_after_s for one in refused)
    assert await store.run(admission.depth) == 10

    accepted = [one for one in results if isinstance(one, Job)]
    await claim(store, accepted[0])
    await submit(store, make_job(), limit=10)
    with pytest.raises(QueueFull):
        await submit(store, make_job(), limit=10)


async def test_a_refused_job_leaves_nothing_behind(store: Store, make_job: MakeJob) -> None:
    job = make_job()
    with pytest.raises(QueueFull):
        await submit(store, job, limit=0)
    with pytest.raises(NotFound):
        await store.run(job_store.get, job_id=job.id)


async def test_a_waiting_job_is_cancelled_at_once_and_never_claimed(
    store: Store, make_job: MakeJob
) -> None:
    job = await submit(store, make_job())
    cancelled = await store.run(job_store.cancel, job_id=job.id, at=NOON)
    assert cancelled.state is State.CANCELLED
    assert await claim(store, job) is None
    assert await store.run(admission.depth) == 0
    again = await store.run(job_store.cancel, job_id=job.id, at=NOON)
    assert again.state is State.CANCELLED


async def test_a_running_job_is_asked_to_stop_and_a_finished_one_cannot_be(
    store: Store, make_job: MakeJob
) -> None:
    job = await submit(store, make_job())
    await claim(store, job)
    asked = await store.run(job_store.cancel, job_id=job.id, at=NOON)
    assert asked.state is State.RUNNING and asked.cancel_requested_at == NOON
    assert (await store.run(heartbeat.hear, worker="w1")).cancelling == (job.id,)

    await finish(store, job, Finish(state=State.SUCCEEDED))
    with pytest.raises(StateConflict):
        await store.run(job_store.cancel, job_id=job.id, at=NOON)


async def test_a_job_that_shall_stop_is_not_tried_again_when_its_worker_dies(
    store: Store, make_job: MakeJob
) -> None:
    job = await submit(store, make_job())
    await claim(store, job)
    await store.run(job_store.cancel, job_id=job.id, at=NOON)
    assert (await give_back(store, job, "t1")).state is State.CANCELLED


async def test_a_retry_keeps_every_attempt_with_its_own_outputs(
    store: Store, make_job: MakeJob
) -> None:
    job = await submit(store, make_job())
    with pytest.raises(StateConflict):
        await store.run(job_store.retry, job_id=job.id, at=NOON, queue_limit=9)
    await claim(store, job)
    first = StoredOutput(path="x", size_bytes=1, sha256=DIGEST, media_type="text/plain")
    error = JobError(code="raised", what="ValueError", mend="mend it", kind="package")
    await finish(store, job, Finish(state=State.FAILED, error=error, outputs=(first,)))

    again = await store.run(job_store.retry, job_id=job.id, at=NOON, queue_limit=9)
    assert (again.state, again.attempt, again.error) == (State.QUEUED, 2, None)
    await claim(store, job, "t2")
    await finish(store, job, Finish(state=State.SUCCEEDED), "t2")

    attempts = await store.run(job_store.list_attempts, job_id=job.id)
    assert [one.state for one in attempts] == [State.FAILED, State.SUCCEEDED]
    assert attempts[0].error == error
    assert await outputs(store, job, attempt=1) == (first,)
    assert await outputs(store, job, attempt=2) == ()


async def test_lists_go_on_where_the_cursor_says(store: Store, make_job: MakeJob) -> None:
    ids = [(await submit(store, make_job())).id for _ in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        page = await store.run(filtered.page, limit=3, cursor=cursor)
        seen += [job.id for job in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ids[::-1]


async def test_a_version_never_changes_its_content(store: Store) -> None:
    assert await store.run(packages.add_version, version=version_of())
    assert not await store.run(packages.add_version, version=version_of())
    with pytest.raises(VersionConflict):
        await store.run(packages.add_version, version=version_of(digest="sha256:" + "2" * 64))


async def test_a_failed_activation_leaves_the_former_version_active(store: Store) -> None:
    await activate(store, version_of())
    second = version_of(version="2.0", digest="sha256:" + "2" * 64)
    await store.run(packages.add_version, version=second)
    asked = await request(store, second)
    with pytest.raises(StateConflict):
        await request(store, second)
    await store.run(activations.start, activation_id=asked.id, worker="w", at=NOON)
    await store.run(
        activations.fail, activation_id=asked.id, problems=[], traceback="boom", log=[], at=NOON
    )
    package = await store.run(packages.get_package, name="hello")
    assert package.active_version == "1.0"


async def request(store: Store, version: object):
    return await store.run(
        activations.request,
        activation_id=new_id(),
        version=version,
        who="ana",
        reason="",
        at=NOON,
    )


async def test_going_back_finds_the_version_that_was_active_before(store: Store) -> None:
    await activate(store, version_of())
    with pytest.raises(StateConflict):
        await store.run(activations.former, package="hello")
    await activate(store, version_of(version="2.0", digest="sha256:" + "2" * 64))
    former = await store.run(activations.former, package="hello")
    assert former.version == "1.0"


async def test_a_unit_of_work_that_raises_changes_nothing(store: Store, make_job: MakeJob) -> None:
    job = make_job()

    def half(connection: Connection, *, at: datetime) -> None:
        job_store.submit(connection, job=job, queue_limit=5)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        await store.run(half, at=NOON)
    with pytest.raises(NotFound):
        await store.run(job_store.get, job_id=job.id)
    assert await store.run(admission.depth) == 0
