"""The running attempts of this process that somebody may want to stop."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


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
