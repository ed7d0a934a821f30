"""The running attempts that somebody may want to stop."""

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any

from runtime.queue.notifier import Notifier, stopping


class Cancellations:
    """For each running job an event that is set when it shall stop, whichever process asks."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    @contextmanager
    def watch(self, job_id: str) -> Generator[asyncio.Event]:
        """Offer the event of `job_id` while its attempt runs here."""
        with self._notifier.listen(stopping(job_id)) as cancelled:
            yield cancelled

    def cancel(self, job_id: str) -> None:
        """Set the event of `job_id`, wherever it runs."""
        self._notifier.notify(stopping(job_id))

    def heard(self, job_id: str) -> None:
        """Set the event of `job_id` if it runs here: the store says that somebody asked."""
        self._notifier.wake(stopping(job_id))


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
