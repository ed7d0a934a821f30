"""Waiting in an event loop for what the kernel shows by a descriptor, with as little as it takes.

asyncio's own ways cost a task or a copy of each future, which a run of two milliseconds would feel.
"""

import asyncio
import select


def resolve(future: "asyncio.Future[None] | None", fault: Exception | None) -> None:
    """Let `future` end well, or with `fault`; one that is done, or none, stays as it is."""
    if future is None or future.done():
        return
    if fault is None:
        future.set_result(None)
    else:
        future.set_exception(fault)


def pause(milliseconds: int) -> None:
    """Do nothing for so long, whatever is done to the clock: poll(2) asks none.

    `time.sleep` waits until a moment, and raised OSError where somebody had set a clock back.
    """
    select.poll().poll(milliseconds)


def is_dead(pidfd: int) -> bool:
    """Say whether a process is dead, by its pidfd (pidfd_open(2))."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


async def until_dead(pidfd: int, *, timeout_s: float) -> bool:
    """Wait until the process is dead, by its pidfd; say whether it is (pidfd_open(2))."""
    if is_dead(pidfd):
        return True
    try:
        await readable(pidfd, deadline=asyncio.get_running_loop().time() + timeout_s)
    except TimeoutError:
        return False
    return True


async def until_done[T](future: "asyncio.Future[T]", *, timeout_s: float) -> bool:
    """Wait until it is done; say whether it is. asyncio.wait takes twice as long for one."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(timeout_s, resolve, over, None)
    future.add_done_callback(lambda _: resolve(over, None))
    try:
        await over
    finally:
        timer.cancel()
    return future.done()


async def readable(fd: int, *, deadline: float) -> None:
    """Wait until there is something to read. Raises TimeoutError at `deadline`, loop time."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, resolve, ready, None)
    timer = loop.call_at(deadline, resolve, ready, TimeoutError())
    try:
        await ready
    finally:
        timer.cancel()
        loop.remove_reader(fd)
