"""Cutting what asks the index: it goes on for as long as the gate is open, and no longer."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from packages.errors import LockFailed
from packages.lock.diagnosis import resolve_cut
from packages.lock.gate_watch import GateWatcher
from packages.lock.grant import GateState

LOOK_EVERY_S = 0.25


async def while_open[T](
    work: Coroutine[Any, Any, T],
    *,
    watcher: GateWatcher,
    gate: GateState,
    clock: Callable[[], datetime],
    doing: str = "uv was asking the index, so uv was stopped",
) -> T:
    """Return what `work` comes to; it is cancelled once the gate is closed. Raises LockFailed.

    Where the gate is closed already nothing is asked: it may have closed since the Grant.
    """
    with watcher.closings.listening() as closed:
        now = await watcher.gate(gate)
        if closed.is_set() or not now.is_open_at(clock()):
            work.close()
            raise LockFailed(resolve_cut(now.reason, when="before uv asked the index"))
        task = asyncio.ensure_future(work)
        news = asyncio.ensure_future(closed.wait())
        try:
            while not task.done():
                await asyncio.wait(
                    {task, news}, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED
                )
                if task.done():
                    break
                now = await watcher.gate(gate)
                if closed.is_set() or not now.is_open_at(clock()):
                    why = "" if now.is_open else now.reason
                    raise LockFailed(resolve_cut(why, when=f"while {doing}"))
            return task.result()
        finally:
            news.cancel()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


def still_open(
    watcher: GateWatcher, *, gate: GateState, clock: Callable[[], datetime]
) -> Callable[[], bool]:
    """Return what says, without asking anybody, whether the gate has been open since now."""
    begun = watcher.closings.count
    return lambda: watcher.closings.count == begun and gate.is_open_at(clock())
