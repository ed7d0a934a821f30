"""The running attempts of this process that somebody may want to stop."""

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any


class Cancellations:
    """For each running job an event that is set when it shall stop."""

    def __init__(self) -> None:
        self._watched: dict[str, asyncio.Event] = {}

    @contextmanager
    def watch(self, job_id: str) -> Generator[asyncio.Event]:
        """Offer the event of `job_id` while its attempt runs here."""
        cancelled = asyncio.Event()
        self._watched[job_id] = cancelled
        try:
            yield cancelled
        finally:
            del self._watched[job_id]

    def cancel(self, job_id: str) -> None:
        """Set the event of `job_id`, if it runs here."""
        if cancelled := self._watched.get(job_id):
            cancelled.set()


async def unless[T](cancelled: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what `work` comes to, or None once `cancelled` is set; it is stopped then."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
    return None if working.cancelled() else working.result()
