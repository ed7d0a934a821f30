"""The walls of a cell that shares the host's root: Landlock decides among host paths. Pure."""

from pathlib import Path

from sandbox.base import programs
from sandbox.command import Command, Folder, Level
from sandbox.limits import Limits
from sandbox.protocol import Inward
from sandbox.walls import layout as places
from sandbox.walls.landlock import Confinement
from sandbox.walls.layout import Barriers, Layout
from sandbox.walls.walls import Facts, ForkDisk

_OF_THE_HOST = (
    *("/dev/urandom", "/dev/random", "/etc/ld.so.cache", "/usr/share/zoneinfo"),
    *("/etc/mime.types", "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/pki/tls/certs"),
    *("/etc/fonts", "/usr/share/fonts", "/usr/share/fontconfig", "/usr/share/misc/magic.mgc"),
)
"""What a cell may read besides: what one with a root of its own finds there too."""
_SCOPES_SIGNALS = 6
"""The ABI of Landlock (Linux 6.12) from which on it scopes signals (landlock(7))."""


class HostWalls:
    """Landlock, seccomp and rlimits around a cell in the host's namespaces."""

    facts = Facts(
        has_namespaces=False,
        takes_network=False,
        refuses_sockets=True,
        has_runs_beside=False,
        shows_ends=False,
        has_own_disk=False,
        job_filter="job-without-namespaces",
        warm_filter="warm-without-namespaces",
    )

    def level(self, barriers: Barriers, *, has_cell_users: bool, has_cgroup: bool) -> Level:
        """Return whether what there is counts as walls at all.

        A run has the host user of its subreaper, so without Landlock's scopes it could kill the
        subreaper and outlive the run, unless a cgroup holds the tree as well.
        """
        abi = barriers.landlock_abi
        confines_signals = abi >= _SCOPES_SIGNALS or (has_cell_users and has_cgroup)
        is_walled = barriers.has_seccomp and abi > 0 and confines_signals
        return Level.UNPRIVILEGED if is_walled else Level.PROCESS

    def layout(self, folders: tuple[Folder, ...], *, inside: Path, run_dir: Path) -> Layout:
        """Return where things are on the host, with the cell's run below `run_dir`."""
        return places.layout(
            folders,
            seen_at=_seen_at,
            inside=str(inside),
            input_dir=f"{run_dir}/input",
            run_dir=str(run_dir),
        )

    def mounts(self, limits: Limits) -> dict[str, Inward] | None:
        """Return None: nobody may mount in the host's namespace."""
        del limits
        return None

    def fork_disk(self, limits: Limits) -> ForkDisk:
        """Return nothing that could be seen from outside: the file system is the host's."""
        del limits
        return ForkDisk()

    def rlimits(self, limits: Limits) -> dict[str, int]:
        """Return those of every cell; RLIMIT_NPROC would count all of the worker's user's."""
        return places.rlimits(limits)

    def confinement(self, command: Command, layout: Layout) -> Confinement:
        """Return the few places of the host that a run may touch."""
        return Confinement(
            readable=_readable(layout),
            executable=_executable(command),
            run_readable=(layout.input_dir,),
            writable=(layout.scratch_dir, layout.output_dir),
            network=command.network is not None,
        )

    def warm_confinement(self, command: Command, layout: Layout) -> Confinement | None:
        """Return what confines an import: its warm cell's folder, and what every run has.

        Its forks shut a narrower ruleset inside this one, so all that any of them may touch has to
        be in it.
        """
        base = layout.scratch_dir.partition("/{run}")[0]
        return Confinement(
            readable=(*_readable(layout), base),
            executable=_executable(command),
            writable=(base,),
            network=command.network is not None,
        )


def _seen_at(folder: Folder) -> str:
    return str(folder.source)


def _readable(layout: Layout) -> tuple[str, ...]:
    return (*_OF_THE_HOST, layout.inside)


def _executable(command: Command) -> tuple[str, ...]:
    return (
        *places.executable(command.interpreter),
        *map(str, programs.files()),
        *(_seen_at(folder) for folder in command.folders),
    )
