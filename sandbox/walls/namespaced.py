"""The walls of a cell with namespaces: a root of its own, where all has a fixed place. Pure."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from sandbox.command import Command, Folder, Level
from sandbox.limits import MIB, Limits, most_inodes
from sandbox.protocol import Inward
from sandbox.walls import layout as places
from sandbox.walls.landlock import Confinement
from sandbox.walls.layout import INSIDE, WORK, Barriers, Layout
from sandbox.walls.walls import Facts, ForkDisk

MOST_COPIED_BYTES = 32 * MIB
"""Inputs that are larger together are mounted, which only a cold cell can have done: to copy so
much takes as long as a cold start."""
_INPUT_DIR = "/input"


class NamespacedWalls:
    """User, mount, pid, net, ipc, uts and cgroup namespaces around each cell; bubblewrap's root."""

    facts = Facts(
        has_namespaces=True,
        takes_network=True,
        refuses_sockets=False,
        has_runs_beside=True,
        shows_ends=True,
        has_own_disk=True,
        job_filter="job",
        warm_filter="warm",
    )

    def level(self, barriers: Barriers, *, has_cell_users: bool, has_cgroup: bool) -> Level:
        """Return the best there is, unless the kernel's rarer doors stay open."""
        del has_cell_users
        if not barriers.has_seccomp:
            return Level.PROCESS
        return Level.FULL if has_cgroup else Level.NO_CGROUP

    def layout(self, folders: tuple[Folder, ...], *, inside: Path, run_dir: Path) -> Layout:
        """Return where things are; on which host folders, the cell does not see."""
        del inside, run_dir
        return laid_out(folders)

    def mounts(self, limits: Limits) -> dict[str, Inward] | None:
        """Return the sizes of what a fork mounts over what its import had."""
        return dict(_mounts(limits))

    def fork_disk(self, limits: Limits) -> ForkDisk:
        """Return the two file systems of a fork's own; whatever else it mounts is found."""
        sizes = _mounts(limits)
        mounted = {WORK: sizes["work_bytes"], _INPUT_DIR: sizes["input_bytes"]}
        return ForkDisk(work_bytes=sizes["work_bytes"], mounted=mounted)

    def rlimits(self, limits: Limits) -> dict[str, int]:
        """Return those of every cell, and how many processes it may have.

        RLIMIT_NPROC counts per user and user namespace (user_namespaces(7)): it is only ours to
        set where a cell has one of its own.
        """
        return places.rlimits(limits) | {"RLIMIT_NPROC": limits.processes}

    def confinement(self, command: Command, layout: Layout) -> Confinement:
        """Return its whole root to read, in which is nothing else, and what it may execute."""
        executable = (
            *places.executable(command.interpreter),
            "/bin",
            *_tops(command.folders),
        )
        return Confinement(
            readable=("/",),
            executable=executable,
            writable=(layout.scratch_dir, layout.output_dir),
            network=command.network is not None,
        )

    def warm_confinement(self, command: Command, layout: Layout) -> Confinement | None:
        """Return None: its forks mount, which Landlock would refuse (landlock(7)).

        The outer wall stands around the import, and each fork shuts Landlock when it has mounted.
        """
        del command, layout
        return None


@lru_cache(maxsize=64)
def laid_out(folders: tuple[Folder, ...]) -> Layout:
    """Return the layout of a cell that has a root of its own: the same for all its runs."""
    return places.layout(
        folders, seen_at=_seen_at, inside=INSIDE, input_dir=_INPUT_DIR, run_dir=WORK
    )


def _seen_at(folder: Folder) -> str:
    return f"/{folder.name}"


def _tops(folders: Sequence[Folder]) -> Sequence[str]:
    """Return where folders are; one place for all that a cell sees below the same one."""
    return list(dict.fromkeys(f"/{folder.name.partition('/')[0]}" for folder in folders))


def _mounts(limits: Limits) -> Mapping[str, int]:
    return {
        "work_bytes": places.work_bytes(limits),
        "input_bytes": MOST_COPIED_BYTES + MIB,
        "inodes": most_inodes(limits.scratch_mb) + most_inodes(limits.output_mb),
    }
