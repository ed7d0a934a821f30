"""Moves processes into their cgroups, in a thread of its own.

The kernel lets a move wait until every processor has passed a quiet state (RCU), up to some
milliseconds; the event loop does not wait with it.
"""

import asyncio
import queue
import threading
from dataclasses import dataclass, field

from sandbox.cgroup import Leaf

type _Order = tuple[Leaf, int, "asyncio.Future[None]"]


@dataclass(slots=True)
class Mover:
    """One thread, started with the first move and ended by `close`."""

    _orders: "queue.SimpleQueue[_Order | None]" = field(
        default_factory=queue.SimpleQueue["_Order | None"]
    )
    _thread: threading.Thread | None = None

    def move(self, leaf: Leaf, pid: int) -> "asyncio.Future[None]":
        """Begin to move the process; the future raises OSError where the kernel refuses."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="fumehood-mover", daemon=True)
            self._thread.start()
        moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._orders.put((leaf, pid, moved))
        return moved

    def close(self) -> None:
        """Let the thread end once all moves are done."""
        self._orders.put(None)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            leaf, pid, moved = order
            fault: OSError | None = None
            try:
                leaf.enter(pid)
            except OSError as refusal:
                fault = refusal
            moved.get_loop().call_soon_threadsafe(settle, moved, fault)


def settle(future: "asyncio.Future[None]", fault: Exception | None) -> None:
    """Let `future` end well, or with `fault`; one that is done stays as it is."""
    if future.done():
        return
    if fault is None:
        future.set_result(None)
    else:
        future.set_exception(fault)
