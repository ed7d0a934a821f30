"""What stands around every cell of a host, and what follows from it: two kinds. Pure.

A cell has namespaces, and with them a root of its own (namespaced.py), or it shares the host's, and
Landlock decides what it may touch (on_host.py). Which of the two a host allows is found out once,
by trying (isolation.py); from there on nobody asks, and everybody uses the walls that were chosen.
"""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Protocol

from frozen.values import frozen
from sandbox.command import Command, Folder, Level
from sandbox.limits import Limits
from sandbox.protocol import Inward
from sandbox.walls.landlock import Confinement
from sandbox.walls.layout import Barriers, Layout
from sandbox.walls.seccomp import Profile


@frozen
class Facts:
    """What follows from the kind of walls, for those who only want to know."""

    has_namespaces: bool
    takes_network: bool
    """Whether a run can have a network of its own; else it would be the host's, with loopback."""
    refuses_sockets: bool
    """Whether it is the filter that keeps a run from the network."""
    has_runs_beside: bool
    """Whether a warm cell can have several runs at once: no two reach below one folder."""
    shows_ends: bool
    """Whether the end of a cell's first process is that of all of it (pid_namespaces(7))."""
    has_own_disk: bool
    """Whether what a run may write to is one file system of its own, with a size."""
    job_filter: Profile
    warm_filter: Profile


@frozen
class ForkDisk:
    """What a fork can fill, as it is seen from outside."""

    work_bytes: int = 0
    """How large the file system of its folders has to be; 0 where that is the host's."""
    mounted: Mapping[str, int] = field(default_factory=dict[str, int])
    """All that it can write to, with sizes, by place; nothing where that is the host's."""


class Walls(Protocol):
    """The walls around every cell of a host, as values and decisions."""

    @property
    def facts(self) -> Facts:
        """What follows from them."""
        ...

    def level(self, barriers: Barriers, *, has_cell_users: bool, has_cgroup: bool) -> Level:
        """Return the level of a host that allows these walls."""
        ...

    def layout(self, folders: tuple[Folder, ...], *, inside: Path, run_dir: Path) -> Layout:
        """Return where things are for a cell; `inside` is the runner's code on the host."""
        ...

    def mounts(self, limits: Limits) -> dict[str, Inward] | None:
        """Return the sizes of what a fork mounts for itself, or None where it mounts nothing."""
        ...

    def fork_disk(self, limits: Limits) -> ForkDisk:
        """Return what a fork can fill."""
        ...

    def rlimits(self, limits: Limits) -> dict[str, int]:
        """Return the resource limits (setrlimit(2)) of a run."""
        ...

    def confinement(self, command: Command, layout: Layout) -> Confinement:
        """Return what Landlock lets a run touch."""
        ...

    def warm_confinement(self, command: Command, layout: Layout) -> Confinement | None:
        """Return what Landlock lets an import touch, or None where it may not be shut yet."""
        ...
