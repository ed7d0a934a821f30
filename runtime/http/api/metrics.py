"""/metrics: numbers for Prometheus, read from the store at each scrape."""

import asyncio
from collections.abc import Callable
from importlib import import_module

from fastapi.responses import PlainTextResponse, Response

from runtime.faults.errors import NotAllowed
from runtime.http.context import MeterOf, PrincipalOf, SettingsOf
from runtime.http.entrance.operations import operations
from runtime.values.totals import Reading

EXPOSITION = "runtime.telemetry.exposition"
"""Imported at the first scrape, in a thread: its library is a tenth of a second of a start."""

router = operations(tags=["health"])


@router.get("/metrics", response_class=PlainTextResponse)
async def show_metrics(meter: MeterOf, settings: SettingsOf, principal: PrincipalOf) -> Response:
    """Return the metrics of all workers in the text format of Prometheus.

    403 for a token that is bound to packages: they name those of others too.
    """
    if principal.packages:
        raise NotAllowed(
            "The metrics are of all packages, and this token is bound to some",
            where="/metrics",
            mend="ask with a token that is not: `fumehood token create NAME --scope viewer`",
        )
    reading = await meter.read()
    return await asyncio.to_thread(_answer, reading, queue_limit=settings.queue_limit)


def _answer(reading: Reading, *, queue_limit: int) -> Response:
    shown = import_module(EXPOSITION)
    exposition: Callable[..., bytes] = shown.exposition
    text = exposition(reading, queue_limit=queue_limit)
    return Response(text, media_type=shown.MEDIA_TYPE)
