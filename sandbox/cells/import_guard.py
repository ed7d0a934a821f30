"""Holds what an import takes, where there is no cgroup to hold it."""

import asyncio
from collections.abc import Callable
from functools import partial

from sandbox.kernel.process_tree import WALL_TASKS, Tree
from sandbox.limits import MIB, Limits

_EVERY_S = 0.05


async def outgrowing(pid: int, limits: Limits, *, stop: Callable[[], None]) -> str:
    """Stop it when it takes more than a run may; return what and how much it took."""
    most_bytes = limits.memory_mb * MIB
    most_tasks = limits.processes + WALL_TASKS
    look = partial(Tree(pid).measure, most_bytes=most_bytes, most_tasks=most_tasks)
    while True:
        _, memory_bytes, tasks = await asyncio.to_thread(look)
        if memory_bytes > most_bytes:
            stop()
            return f"{memory_bytes // MIB} MiB of memory"
        if tasks > most_tasks:
            stop()
            return f"{tasks} processes"
        await asyncio.sleep(_EVERY_S)
