"""/healthz, /readyz and /v1/queue: is it alive, can it work, how much is waiting."""

from datetime import timedelta

from fastapi import APIRouter

from runtime.errors import NotReady
from runtime.http.context import ClockOf, SettingsOf, SightOf, StoreOf
from runtime.store import workers
from runtime.store.jobs import admission, job_counts
from runtime.values.states import State
from wheelhouse.problem import Problem

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def is_alive() -> dict[str, str]:
    """Return 200 while the process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def is_ready(store: StoreOf, clock: ClockOf, settings: SettingsOf) -> dict[str, object]:
    """Return 200 when the store answers and a worker is alive; 503 with the reasons else."""
    since = clock() - timedelta(seconds=settings.worker_lost_after_s)
    living = await store.read(workers.alive, since=since)
    if not living:
        what, mend = "no worker is alive", "start one: `fumehood worker`"
        problem = Problem(code="no-worker", what=what, where="workers", mend=mend)
        raise NotReady(problems=[problem], retry_after_s=5)
    return {"status": "ok", "workers": len(living)}


@router.get("/v1/queue", tags=["jobs"])
async def show_queue(store: StoreOf, settings: SettingsOf, sight: SightOf) -> dict[str, object]:
    """Return how many jobs wait, how many may, and how many there are in each state.

    Of these, who sees its own jobs only is told of its own only.
    """
    counted = await store.read(job_counts.by_state, sight=sight)
    return {
        "depth": await store.read(admission.depth) if sight.is_whole else counted[State.QUEUED],
        "limit": settings.queue_limit,
        "jobs": {state.value: counted[state] for state in State},
    }
