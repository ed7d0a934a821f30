"""Moves processes into their cgroups, in a thread of its own.

The kernel lets the first move after a pause wait until every processor has passed a quiet
state (RCU): 10 to 20 ms, while nobody is moved. The event loop does not wait with it; and
while moves come close after each other, the thread keeps the way open with moves that
change nothing: with two runs beside each other a tenth of the time was such waits. (With the
mount option favordynmods of cgroups(7) the kernel keeps it open by itself, for all.)
"""

import asyncio
import contextlib
import queue
import threading
import time
from dataclasses import dataclass, field

from sandbox.cgroup import Leaf

type _Order = tuple[Leaf, int, "asyncio.Future[None]"]

_CLOSE_S = 0.02
"""Moves no further apart than this come close after each other."""
_OPEN_S = 0.0012
"""How long the way stays open after a move, at least as a rule; to move more often costs."""


@dataclass(slots=True)
class Mover:
    """One thread, started with the first move and ended by `close`."""

    settled: dict[int, Leaf] = field(default_factory=dict[int, Leaf])
    """Processes of ours that are in their leaves for long, by pid."""
    _orders: "queue.SimpleQueue[_Order | None]" = field(
        default_factory=queue.SimpleQueue["_Order | None"]
    )
    _thread: threading.Thread | None = None
    _latest_s: float = float("-inf")
    """When the latest order came, by the monotonic clock."""
    _is_busy: bool = False

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
        while (order := self._next()) is not None:
            leaf, pid, moved = order
            fault: OSError | None = None
            try:
                leaf.enter(pid)
            except OSError as refusal:
                fault = refusal
            moved.get_loop().call_soon_threadsafe(settle, moved, fault)

    def _next(self) -> "_Order | None":
        order = self._next_soon() if self._is_busy else self._orders.get()
        before_s, self._latest_s = self._latest_s, time.monotonic()
        self._is_busy = self._latest_s - before_s < _CLOSE_S
        return order

    def _next_soon(self) -> "_Order | None":
        """Wait for an order, and keep the way open for it as long as it may come soon."""
        while time.monotonic() - self._latest_s < _CLOSE_S:
            with contextlib.suppress(queue.Empty):
                return self._orders.get(timeout=_OPEN_S)
            self._keep_open()
        return self._orders.get()

    def _keep_open(self) -> None:
        for pid, leaf in list(self.settled.items())[:1]:
            with contextlib.suppress(OSError):
                leaf.stay(pid)


def settle(future: "asyncio.Future[None]", fault: Exception | None) -> None:
    """Let `future` end well, or with `fault`; one that is done stays as it is."""
    if future.done():
        return
    if fault is None:
        future.set_result(None)
    else:
        future.set_exception(fault)
