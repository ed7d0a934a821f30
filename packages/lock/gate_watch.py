"""Keeping: who minds the gate while something comes through it."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from packages.lock.grant import GateState
from packages.lock.lock import Offered
from wheelhouse.store import Staged


class Closings:
    """How often the gate was closed by hand in this process: asked at each read, for no price.

    A gate that was closed and opened again is another: what had begun before is cut all the same.
    Who closes it in another process is seen when the store is asked
    (packages.lock.gate_cancellation).
    """

    def __init__(self) -> None:
        self.count = 0
        self._listeners: set[asyncio.Event] = set()

    def note(self) -> None:
        """Count a closing from the moment of its order on, and wake who listens."""
        self.count += 1
        for listener in self._listeners:
            listener.set()

    @contextmanager
    def listening(self) -> Generator[asyncio.Event]:
        """Offer an event that the next closing sets."""
        listener = asyncio.Event()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)


class GateWatcher(Protocol):
    """Who minds the gate: says how it stands at this moment, and keeps what came through."""

    @property
    def closings(self) -> Closings:
        """Return the count of closings."""
        ...

    async def gate(self, granted: GateState) -> GateState:
        """Return the gate as it is now; `granted` is how it was when the install began."""
        ...

    async def keep(
        self, wheel: Offered, *, staged: Staged, index: str, granted: GateState
    ) -> GateState:
        """Keep `staged` and write it down, both or neither; return the gate by which it was so.

        Where the gate does not let it any more, nothing is kept.
        """
        ...


class UnwatchedGate:
    """Minds no gate: whoever calls has decided, and the wheel's origin is the record."""

    def __init__(self) -> None:
        self.closings = Closings()

    async def gate(self, granted: GateState) -> GateState:
        """Return the gate as it was granted."""
        return granted

    async def keep(
        self, wheel: Offered, *, staged: Staged, index: str, granted: GateState
    ) -> GateState:
        """Keep it, and write nothing."""
        await asyncio.to_thread(staged.keep)
        return granted
