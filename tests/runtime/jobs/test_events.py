"""What a run says becomes events: in order, batched, live, and only while it holds the job."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from runtime.artifact.reports import event_of
from runtime.jobs.attempts.events import EventLog, to_line
from runtime.queue.notifier import Notifier
from runtime.store.databases.store import Store
from runtime.store.jobs import claims
from runtime.store.jobs import events as event_store
from runtime.store.jobs import jobs as job_store
from runtime.telemetry.meter import Meter
from runtime.values.records import Event, Finish, Job
from runtime.values.states import State
from sandbox.command import Report

from ..conftest import NOON, worker_named

type MakeJob = Callable[[], Job]


def log_of(store: Store) -> EventLog:
    return EventLog(store=store, notifier=Notifier(), clock=lambda: NOON)


async def started(store: Store, job: Job, token: str) -> Job:
    await store.run(job_store.submit, job=job, queue_limit=9)
    worker = worker_named("w")
    await store.run(claims.claim, job_id=job.id, token=token, worker=worker, at=NOON)
    return job


async def names(store: Store, job: Job) -> list[str]:
    return [event.event for event in await store.run(event_store.read, job_id=job.id)]


async def test_reports_become_numbered_events_and_progress_is_kept(
    store: Store, make_job: MakeJob
) -> None:
    job = await started(store, make_job(), "t")
    async with log_of(store).writer(job_id=job.id, attempt=1, token="t") as writer:
        writer.observe(Report(kind="stdout", data={"line": "hello"}))
        writer.observe(Report(kind="progress", data={"done": 1, "total": 2, "message": "half"}))
        writer.observe(Report(kind="event", data={"name": "seen", "data": {"n": 1}}))
        for number in range(1200):
            writer.write("job.log", {"stream": "stdout", "line": str(number)})
    told = await store.run(event_store.read, job_id=job.id, limit=5000)
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert [event.event for event in told[2:5]] == ["job.log", "job.progress", "job.event"]
    assert [event.data["line"] for event in told[5:]] == [str(n) for n in range(1200)]
    assert (await store.run(job_store.get, job_id=job.id)).progress == {
        "done": 1,
        "total": 2,
        "message": "half",
    }


async def test_a_superseded_attempt_writes_nothing_more(store: Store, make_job: MakeJob) -> None:
    job = await started(store, make_job(), "old")
    async with log_of(store).writer(job_id=job.id, attempt=1, token="someone else's") as writer:
        writer.write("job.log", {"line": "ghost"})
    assert writer.is_superseded
    assert await names(store, job) == ["job.queued", "job.started"]


async def test_followers_are_woken_and_end_with_the_job(store: Store, make_job: MakeJob) -> None:
    log = log_of(store)
    job = await started(store, make_job(), "t")

    async def follow() -> list[str]:
        return [event.event async for event in log.follow(job.id, after=1)]

    followers = [asyncio.create_task(follow()) for _ in range(3)]
    async with log.writer(job_id=job.id, attempt=1, token="t") as writer:
        writer.write("job.log", {"line": "a"})
        await writer.flush()
    ending = Finish(state=State.SUCCEEDED)
    await store.run(claims.finish, job_id=job.id, token="t", finish=ending, at=NOON)
    log.notifier.notify(job.id)
    for told in await asyncio.gather(*followers):
        assert told == ["job.started", "job.log", "job.finished"]


async def test_followers_end_when_the_appliance_stops(store: Store, make_job: MakeJob) -> None:
    log = log_of(store)
    job = await started(store, make_job(), "t")
    stop = asyncio.Event()

    async def follow() -> int:
        return len([event async for event in log.follow(job.id, stop=stop)])

    follower = asyncio.create_task(follow())
    await asyncio.sleep(0)
    stop.set()
    log.notifier.wake_all()
    assert await follower <= 2


@given(st.text(), st.sampled_from(["stdout", "stderr"]))
def test_whatever_is_printed_stays_one_line_of_json(text: str, kind: str) -> None:
    event, data = event_of(Report(kind=kind, data={"line": text}))  # type: ignore[arg-type]
    line = to_line(Event(seq=1, at=NOON, job="j", attempt=1, event=event, data=data))
    assert line.count(b"\n") == 1 and line.endswith(b"\n")


def _hold(_: Connection, *, begun: threading.Event, end: threading.Event) -> None:
    begun.set()
    end.wait(30)


async def test_who_is_stopped_while_events_are_stored_tells_none_of_them_twice(
    store: Store, make_job: MakeJob
) -> None:
    job = await started(store, make_job(), "t")
    begun, end = threading.Event(), threading.Event()
    async with log_of(store).writer(job_id=job.id, attempt=1, token="t") as writer:
        held = asyncio.ensure_future(store.run(_hold, begun=begun, end=end))
        await asyncio.to_thread(begun.wait, 30)
        writer.write("job.log", {"line": "once"})
        flushing = asyncio.ensure_future(writer.flush())
        await asyncio.sleep(0)  # it waits behind what is held now
        await asyncio.sleep(0)
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
        end.set()
        await held
    assert (await names(store, job)).count("job.log") == 1


async def test_who_is_stopped_while_it_writes_down_what_it_counted_counts_nothing_twice(
    store: Store,
) -> None:
    begun, end = threading.Event(), threading.Event()
    lost_after = timedelta(seconds=30)
    meter = Meter(
        store=store, clock=lambda: NOON, worker="w", lost_after=lost_after, packages_most=9
    )
    held = asyncio.ensure_future(store.run(_hold, begun=begun, end=end))
    await asyncio.to_thread(begun.wait, 30)
    meter.tally.count("admission_rejected", reason="queue-full")
    keeping = asyncio.ensure_future(meter.keep())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    end.set()
    await held
    told = (await meter.read()).totals
    assert [one.value for one in told if one.name == "admission_rejected"] == [1.0]
