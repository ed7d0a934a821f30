"""Totals only rise, and a scrape reads the same of either database."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from runtime.store import telemetry, totals, workers
from runtime.store.databases.store import Store
from runtime.store.jobs import claims, job_counts
from runtime.store.jobs import jobs as job_store
from runtime.values.records import Activation, Finish, Job
from runtime.values.states import State
from runtime.values.totals import Reading, Total, WorkerReading
from runtime.values.when.line import Ability

from ..conftest import NOON, activate, job_on, version_of, worker_named

type Later = Callable[[float], datetime]


async def read(store: Store, *, at: datetime = NOON, most: int = 200) -> Reading:
    since = at - timedelta(seconds=30)
    return await store.read(telemetry.read, at=at, since=since, packages_most=most)


async def ended(store: Store, job: Job, *, state: State, at: datetime = NOON) -> None:
    await store.run(job_store.submit, job=job, queue_limit=100)
    await store.run(claims.claim, job_id=job.id, token=job.id, worker=worker_named("w"), at=at)
    finish = Finish(state=state)
    await store.run(claims.finish, job_id=job.id, token=job.id, finish=finish, at=at)


async def test_an_empty_store_has_nothing_to_tell(store: Store) -> None:
    told = await read(store)
    assert (told.ended, told.workers) == ({}, ())
    assert sum(total.value for total in told.totals) == 0
    assert (told.queue_depth, told.queue_oldest_s, told.jobs_running) == (0, 0, 0)
    assert told.is_gate_open is False


async def test_each_end_is_counted_and_none_is_taken_back(
    store: Store, activation: Activation
) -> None:
    job = job_on(activation)
    await ended(store, job, state=State.FAILED)
    await store.run(job_store.retry, job_id=job.id, at=NOON, queue_limit=100)
    counted = await store.read(job_counts.by_state)
    assert counted[State.FAILED] == 0, "of those that there are, none has failed now"
    await store.run(job_store.cancel, job_id=job.id, at=NOON)
    told = await read(store)
    assert told.ended == {("hello", "failed"): 1, ("hello", "cancelled"): 1}


async def test_packages_beyond_the_bound_are_summed_and_the_first_stay_first(
    store: Store,
) -> None:
    for name, number in (("zebra", 1), ("ant", 2), ("bee", 2)):
        version = replace(version_of(name), uploaded_at=NOON + timedelta(seconds=number))
        activation = await activate(store, version)
        for _ in range(number):
            await ended(store, job_on(activation), state=State.SUCCEEDED)
    told = await read(store, most=1)
    assert len(told.ended) == 2 and sum(told.ended.values()) == 5
    (first,) = {package for package, _ in told.ended if package}
    assert first == "zebra"
    assert (await read(store, most=3)).ended.keys() == {
        (name, "succeeded") for name in ("zebra", "ant", "bee")
    }


async def test_totals_of_several_processes_are_one(store: Store) -> None:
    one = Total(name="env_builds", labels=(("result", "built"),), value=1.0)
    seconds = Total(name="job_seconds_sum", labels=(("phase", "run"),), value=0.25)
    for _ in range(3):
        await store.run(totals.add, more=[one, seconds])
    found = {total.name: total.value for total in (await read(store)).totals if total.value}
    assert found == {"env_builds": 3.0, "job_seconds_sum": 0.75}


async def test_the_oldest_is_who_could_begin_and_does_not(
    store: Store, activation: Activation, later: Later
) -> None:
    await store.run(job_store.submit, job=job_on(activation), queue_limit=9)
    future = replace(job_on(activation), due_at=later(5000))
    await store.run(job_store.submit, job=future, queue_limit=9)
    assert (await read(store, at=later(70))).queue_oldest_s == 70
    await store.run(
        claims.claim_next,
        ability=Ability(platform=""),
        token="t",
        worker=worker_named("w"),
        at=later(70),
    )
    told = await read(store, at=later(80))
    assert (told.queue_depth, told.queue_oldest_s, told.jobs_running) == (1, 0, 1)


async def test_a_worker_tells_how_it_is_and_is_lost_when_it_is_silent(
    store: Store, later: Later
) -> None:
    await store.run(workers.register, worker=worker_named("w"))
    reading = {"cells_running": 2, "walls": {"cgroup": True, "seccomp": False}}
    await store.run(telemetry.keep, more=[], worker="w", reading=reading)
    (seen,) = (await read(store, at=later(3))).workers
    assert (seen.is_alive, seen.silent_s) == (True, 3)
    assert seen.reading == WorkerReading(cells_running=2, walls={"cgroup": True, "seccomp": False})
    (lost,) = (await read(store, at=later(31))).workers
    assert not lost.is_alive
