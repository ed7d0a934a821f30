"""/v1/queue, /v1/workers and /v1/jobs/…/waits: what waits, why, and who works."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from runtime.faults.errors import NotAllowed
from runtime.http.api.models.views import PageOf
from runtime.http.api.when.views import (
    PauseView,
    QueueView,
    WaitingGroupView,
    WaitsView,
    WorkerView,
    waits_view,
    worker_view,
)
from runtime.http.context import (
    CallerOf,
    ClockOf,
    SettingsOf,
    SightOf,
    StoreOf,
    origin_of,
)
from runtime.http.entrance.operations import operations
from runtime.settings.settings import Settings
from runtime.store import workers
from runtime.store.access import audit
from runtime.store.databases.store import Store
from runtime.store.jobs import admission, job_counts
from runtime.store.when import pauses, queue
from runtime.store.when.wait_facts import facts_of
from runtime.values.access import Sight
from runtime.values.clock import Clock
from runtime.values.records import JsonObject
from runtime.values.states import State
from runtime.values.when.schedules import is_told

router = operations(tags=["queue"])


@router.get("/v1/queue")
async def show_queue(store: StoreOf, settings: SettingsOf, sight: SightOf) -> QueueView:
    """Return what waits, why and since when, and how many jobs there are in each state.

    Who sees its own jobs only is told of its own only.
    """
    return await store.read(_queue, limit=settings.queue_limit, sight=sight)


def _queue(connection: Connection, *, limit: int, sight: Sight) -> QueueView:
    counted = job_counts.by_state(connection, sight=sight)
    found = queue.waiting(connection, sight=sight)
    paused = (one for one in pauses.list_pauses(connection) if is_told(one.subject, sight=sight))
    return QueueView(
        depth=admission.depth(connection) if sight.is_whole else counted[State.QUEUED],
        limit=limit,
        jobs={state.value: counted[state] for state in State},
        waiting=tuple(WaitingGroupView.model_validate(one) for one in found),
        paused=tuple(PauseView.model_validate(one) for one in paused),
    )


@router.get("/v1/jobs/{job_id}/waits")
async def show_waits(
    job_id: str, store: StoreOf, settings: SettingsOf, sight: SightOf, clock: ClockOf
) -> WaitsView:
    """Return everything that a job waits for, each with when it clears or what one can do."""
    return await waits_of(job_id, store=store, settings=settings, sight=sight, clock=clock)


async def waits_of(
    job_id: str, *, store: Store, settings: Settings, sight: Sight, clock: Clock
) -> WaitsView:
    """Return everything that a job waits for."""
    now = clock()
    since = now - timedelta(seconds=settings.worker_lost_after_s)
    facts = await store.read(facts_of, job_id=job_id, at=now, alive_since=since, sight=sight)
    return waits_view(facts)


@router.get("/v1/workers")
async def list_workers(
    store: StoreOf, settings: SettingsOf, sight: SightOf, clock: ClockOf
) -> PageOf[WorkerView]:
    """Return the workers that are alive, and what each runs."""
    since = clock() - timedelta(seconds=settings.worker_lost_after_s)
    found = await store.read(queue.workers_now, since=since, sight=sight)
    return PageOf(items=tuple(map(worker_view, found)), next_cursor=None)


@router.post("/v1/workers/{worker_id}/drain")
async def drain_worker(
    worker_id: str, store: StoreOf, clock: ClockOf, caller: CallerOf, sight: SightOf
) -> WorkerView:
    """Let a worker take no more jobs; the answer shows what it waits for until it is empty."""
    return await store.run(
        _drain,
        worker=worker_id,
        who=caller.principal,
        at=clock(),
        is_drained=True,
        origin=origin_of(caller),
        sight=sight,
    )


@router.post("/v1/workers/{worker_id}/resume")
async def resume_worker(
    worker_id: str, store: StoreOf, clock: ClockOf, caller: CallerOf, sight: SightOf
) -> WorkerView:
    """Let a worker take jobs again."""
    return await store.run(
        _drain,
        worker=worker_id,
        who=caller.principal,
        at=clock(),
        is_drained=False,
        origin=origin_of(caller),
        sight=sight,
    )


def _drain(
    connection: Connection,
    *,
    worker: str,
    who: str,
    at: datetime,
    is_drained: bool,
    origin: JsonObject,
    sight: Sight,
) -> WorkerView:
    if sight.packages:
        raise NotAllowed(
            "A worker works for all packages, and this token is bound to some",
            where="package",
            mend="ask with a token that is bound to none",
        )
    one = workers.drain(connection, worker=worker, who=who, at=at if is_drained else None)
    action = "worker.drain" if is_drained else "worker.resume"
    audit.append(connection, at=at, who=who, action=action, subject=worker, details=dict(origin))
    found = queue.workers_now(connection, since=one.seen_at, sight=sight)
    return next(worker_view(now) for now in found if now.worker.id == worker)
