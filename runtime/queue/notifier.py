"""Wakes whoever waits for news of a topic in this process.

A notice carries nothing: the listener reads the store. Another process's news reach it by
the listener's own time-out, so a missed notice costs a moment and never an event.
"""

import asyncio
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager


class Notifier:
    """Topics and those who wait for them, all in one event loop."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Event]] = defaultdict(set)

    def notify(self, topic: str) -> None:
        """Wake those who listen to `topic`."""
        for listener in self._listeners.get(topic, ()):
            listener.set()

    def notify_all(self) -> None:
        """Wake everybody: the appliance is about to stop."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.set()

    @contextmanager
    def listen(self, topic: str) -> Generator[asyncio.Event]:
        """Offer an event that is set at each notice; the listener clears it."""
        listener = asyncio.Event()
        self._listeners[topic].add(listener)
        try:
            yield listener
        finally:
            self._listeners[topic].discard(listener)
            if not self._listeners[topic]:
                del self._listeners[topic]


def ended(job_id: str) -> str:
    """Return the topic of the end of a job; its own topic is every news of it."""
    return f"the end of {job_id}"


async def wait_for_news(listener: asyncio.Event, *, at_most_s: float) -> None:
    """Return after a notice or after `at_most_s` seconds; the listener is clear then."""
    try:
        async with asyncio.timeout(at_most_s):
            await listener.wait()
    except TimeoutError:
        pass
    listener.clear()
