"""The running attempts that somebody may want to stop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any

from runtime.queue.notifier import Notifier, stopping

type Question = Callable[[], Awaitable[bool]]
"""Whether somebody asked in the store that this very attempt stops."""

log = logging.getLogger("fumehood.cancellations")


class Cancellations:
    """For each running attempt an event that is set when it shall stop, whichever process asks."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    @contextmanager
    def watch(self, job_id: str, *, is_asked: Question) -> Generator[asyncio.Event]:
        """Offer the event of the attempt at `job_id` that runs here.

        News names a job, and may come late: of an attempt that has ended meanwhile, while the next
        one runs. So it is no order but a reason to look, and `is_asked` decides.
        """
        wish = _Wish(is_asked, job_id=job_id)
        with self._notifier.telling(stopping(job_id), listener=wish):
            try:
                yield wish.cancelled
            finally:
                wish.close()

    def cancel(self, job_id: str) -> None:
        """Let whoever runs `job_id` look whether it shall stop."""
        self._notifier.notify(stopping(job_id))

    def heard(self, job_id: str) -> None:
        """Let `job_id` be looked at if it runs here: the store says that somebody asked."""
        self._notifier.wake(stopping(job_id))


class _Wish:
    """Hears that somebody may want an attempt to stop, and sets `cancelled` where that is so."""

    def __init__(self, is_asked: Question, *, job_id: str) -> None:
        self.cancelled = asyncio.Event()
        self._is_asked = is_asked
        self._job_id = job_id
        self._looks: set[asyncio.Task[None]] = set()

    def set(self) -> None:
        """Look into the store, unless it is known already.

        Each news is a look of its own: one that has begun may have seen the moment before it.
        """
        if not self.cancelled.is_set():
            look = asyncio.ensure_future(self._look())
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)

    async def _look(self) -> None:
        try:
            if await self._is_asked():
                self.cancelled.set()
        except Exception:  # the next heartbeat tells it again
            log.warning("job %s may have been cancelled", self._job_id, exc_info=True)

    def close(self) -> None:
        """Look no more."""
        for look in tuple(self._looks):
            look.cancel()


async def unless[T](cancelled: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what `work` comes to, or None once `cancelled` is set; it is stopped then."""
    if cancelled.is_set():
        work.close()
        return None
    working = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
    if working.done():  # most of it waits for nothing, and to wait for that takes 60 us
        return working.result()
    stopping = asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
    return None if working.cancelled() else working.result()
