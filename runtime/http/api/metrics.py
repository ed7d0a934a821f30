"""/metrics: numbers for Prometheus, read from the store at each scrape."""

import asyncio
from collections.abc import Callable
from importlib import import_module

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from runtime.http.context import MeterOf, SettingsOf
from runtime.values.totals import Reading

EXPOSITION = "runtime.telemetry.exposition"
"""Imported at the first scrape, in a thread: its library is a tenth of a second of a start."""

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=PlainTextResponse)
async def show_metrics(meter: MeterOf, settings: SettingsOf) -> Response:
    """Return the metrics of all workers in the text format of Prometheus."""
    reading = await meter.read()
    return await asyncio.to_thread(_answer, reading, queue_limit=settings.queue_limit)


def _answer(reading: Reading, *, queue_limit: int) -> Response:
    shown = import_module(EXPOSITION)
    exposition: Callable[..., bytes] = shown.exposition
    text = exposition(reading, queue_limit=queue_limit)
    return Response(text, media_type=shown.MEDIA_TYPE)
