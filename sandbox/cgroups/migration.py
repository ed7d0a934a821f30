"""Moves processes into their cgroups, without keeping the event loop.

The kernel lets the first move after a pause wait until every processor has passed a quiet
state (RCU): 10 to 20 ms, while nobody is moved. So a thread of its own makes that one. While
moves come close after each other the way is kept open with moves that change nothing; with two
runs beside each other a tenth of the time was such waits. A move on an open way takes less than
to hand it to the thread, and is made at once. (With the mount option favordynmods of
cgroups(7) the kernel keeps the way open by itself, for all.)
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from sandbox.cgroups.leaf import Leaf
from sandbox.kernel.waiting import resolve

type _Move = Callable[[], None]
type _Order = tuple[_Move, asyncio.Future[None] | None]

_CLOSE_S = 0.02
"""Moves no further apart than this come close after each other."""
_OPEN_S = 0.0015
"""How long the way stays open after a move, at least as a rule."""
_STAY_S = 0.0004
"""After what pause it is kept open; an idle event loop looks up to a millisecond later."""
_LONG_S = 0.005
"""A move at once that took longer has waited: the way does not stay open here."""
_WARY_S = 1.0
"""How long everything is left to the thread after that."""


@dataclass(slots=True)
class Migrator:
    """One thread, started with the first move and ended by `close`."""

    clock: Callable[[], float] = time.monotonic
    _held: dict[int, Leaf] = field(default_factory=dict[int, Leaf])
    """Processes of ours that are in their leaves for long, by pid."""
    _orders: "queue.SimpleQueue[_Order | None]" = field(
        default_factory=queue.SimpleQueue["_Order | None"]
    )
    _thread: threading.Thread | None = None
    _timer: asyncio.TimerHandle | None = None
    _latest_s: float = float("-inf")
    """When the latest move was asked for, by the clock."""
    _moved_s: float = float("-inf")
    """When the kernel was last done with one."""
    _wary_until_s: float = float("-inf")

    def move(self, leaf: Leaf, pid: int) -> "asyncio.Future[None]":
        """Begin to move the process; the future raises OSError where the kernel refuses."""
        moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        now_s = self.clock()
        if self._timer is None and now_s - self._latest_s < _CLOSE_S:
            self._look_again()
        self._latest_s = now_s
        if now_s - self._moved_s < _OPEN_S:
            self._move_on_open_way(partial(leaf.enter, pid), moved, now_s)
        else:
            self._hand_over(partial(leaf.enter, pid), moved)
        return moved

    def hold(self, pid: int, leaf: Leaf) -> None:
        """Keep the way open by a process that stays in its leaf."""
        self._held[pid] = leaf

    def release(self, pid: int) -> None:
        """Let go of it, once it has ended or is about to."""
        self._held.pop(pid, None)

    def close(self) -> None:
        """Let the thread end once all moves are done."""
        if self._timer is not None:
            self._timer.cancel()
        self._orders.put(None)

    def _look_again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_STAY_S, self._keep_open)

    def _keep_open(self) -> None:
        """Keep the way open as long as a move may come soon, unless it closed already."""
        now_s = self.clock()
        self._timer = None
        if now_s - self._latest_s > _CLOSE_S:
            return
        self._look_again()
        if _STAY_S < now_s - self._moved_s < _OPEN_S:
            for pid, leaf in list(self._held.items())[:1]:
                self._move_on_open_way(partial(leaf.stay, pid), None, now_s)

    def _move_on_open_way(
        self, move: _Move, moved: "asyncio.Future[None] | None", now_s: float
    ) -> None:
        if now_s < self._wary_until_s:
            self._hand_over(move, moved)
            return
        resolve(moved, self._make(move))
        if self._moved_s - now_s > _LONG_S:
            self._wary_until_s = self._moved_s + _WARY_S

    def _hand_over(self, move: _Move, moved: "asyncio.Future[None] | None") -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, name="fumehood-migrator", daemon=True
            )
            self._thread.start()
        self._orders.put((move, moved))

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            move, moved = order
            fault = self._make(move)
            if moved is not None:
                moved.get_loop().call_soon_threadsafe(resolve, moved, fault)

    def _make(self, move: _Move) -> OSError | None:
        try:
            move()
        except OSError as refusal:
            return refusal
        finally:
            self._moved_s = self.clock()
        return None
