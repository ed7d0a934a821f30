"""Once jobs come thick and fast a process writes them: nothing is lost or doubled when it dies."""

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError
from support.writers import writers_of

from runtime.faults.errors import QueueFull, Superseded
from runtime.store.databases import writers
from runtime.store.databases.apart import process as process_apart
from runtime.store.databases.store import Store
from runtime.store.jobs import admission, claims
from runtime.store.jobs import jobs as job_store
from runtime.store.schema import tables
from runtime.values.ids import new_id
from runtime.values.records import Finish, Job
from runtime.values.states import State
from runtime.values.when.line import Ability

from ..conftest import NOON, worker_named

HERE = Ability(platform="x86_64-linux-gnu")
ENOUGH = 100
"""More units than are written by the thread within a second before a process is started."""
LONG = "x" * 600_000
"""More than a socket holds: who sends this back waits until it is read."""

type MakeJob = Callable[[], Job]


async def submit(store: Store, job: Job, *, limit: int = 100_000) -> Job:
    return await store.run(job_store.submit, job=job, queue_limit=limit)


async def flood(store: Store, make_job: MakeJob, number: int) -> list[Job]:
    return list(await asyncio.gather(*(submit(store, make_job()) for _ in range(number))))


def in_store(connection: Connection) -> Counter[str]:
    return Counter(connection.execute(select(tables.jobs.c.id)).scalars())


def worked() -> int:
    """Return how often the last process had something to do; one of a test before may be ending."""
    last = max(writers_of(), key=lambda one: one.create_time())
    return last.num_ctx_switches().voluntary


@pytest.fixture
async def busy(store: Store, make_job: MakeJob, caplog: pytest.LogCaptureFixture) -> Store:
    """A store that a process writes into."""
    with caplog.at_level(logging.INFO, logger="fumehood.store"):
        await flood(store, make_job, ENOUGH)
        for _ in range(600):
            if "many jobs come" in caplog.text:
                return store
            await asyncio.sleep(0.05)
    pytest.fail("no process writes")


async def test_few_jobs_start_no_process(store: Store, make_job: MakeJob) -> None:
    for _ in range(5):
        await submit(store, make_job())
    await asyncio.sleep(0.2)
    assert not writers_of()


async def test_a_job_goes_its_way_through_the_process(busy: Store, make_job: MakeJob) -> None:
    before = worked()
    job = await submit(busy, replace(make_job(), priority=9, parameters={"café": [1, None]}))
    token, worker = new_id(), worker_named("w")
    taken = await busy.run(
        claims.claim_next, ability=HERE, token=token, worker=worker, at=job.queued_at
    )
    assert taken is not None
    finish = Finish(state=State.SUCCEEDED)
    ended = await busy.run(
        claims.finish, job_id=taken.job.id, token=token, finish=finish, at=NOON, before=()
    )
    assert worked() > before
    assert ended == await busy.read(job_store.get, job_id=taken.job.id)
    assert ended.state is State.SUCCEEDED
    assert taken.job.parameters == job.parameters


async def test_a_fault_comes_back_with_all_its_facts(busy: Store, make_job: MakeJob) -> None:
    with pytest.raises(QueueFull) as full:
        await submit(busy, make_job(), limit=3)
    assert full.value.retry_after_s
    assert full.value.problems[0].mend
    taken = await busy.run(
        claims.claim_next, ability=HERE, token=new_id(), worker=worker_named("w"), at=NOON
    )
    assert taken is not None
    with pytest.raises(Superseded):
        finish = Finish(state=State.SUCCEEDED)
        await busy.run(
            claims.finish, job_id=taken.job.id, token=new_id(), finish=finish, at=NOON, before=()
        )


async def test_an_error_of_the_database_is_what_it_is_in_this_process(
    busy: Store, make_job: MakeJob
) -> None:
    job = await submit(busy, make_job())
    beside = [make_job() for _ in range(3)]
    *ended, twice = await asyncio.gather(
        *(submit(busy, one) for one in (*beside, job)), return_exceptions=True
    )
    assert isinstance(twice, IntegrityError)
    assert [one.id for one in ended if isinstance(one, Job)] == [one.id for one in beside]
    assert (await busy.read(in_store))[beside[0].id] == 1


async def test_what_cannot_go_across_is_written_here(busy: Store) -> None:
    taken = await busy.run(
        claims.claim_next,
        ability=HERE,
        token=new_id(),
        worker=worker_named("w"),
        at=NOON,
        known={"another": 1}.keys(),  # no pickle of it can be made
    )
    assert taken is not None
    assert taken.job.state is State.RUNNING


