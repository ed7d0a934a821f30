"""Events of a job as NDJSON or as server-sent events (SSE), live and resumable."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi.responses import StreamingResponse

from runtime.jobs.events import EventLog, to_line, to_plain
from runtime.values.records import Event

PING_S = 15.0
RETRY_MS = 2000
SSE = "text/event-stream"
NDJSON = "application/x-ndjson"


def event_stream(
    log: EventLog, *, job_id: str, after: int, stop: asyncio.Event
) -> StreamingResponse:
    """Return the events of a job after number `after`, live, until it ends, as SSE."""
    frames = _with_pings(log.follow(job_id, after=after, stop=stop), stop=stop)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(frames, media_type=SSE, headers=headers)


def line_stream(
    log: EventLog, *, job_id: str, after: int, stop: asyncio.Event
) -> StreamingResponse:
    """Return the events of a job after number `after`, live, until it ends, as NDJSON."""

    async def lines() -> AsyncIterator[bytes]:
        async for event in log.follow(job_id, after=after, stop=stop):
            yield to_line(event)

    return StreamingResponse(lines(), media_type=NDJSON, headers={"Cache-Control": "no-store"})


async def _with_pings(
    events: AsyncGenerator[Event], *, stop: asyncio.Event
) -> AsyncGenerator[bytes]:
    """Yield a frame for each event, and a comment when there was none for a while."""
    yield f"retry: {RETRY_MS}\n\n".encode()
    async with aclosing(events):
        coming = asyncio.ensure_future(anext(events, None))
        try:
            while not stop.is_set():
                await asyncio.wait({coming}, timeout=PING_S)
                if not coming.done():
                    yield b": ping\n\n"
                elif event := coming.result():
                    yield frame(event)
                    coming = asyncio.ensure_future(anext(events, None))
                else:
                    return
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


def frame(event: Event) -> bytes:
    """Return `event` as one SSE frame."""
    data = json.dumps(to_plain(event), ensure_ascii=False)
    return f"id: {event.seq}\nevent: {event.event}\ndata: {data}\n\n".encode(errors="replace")
