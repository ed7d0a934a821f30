"""The slots of a worker: how many attempts are in their cells at a time.

A slot is free again when the last run of its attempt has ended: while what came of it is kept and
published, which takes as long as a short run, the next one is in its cell.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager


def _nobody_waits() -> None:
    """Give back nothing."""


class Slot:
    """A slot that was taken; given back once, however often that is said."""

    def __init__(self, give_back: Callable[[], None] = _nobody_waits) -> None:
        self._give_back = give_back
        self._is_taken = True

    def give_back(self) -> None:
        """Let the next one have it."""
        if self._is_taken:
            self._is_taken = False
            self._give_back()


class Slots:
    """So many slots, handed out in the order in which they are asked for."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._free = asyncio.Semaphore(number)
        self._waiting = 0

    @property
    def are_taken(self) -> bool:
        """Return whether who wants one has to wait for it."""
        return self._free.locked()

    @property
    def is_enough_waiting(self) -> bool:
        """Return whether as many wait for a slot as there are: nobody else needs to."""
        return self._waiting >= self._number

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[Slot]:
        """Offer a slot, once there is one."""
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        slot = Slot(self._free.release)
        try:
            yield slot
        finally:
            slot.give_back()
