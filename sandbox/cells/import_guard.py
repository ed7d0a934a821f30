"""Holds what an import takes: its time of processors, and what no cgroup holds."""

import asyncio
from collections.abc import Callable
from functools import partial

from sandbox.cgroups.leaf import Leaf
from sandbox.limits import MIB, WALL_TASKS, Limits

_EVERY_S = 0.05


async def overspending(leaf: Leaf, limits: Limits, *, stop: Callable[[], None]) -> str:
    """Stop it when it takes more time than a run may, in a cgroup that holds all else."""
    while True:
        await asyncio.sleep(_EVERY_S)
        cpu_s = leaf.count().cpu_s
        if cpu_s > limits.cpu_s:
            stop()
            return f"{cpu_s:.1f} s of processors"


async def outgrowing(pid: int, limits: Limits, *, stop: Callable[[], None]) -> str:
    """Stop it when it takes more than a run may; return what and how much it took."""
    from sandbox.kernel.process_tree import Tree  # noqa: PLC0415 – seldom, and psutil is 13 ms

    most_bytes = limits.memory_mb * MIB
    most_tasks = limits.processes + WALL_TASKS
    look = partial(Tree(pid).measure, most_bytes=most_bytes, most_tasks=most_tasks)
    while True:
        cpu_s, memory_bytes, tasks = await asyncio.to_thread(look)
        if cpu_s > limits.cpu_s:
            stop()
            return f"{cpu_s:.1f} s of processors"
        if memory_bytes > most_bytes:
            stop()
            return f"{memory_bytes // MIB} MiB of memory"
        if tasks > most_tasks:
            stop()
            return f"{tasks} processes"
        await asyncio.sleep(_EVERY_S)