async def test_who_is_killed_after_a_commit_has_still_answered(
    busy: Store, make_job: MakeJob
) -> None:
    """The answer is longer than its way, and nobody reads: it dies between the two."""
    job = await submit(busy, replace(make_job(), priority=9, parameters={"long": LONG}))
    claiming = asyncio.ensure_future(
        busy.run(
            claims.claim_next, ability=HERE, token="t1", worker=worker_named("w"), at=job.queued_at
        )
    )
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    time.sleep(1.0)  # noqa: ASYNC251 - the loop shall read nothing
    (process,) = writers_of()
    assert process.status() == psutil.STATUS_SLEEPING, "it is not on its way back"
    process.kill()
    taken = await claiming
    assert taken is not None
    assert taken.job == await busy.read(job_store.get, job_id=job.id)
    assert taken.job.token == "t1"
    assert taken.attempts[0].token == "t1", "what was done again is not what had been answered"


async def test_what_is_committed_is_not_done_again_since_its_answer_cannot_be_read(
    busy: Store, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade: a process that is started then has other classes."""

    def refuse(*_: object) -> None:
        raise TypeError("a field that this release does not know")

    await flood(busy, make_job, 3)
    monkeypatch.setattr(Job, "__setstate__", refuse)
    claim = {"ability": HERE, "token": new_id(), "worker": worker_named("w"), "at": NOON}
    with pytest.raises(RuntimeError, match="it was written"):
        await busy.run(claims.claim_next, **claim)
    running = select(func.count()).where(tables.jobs.c.state == State.RUNNING)
    assert await busy.read(lambda connection: connection.scalar(running)) == 1
    await flood(busy, make_job, ENOUGH)
    assert not writers_of()


async def test_who_is_killed_before_a_commit_has_done_nothing(
    busy: Store, make_job: MakeJob
) -> None:
    await submit(busy, make_job())  # so that it has kept the answer to a group before
    (process,) = writers_of()
    process.suspend()
    waiting = [asyncio.ensure_future(submit(busy, make_job())) for _ in range(5)]
    await asyncio.sleep(0.2)
    assert not any(one.done() for one in waiting)
    process.kill()
    ids = [(await one).id for one in waiting]
    found = await busy.read(in_store)
    assert [found[one] for one in ids] == [1] * 5


async def test_who_does_not_answer_is_given_up(
    busy: Store, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_apart, "ANSWER_S", 0.5)
    (process,) = writers_of()
    process.suspend()
    job = await submit(busy, make_job())
    assert (await busy.read(in_store))[job.id] == 1
    assert not writers_of()


async def test_nothing_is_lost_or_doubled_however_often_it_is_killed(
    store: Store, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "AGAIN_S", 0.0)
    accepted: list[str] = []
    kills = 0
    is_over = asyncio.Event()

    async def submit_on() -> None:
        while not is_over.is_set():
            accepted.append((await submit(store, make_job())).id)

    clients = [asyncio.ensure_future(submit_on()) for _ in range(8)]
    until = time.monotonic() + 60
    while kills < 12 and time.monotonic() < until:
        await asyncio.sleep(0.02 + kills * 0.003)
        for process in writers_of():
            process.kill()
            kills += 1
    is_over.set()
    await asyncio.gather(*clients)
    found = await store.read(in_store)
    assert kills == 12
    assert set(found.values()) == {1}
    assert Counter(accepted) == found
    assert await store.read(admission.depth) == len(accepted)


async def test_its_end_is_told_and_a_thread_goes_on(
    busy: Store, make_job: MakeJob, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="fumehood.store"):
        os.kill(writers_of()[0].pid, signal.SIGKILL)
        for _ in range(100):
            if caplog.records:
                break
            await asyncio.sleep(0.05)
    assert "the process that writes has ended" in caplog.text
    job = await submit(busy, make_job())
    assert (await busy.read(in_store))[job.id] == 1
    assert not writers_of()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_what_is_sent_to_a_whole_service_does_not_end_it(
    busy: Store, make_job: MakeJob, number: signal.Signals
) -> None:
    (process,) = writers_of()
    process.send_signal(number)
    job = await submit(busy, make_job())
    assert (await busy.read(in_store))[job.id] == 1
    assert [one.pid for one in writers_of()] == [process.pid]


async def test_it_ends_with_its_store(store: Store, make_job: MakeJob, tmp_path: Path) -> None:
    flooding = asyncio.ensure_future(flood(store, make_job, 3 * ENOUGH))
    while not writers_of() and not flooding.done():
        await asyncio.sleep(0.01)
    await flooding
    await store.close()
    assert not writers_of()
    assert not list(tmp_path.glob("*.db-wal"))


async def test_the_counts_are_of_both(busy: Store, make_job: MakeJob) -> None:
    """What the thread writes and what the process writes is one history."""
    jobs = await flood(busy, make_job, 20)
    for job in jobs[:10]:
        await busy.run(job_store.cancel, job_id=job.id, at=NOON)
    counted = await busy.read(
        lambda connection: connection.scalar(
            select(func.count()).where(tables.jobs.c.state == State.QUEUED)
        )
    )
    assert await busy.read(admission.depth) == counted
