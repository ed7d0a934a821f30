"""Events of a job as NDJSON or as server-sent events (SSE), live and resumable."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from fastapi.responses import StreamingResponse

from runtime.jobs.attempts.events import EventLog, to_line, to_plain
from runtime.values.records import Event

PING_S = 15.0
RETRY_MS = 2000
SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
ASKED_EVERY_S = 1.0
"""How long after an end of its token or session a stream says nothing more, at most."""
type Stands = Callable[[], Awaitable[bool]]
"""Says whether who asked for a stream may still have it."""


def event_stream(
    log: EventLog, *, job_id: str, after: int, stop: asyncio.Event, stands: Stands
) -> StreamingResponse:
    """Return the events of a job after number `after`, live, until it ends, as SSE."""
    frames = _with_pings(log.follow(job_id, after=after, stop=stop), stop=stop, stands=stands)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(frames, media_type=SSE, headers=headers)


def line_stream(
    log: EventLog, *, job_id: str, after: int, stop: asyncio.Event, stands: Stands
) -> StreamingResponse:
    """Return the events of a job after number `after`, live, until it ends, as NDJSON."""

    async def lines() -> AsyncIterator[bytes]:
        events = log.follow(job_id, after=after, stop=stop)
        async with aclosing(_paced(events, stop=stop, stands=stands)) as paced:
            async for event in paced:
                if event is not None:
                    yield to_line(event)

    return StreamingResponse(lines(), media_type=NDJSON, headers={"Cache-Control": "no-store"})


async def _with_pings(
    events: AsyncGenerator[Event], *, stop: asyncio.Event, stands: Stands
) -> AsyncGenerator[bytes]:
    """Yield a frame for each event, and a comment when there was none for a while."""
    yield f"retry: {RETRY_MS}\n\n".encode()
    async with aclosing(_paced(events, stop=stop, stands=stands)) as paced:
        async for event in paced:
            yield b": ping\n\n" if event is None else frame(event)


async def _paced(
    events: AsyncGenerator[Event], *, stop: asyncio.Event, stands: Stands
) -> AsyncGenerator[Event | None]:
    """Yield each event, and None when there was none for a while, as long as one may have them."""
    asked_at = time.monotonic()
    async with aclosing(events):
        coming = asyncio.ensure_future(anext(events, None))
        try:
            while not stop.is_set():
                await asyncio.wait({coming}, timeout=PING_S)
                if time.monotonic() - asked_at > ASKED_EVERY_S:
                    if not await stands():
                        return
                    asked_at = time.monotonic()
                if not coming.done():
                    yield None
                elif event := coming.result():
                    yield event
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
