"""Wakes whoever waits for news of a topic, in this process and by `news` in the others.

A notice carries nothing that has to be heard: the listener reads the store. So a missed notice
costs a moment, until the listener's own time-out, and never an event. Within one process it may
carry what the listener would read.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol


def _nobody_else(_: str) -> None:
    """Tell nobody: there is one process."""


class Listener(Protocol):
    """Whom a notice is given to; an `asyncio.Event` is one."""

    def set(self) -> None:
        """Hear that there is news."""
        ...


class News(asyncio.Event):
    """An event that is set at each notice, and what the last one carried, if anything."""

    said: object = None


class Notifier:
    """Topics and those who wait for them, all in one event loop."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = defaultdict(set)
        self._publish: Callable[[str], None] = _nobody_else

    def publish_by(self, publish: Callable[[str], None]) -> None:
        """Let other processes know, by `publish`, what is notified here from now on."""
        self._publish = publish

    def notify(self, topic: str, *, saying: object = None) -> None:
        """Wake those who listen to `topic`, here and elsewhere; those here are told `saying`."""
        for listener in self._listeners.get(topic, ()):
            if isinstance(listener, News) and saying is not None:
                listener.said = saying
            listener.set()
        self._publish(topic)

    def wake(self, topic: str) -> None:
        """Wake those who listen to `topic` here."""
        for listener in self._listeners.get(topic, ()):
            listener.set()

    def wake_all(self) -> None:
        """Wake everybody here: there may be news of anything, or the appliance is about to stop."""
        for topic, listeners in self._listeners.items():
            if not topic.startswith(STOP):
                for listener in listeners:
                    listener.set()

    @contextmanager
    def listen(self, topic: str) -> Generator[News]:
        """Offer an event that is set at each notice; the listener clears it."""
        listener = News()
        with self.telling(topic, listener=listener):
            yield listener

    @contextmanager
    def telling(self, topic: str, *, listener: Listener) -> Generator[None]:
        """Give each notice of `topic` to `listener` meanwhile."""
        self._listeners[topic].add(listener)
        try:
            yield
        finally:
            self._listeners[topic].discard(listener)
            if not self._listeners[topic]:
                del self._listeners[topic]


STOP = "stop "


def ended(job_id: str) -> str:
    """Return the topic of the end of a job; its own topic is every news of it."""
    return f"the end of {job_id}"


def stopping(job_id: str) -> str:
    """Return the topic of the wish that a job shall stop: who runs it asks the store whether."""
    return STOP + job_id


async def wait_for_news(listener: asyncio.Event, *, at_most_s: float) -> None:
    """Return after a notice or after `at_most_s` seconds; the listener is clear then."""
    try:
        async with asyncio.timeout(at_most_s):
            await listener.wait()
    except TimeoutError:
        pass
    listener.clear()
