"""/healthz and /readyz: is it alive, can it work."""

from datetime import timedelta

from fastapi import APIRouter

from runtime.errors import NotReady
from runtime.http.context import ClockOf, SettingsOf, StoreOf
from runtime.store import workers
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
