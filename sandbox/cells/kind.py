"""What is done otherwise for a cell in namespaces of its own and for one in the host's: two kinds.

namespaced.py and on_host.py. Which of them a host allows is found out once (isolation.py), and the
rest of the room uses the one that was chosen. What is decided, not done, is in walls/walls.py.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from frozen.values import frozen
from sandbox.base.runners import Runner
from sandbox.cells.ends import Ends
from sandbox.cells.inspection import Hello
from sandbox.cgroups.leaf import Leaf
from sandbox.command import Command, Input
from sandbox.kernel.process import Child, Exit, HostUser
from sandbox.walls.layout import Layout
from sandbox.walls.walls import Walls


@frozen
class Start:
    """What the first process of a cell is started for, and with what."""

    command: Command
    runner: Runner
    layout: Layout
    folder: Path
    """The run's, or the warm cell's, on the host."""
    user: HostUser | None
    is_warm: bool


@frozen
class Invocation:
    """The program of a cell's first process, and the environment that it starts with."""

    argv: Sequence[str]
    variables: Mapping[str, str]


class CellKind(Protocol):
    """How cells of one kind are started, looked at and let go."""

    @property
    def walls(self) -> Walls:
        """What is decided about them."""
        ...

    def invocation(self, start: Start, *, channel_fd: int) -> Invocation:
        """Return what to start. Raises CellUnstartableError."""
        ...

    async def spawn(
        self, invocation: Invocation, ends: Ends, *, user: HostUser | None, leaf: Leaf | None
    ) -> "subprocess.Popen[bytes]":
        """Start it, on the host as `user`, in `leaf` where that can be. Raises OSError."""
        ...

    def stop(self, child: Child) -> None:
        """Let all of a cell end, without waiting for it."""
        ...

    async def end(self, child: Child) -> Exit:
        """End all of a cell by its first process; return how that ended."""
        ...

    def cold_folder(self, folder: Path, *, user: HostUser | None) -> Path:
        """Return an empty host folder for a run: `folder`, or one that is there already."""
        ...

    async def give_back(self, folder: Path, *, has_inputs: bool) -> None:
        """Take a cold cell's folder back, and whatever is in it away."""
        ...

    def fork_folder(self, folder: Path, *, user: HostUser | None) -> Path:
        """Make `folder`, in its warm cell's, for a fork that needs one on the host."""
        ...

    def clear_forks(self, folder: Path) -> None:
        """Remove all that forks have left in their warm cell's folder, by any name."""
        ...

    async def give_back_fork(self, folder: Path) -> None:
        """Do so without keeping the event loop: what a run left may take long to remove."""
        ...

    def is_a_cell(self, status: str) -> bool:
        """Say whether a status (/proc/PID/status) is a cell's, and not somebody's with its pid."""
        ...

    def open_folders(
        self, pid: int, folder: Path, layout: Layout, *, work_bytes: int
    ) -> tuple[int, int]:
        """Open a run's output and scratch ourselves: what a cell sent could be of any folder.

        Raises OSError and protocol.ProtocolFault where they are not as ordered.
        """
        ...

    def top_of_fork(self, pid: int, status: str, *, warden_pid: int) -> int:
        """Return the process below which all is that a fork may start.

        Raises CellUnstartableError where its end would not be that of all of it.
        """
        ...

    def why_cold(self, inputs: Sequence[Input]) -> str:
        """Return why a fork cannot have these inputs, or nothing. Raises InputUnplaceableError."""
        ...

    def place_inputs(self, inputs: Sequence[Input], hello: Hello, folder: Path) -> None:
        """Put the inputs where only this fork sees them.

        Raises InputUnplaceableError, and CellLostError where the fork has ended.
        """
        ...

    def close(self) -> None:
        """Give back what was made for all cells."""
        ...
