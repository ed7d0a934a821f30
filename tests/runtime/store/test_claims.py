"""Who waits longest is claimed first, once it is due, by a worker that can run it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from runtime.faults.errors import StateConflict, Superseded
from runtime.store.databases.store import Store
from runtime.store.jobs import claims, job_counts, turns
from runtime.store.jobs import jobs as job_store
from runtime.store.schema import tables
from runtime.values.backoff import backoff
from runtime.values.ids import new_id
from runtime.values.records import Claim, Finish, Job, JobError, RequestContext
from runtime.values.states import State
from runtime.values.when.line import Ability

from ..conftest import NOON, activate, fresh_store, job_on, version_of, worker_named

HERE = Ability(platform="x86_64-linux-gnu")
OURS = JobError(code="lost", what="gone", mend="none", kind="appliance")


async def submit(store: Store, job: Job) -> Job:
    return await store.run(job_store.submit, job=job, queue_limit=100)


async def take(store: Store, *, after_s: float = 0, ability: Ability = HERE) -> Claim | None:
    return await store.run(
        claims.claim_next,
        ability=ability,
        token=new_id(),
        worker=worker_named("w"),
        at=NOON + timedelta(seconds=after_s),
    )


async def test_who_waits_longest_is_first(store: Store, make_job: Callable[[], Job]) -> None:
    jobs = [await submit(store, make_job()) for _ in range(5)]
    taken = [await take(store) for _ in range(6)]
    assert [one.job.id for one in taken if one] == [job.id for job in jobs]
    assert [one.waiting for one in taken if one] == [4, 3, 2, 1, 0]


async def test_lines_take_turns_however_long_one_is(
    store: Store, make_job: Callable[[], Job]
) -> None:
    flood = [await submit(store, make_job()) for _ in range(60)]
    for _ in range(10):
        await take(store)
    ana = RequestContext(principal="token:ana")
    hers = [await submit(store, replace(make_job(), request=ana)) for _ in range(3)]
    taken = [await take(store) for _ in range(7)]
    order = [one.job.id for one in taken if one]
    places = [order.index(job.id) for job in hers]
    assert places == [1, 3, 5]
    assert [one for one in order if one not in {job.id for job in hers}] == [
        job.id for job in flood[10:14]
    ]


async def test_who_was_not_due_joins_its_line_and_not_the_end_of_all(
    store: Store, make_job: Callable[[], Job]
) -> None:
    ana = RequestContext(principal="token:ana")
    due_at = NOON + timedelta(seconds=5)
    later = await submit(store, replace(make_job(), request=ana, due_at=due_at))
    for _ in range(20):
        await submit(store, make_job())
    assert later.id not in [one.job.id for _ in range(3) if (one := await take(store))]
    taken = [one.job.id for _ in range(2) if (one := await take(store, after_s=5))]
    assert later.id in taken


async def test_what_another_platform_is_for_is_left_behind_however_much_of_it_waits(
    store: Store, make_job: Callable[[], Job]
) -> None:
    for _ in range(2 * turns.WINDOW + 1):
        await submit(store, replace(make_job(), platform="aarch64-linux-gnu"))
    ours = await submit(store, replace(make_job(), platform="x86_64-linux-gnu"))
    taken = await take(store)
    assert taken is not None and taken.job.id == ours.id
    assert await take(store) is None


async def test_an_attempt_that_we_failed_waits_longer_each_time_and_is_not_claimed_before(
    store: Store, make_job: Callable[[], Job]
) -> None:
    await submit(store, make_job())
    after_s = 0.0
    for failures in (1, 2, 3):
        taken = await take(store, after_s=after_s)
        assert taken is not None
        at = NOON + timedelta(seconds=after_s)
        job = await store.run(
            claims.give_back,
            job_id=taken.job.id,
            token=taken.job.token or "",
            error=OURS,
            at=at,
            most_attempts=9,
        )
        assert at + backoff(failures) <= job.due_at <= at + backoff(failures, jitter=1.0)
        wait_s = (job.due_at - at).total_seconds()
        assert await take(store, after_s=after_s + wait_s - 0.01) is None
        after_s += wait_s


async def test_an_attempt_that_somebody_asks_for_is_due_at_once(
    store: Store, make_job: Callable[[], Job]
) -> None:
    job = await submit(store, make_job())
    for _ in range(8):
        taken = await take(store)
        assert taken is not None
        ending = Finish(state=State.FAILED)
        token = taken.job.token or ""
        await store.run(claims.finish, job_id=job.id, token=token, finish=ending, at=NOON)
        again = await store.run(job_store.retry, job_id=job.id, at=NOON, queue_limit=9)
        assert again.due_at == NOON


@given(acts=st.lists(st.sampled_from(["submit", "take", "end", "retry", "cancel"]), max_size=40))
def test_what_is_counted_is_what_there_is(acts: list[str]) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(counts_agree(Path(folder), acts))


async def counts_agree(folder: Path, acts: list[str]) -> None:
    async with fresh_store(folder) as store:
        activation = await activate(store, version_of())
        jobs: list[str] = []
        held: list[Claim] = []
        for number, act in enumerate(acts):
            match act:
                case "submit":
                    jobs.append((await submit(store, job_on(activation))).id)
                case "take":
                    if taken := await take(store):
                        held.append(taken)
                case "end" if held:
                    one = held.pop()
                    state = State.FAILED if number % 2 else State.SUCCEEDED
                    with suppress(Superseded, StateConflict):
                        await store.run(
                            claims.finish,
                            job_id=one.job.id,
                            token=one.job.token or "",
                            finish=Finish(state=state),
                            at=NOON,
                        )
                case "retry" if jobs:
                    with suppress(StateConflict):
                        job_id = jobs[number % len(jobs)]
                        await store.run(job_store.retry, job_id=job_id, at=NOON, queue_limit=99)
                case "cancel" if jobs:
                    with suppress(StateConflict):
                        job_id = jobs[number % len(jobs)]
                        await store.run(job_store.cancel, job_id=job_id, at=NOON)
                case _:
                    continue
            assert await store.read(job_counts.by_state) == await store.read(counted_anew)


def counted_anew(connection: Connection) -> dict[State, int]:
    states = connection.execute(select(tables.jobs.c.state)).scalars().all()
    return {state: states.count(state) for state in State}
