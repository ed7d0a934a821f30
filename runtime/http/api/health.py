"""/healthz and /readyz: is it alive, can it work."""

from runtime.faults.errors import NotReady
from runtime.http.context import ReadinessOf
from runtime.http.entrance.operations import operations

router = operations(tags=["health"])
COME_AGAIN_S = 5


@router.get("/healthz")
async def is_alive() -> dict[str, str]:
    """Return 200 while the process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def is_ready(readiness: ReadinessOf) -> dict[str, object]:
    """Return 200 when jobs can be taken and run; 503 with each part that fails else."""
    problems, workers = await readiness.look()
    if problems:
        raise NotReady(problems=problems, retry_after_s=COME_AGAIN_S)
    return {"status": "ok", "workers": workers}
