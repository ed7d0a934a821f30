"""A cell from its start to its end: who owns its processes, streams, cgroup and folder.

Here alone is a cell killed, is its death waited for, and is given back what it had: whether it has
said hello by then (greeting.py), has had its run (cell.py), or has done neither.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from frozen.values import frozen
from sandbox.cells.ends import Ends
from sandbox.cells.host_libraries import NOTHING_MAPPED, Mapped
from sandbox.cells.inspection import Expected
from sandbox.cells.kind import CellKind
from sandbox.cgroups.leaf import Leaf
from sandbox.command import ColdReason
from sandbox.errors import CellLostError
from sandbox.kernel.process import Child, Exit
from sandbox.kernel.waiting import until_dead
from sandbox.limits import MIB
from sandbox.walls.layout import Layout

_DEATH_S = 2.0
_MUCH_BYTES, _MANY_FILES = 32 * MIB, 1000
"""Beyond so much a run's files are given back in a thread. Its tmpfs goes with the last descriptor,
and all that it holds: 1.4 s for 260,000 files, in which the event loop stood still."""


class Tree(Protocol):
    """All processes of a cell: a cold one's, or those of a fork (forks.py)."""

    @property
    def shows_its_end(self) -> bool:
        """Whether the kernel shows us all of it.

        A pid namespace dies with its first process, a cgroup counts what it took. Else somebody
        has to tell.
        """
        ...

    @property
    def is_orphaned(self) -> bool:
        """Whether it fell with the warm cell that it was forked from."""
        ...

    def top(self, pid: int, status: str) -> int:
        """Return the process below which all of it is: what the watchdog watches.

        `pid` is the run's process, with its status. Raises CellUnstartableError.
        """
        ...

    async def kill(self, pidfd: int) -> bool:
        """Kill all of it; say whether the kernel has shown that none is left.

        `pidfd` is the run's process, or -1 where there was no hello.
        """
        ...

    async def exit(self) -> Exit:
        """Return how the run's process ended, once it has."""
        ...


@frozen
class ColdTree:
    """The processes below one child of ours."""

    child: Child
    kind: CellKind
    shows_its_end: bool = False
    is_orphaned: bool = False

    def top(self, pid: int, status: str) -> int:
        """Return our child: the walls' own processes count as the run's too."""
        del pid, status
        return self.child.pid

    async def kill(self, pidfd: int) -> bool:
        """Kill it from above; a cgroup is killed besides, as the two ends are not one."""
        await self.kind.end(self.child)
        if pidfd >= 0:  # the child is bubblewrap, and what is inside dies a moment after it
            await until_dead(pidfd, timeout_s=_DEATH_S)
        return False

    async def exit(self) -> Exit:
        """Return how our child ended, which ends as the run's process does."""
        return await self.child.wait()


@frozen
class Plan:
    """What a cell is meant to be, known before it is there."""

    kind: CellKind
    layout: Layout
    folder: Path
    """The run's own on the host: its inputs, and without namespaces scratch and outputs too."""
    start: Literal["cold", "warm"]
    reason: ColdReason | None = None
    """Why it is cold."""
    mapped: Mapped = NOTHING_MAPPED
    namespaces: tuple[str, ...] | None = None
    """Those that it does not share with us; what is not known yet is read at the hello."""
    expected: Expected | None = None
    """What a fork has to be like; nobody's code has run in a cold cell at its hello."""


@dataclass(slots=True, kw_only=True)
class StartedCell:
    """A cell that was started, or ordered from its warm cell."""

    plan: Plan
    ends: Ends
    tree: Tree
    leaf: Leaf | None
    give_back: Callable[[], Awaitable[None]]
    """Takes the host folder back."""
    _pidfd: int = -1
    _opened: list[int] = field(default_factory=list[int])
    _is_over: bool = False

    def open_pidfd(self, pid: int) -> int:
        """Keep hold of the run's process, by which it is killed. Raises ProcessLookupError."""
        self._pidfd = os.pidfd_open(pid)
        return self._pidfd

    def open_folders(self, pid: int) -> tuple[int, int]:
        """Open output and scratch; they are closed with the cell."""
        plan = self.plan
        work_bytes = plan.expected.work_bytes if plan.expected is not None else 0
        opened = plan.kind.open_folders(pid, plan.folder, plan.layout, work_bytes=work_bytes)
        self._opened.extend(opened)
        return opened

    async def end(self) -> None:
        """Kill everything in the cell, once."""
        if self._is_over:
            return
        if self.leaf is not None:
            self.leaf.let_die()
        is_shown = await self.tree.kill(self._pidfd)
        self._is_over = True
        if self.leaf is not None and not is_shown:
            self.leaf.kill()

    async def close(self) -> None:
        """Kill what is left and give everything back."""
        with contextlib.suppress(CellLostError):
            await self.end()
        os.close(self.ends.channel.detach())
        for fd in (self.ends.stdout_fd, self.ends.stderr_fd, self._pidfd):
            if fd >= 0:
                os.close(fd)
        if any(map(_holds_much, self._opened)):
            await asyncio.to_thread(_close_all, self._opened)
        else:
            _close_all(self._opened)
        if self.leaf is not None:
            self.leaf.remove()
        await self.give_back()


def _holds_much(folder_fd: int) -> bool:
    figures = os.fstatvfs(folder_fd)
    used_bytes = (figures.f_blocks - figures.f_bfree) * figures.f_frsize
    return used_bytes > _MUCH_BYTES or figures.f_files - figures.f_ffree > _MANY_FILES


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
