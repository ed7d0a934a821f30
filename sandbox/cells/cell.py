"""A Cell: one process tree behind walls, ready for exactly one run.

Cells that were started cold and forks of warm ones are of one kind: from here on nobody needs to
know how a cell came to be.
"""

import contextlib
import signal
import socket
from pathlib import Path
from typing import Literal

from frozen.values import frozen
from sandbox.cells.host_libraries import Mapped
from sandbox.cells.inspection import Hello
from sandbox.cells.started import StartedCell
from sandbox.cgroups.leaf import Leaf
from sandbox.command import ColdReason
from sandbox.kernel.process import Exit
from sandbox.walls.layout import Layout
from sandbox.walls.walls import Facts

_TELL_WHERE = 62
"""See inside/cold.py."""


@frozen
class Cell:
    """A process that has shut its walls, has said hello and waits for its one run."""

    hello: Hello
    facts: Facts
    layout: Layout
    folder: Path
    channel: socket.socket
    stdout_fd: int
    stderr_fd: int
    leaf: Leaf | None
    top_pid: int
    """The process below which everything of the cell is: what the watchdog watches."""
    start: Literal["cold", "warm"]
    reason: ColdReason | None
    """Why it is cold."""
    mapped: Mapped
    owner: StartedCell
    """Who kills it and gives it back."""

    @property
    def is_orphaned(self) -> bool:
        """Whether the cell fell with its warm cell, through no fault of its run."""
        return self.owner.tree.is_orphaned

    @property
    def shows_its_end(self) -> bool:
        """Whether the kernel shows us how it ended; else its exit has to be asked for."""
        return self.owner.tree.shows_its_end

    def terminate(self) -> None:
        """Send SIGTERM to the run itself, which may clean up."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.hello.pidfd, signal.SIGTERM)

    def pause(self) -> None:
        """Stop it until it is taken (SIGSTOP, signal(7)).

        Where it comes from package code has run, and need not wait by itself: with no job to end
        it took 1.2 GB, and a processor for as long as nobody wanted it.
        """
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.hello.pidfd, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, for its run."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.hello.pidfd, signal.SIGCONT)

    def tell_where(self) -> None:
        """Have the run print where its threads are, which takes it no more than a moment."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.hello.pidfd, _TELL_WHERE)

    async def exit(self) -> Exit:
        """Return how the run's process ended, once it has."""
        return await self.owner.tree.exit()

    async def end(self) -> None:
        """Kill everything in the cell, once."""
        await self.owner.end()

    async def close(self) -> None:
        """Kill what is left and give everything back."""
        await self.owner.close()


def cell(owner: StartedCell, hello: Hello, *, top_pid: int) -> Cell:
    """Return the cell that `owner` has become with its hello."""
    plan = owner.plan
    return Cell(
        hello=hello,
        facts=plan.kind.walls.facts,
        layout=plan.layout,
        folder=plan.folder,
        channel=owner.ends.channel,
        stdout_fd=owner.ends.stdout_fd,
        stderr_fd=owner.ends.stderr_fd,
        leaf=owner.leaf,
        top_pid=top_pid,
        start=plan.start,
        reason=plan.reason,
        mapped=plan.mapped,
        owner=owner,
    )
