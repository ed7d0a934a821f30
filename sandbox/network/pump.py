"""Carries bytes between two sockets, both ways, in as much memory as one buffer each."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass

_BUFFER_BYTES = 65_536


class OutOfBudgetError(Exception):
    """All connections of the run have carried as much as they may."""


@dataclass(slots=True)
class Budget:
    """What all connections of a run may still carry."""

    left_bytes: int

    def spend(self, count: int) -> None:
        """Take so much of it. Raises OutOfBudgetError."""
        self.left_bytes -= count
        if self.left_bytes < 0:
            raise OutOfBudgetError


@dataclass(slots=True)
class Carried:
    """What one connection has carried: into the cell, and out of it."""

    in_bytes: int = 0
    out_bytes: int = 0


async def carry(
    inner: socket.socket, outer: socket.socket, *, carried: Carried, budget: Budget, idle_s: float
) -> None:
    """Carry until both sides have said all, `inner` being the cell's.

    Raises TimeoutError where nothing moved for `idle_s`, ConnectionError, OutOfBudgetError.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(idle_s) as clock:

        def moved(count: int, *, is_in: bool) -> None:
            budget.spend(count)
            carried.in_bytes += count * is_in
            carried.out_bytes += count * (not is_in)
            clock.reschedule(loop.time() + idle_s)

        out = _one_way(inner, outer, moved=lambda count: moved(count, is_in=False))
        back = _one_way(outer, inner, moved=lambda count: moved(count, is_in=True))
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(out)
                both.create_task(back)
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None


async def _one_way(
    source: socket.socket, target: socket.socket, *, moved: Callable[[int], None]
) -> None:
    """Read only what was written on: a slow reader slows the sender, and nothing piles up."""
    loop = asyncio.get_running_loop()
    buffer = bytearray(_BUFFER_BYTES)
    view = memoryview(buffer)
    while count := await loop.sock_recv_into(source, buffer):
        moved(count)
        await loop.sock_sendall(target, view[:count])
    _end_of(target)


def _end_of(target: socket.socket) -> None:
    """Say that no more will come; the other way stays open (shutdown(2))."""
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
