"""What a cgroup is to the rest of the room, and how its files are written. See hierarchy.py."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from frozen.values import frozen
from sandbox.kernel.waiting import pause
from sandbox.limits import Limits

ROOT = Path("/sys/fs/cgroup")
CPU_PERIOD_US = 100_000
WALL_PROCESSES = 2
"""bubblewrap's monitor and first process are in a cold cell's leaf too."""


@frozen
class Counted:
    """What a leaf counted so far. `oom_kills` and `fork_refusals` tell which limit bit."""

    cpu_s: float = 0.0
    peak_memory_bytes: int = 0
    oom_kills: int = 0
    fork_refusals: int = 0


class Leaf(Protocol):
    """One run's cgroup."""

    def enter(self, pid: int) -> None:
        """Move the process in. Raises OSError."""
        ...

    def bear[T](self, act: Callable[[], T]) -> T:
        """Return what `act` returns, called in a thread of its own.

        What it starts is born in the leaf where a thread can go there alone, which v2 does not
        allow; else it has to be moved. Raises OSError where the thread does not get back.
        """
        ...

    def stay(self, pid: int) -> None:
        """Move the process in once more, which changes nothing (migration.py). Raises OSError."""
        ...

    def holds(self, pid: int) -> bool:
        """Whether the process is in it."""
        ...

    def count(self) -> Counted:
        """Return the counters."""
        ...

    def let_die(self) -> None:
        """Take the bound of its processors away, before it is killed.

        In one long system call a thread takes more than its share (Linux 6.18 holds back who
        returns from one), and is then held back until that is made up for, dead or not: two threads
        with 0.01 of a processor, which had taken 5 s, were there for more than five minutes.
        """
        ...

    def kill(self) -> None:
        """Send SIGKILL to every process in the leaf."""
        ...

    def remove(self) -> None:
        """Remove the leaf once it is empty."""
        ...


class Hierarchy(Protocol):
    """Where leaves are made."""

    version: str

    def leaf(self, name: str, limits: Limits) -> Leaf:
        """Make a leaf with these limits. Raises OSError."""
        ...

    def remove(self) -> None:
        """Remove what was made at the start."""
        ...


def remove_when_empty(folders: tuple[Path, ...]) -> None:
    """Remove the groups; a killed process may take a moment to leave them."""
    for folder in folders:
        for _ in range(50):
            try:
                folder.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                pause(1)


def own_groups() -> dict[str, str]:
    """Return our group by controller; the unified hierarchy's is under the empty name."""
    return dict(lines_of_own_groups())


def lines_of_own_groups() -> Iterator[tuple[str, str]]:
    """Yield controller and path of each of our own groups (/proc/self/cgroup, cgroups(7))."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def write(path: Path | str, text: str) -> None:
    """Write a file of the kernel's in one call. Raises OSError."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def write_if_there(path: Path, text: str) -> None:
    """Write what not every kernel has."""
    with contextlib.suppress(OSError):
        write(path, text)
