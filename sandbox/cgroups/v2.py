"""cgroup v2: a leaf below our own group, or below the root group (admin-guide/cgroup-v2.rst)."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from sandbox.cgroups.leaf import (
    CPU_PERIOD_US,
    ROOT,
    WALL_PROCESSES,
    Counted,
    Leaf,
    own_groups,
    remove_when_empty,
    write,
    write_if_there,
)
from sandbox.kernel import procfs
from sandbox.limits import MIB, Limits


class Unified:
    """The unified hierarchy: below our own group where it is ours alone, else below the root.

    A group with processes may not hand controllers down (cgroup-v2.rst, "No Internal Process
    Constraint"), so we move aside; where others share our group, as in a login session, only
    root can help itself, at the root group, which is exempt.
    """

    version = "v2"

    def __init__(self, name: str) -> None:
        if not (ROOT / "cgroup.controllers").exists():
            raise FileNotFoundError("no unified hierarchy")
        self._own = ROOT / own_groups()[""].lstrip("/")
        self._worker = self._own / f"{name}-worker"
        try:
            self._folder = self._delegated(name)
        except OSError:
            self._step_back()
            self._folder = _handed_down(ROOT, name)

    def _delegated(self, name: str) -> Path:
        if self._own == ROOT:
            raise FileNotFoundError("our group is the root")
        self._worker.mkdir(exist_ok=True)
        write(self._worker / "cgroup.procs", str(os.getpid()))
        return _handed_down(self._own, name)

    def _step_back(self) -> None:
        """Return to our own group, and leave no trace of having tried."""
        with contextlib.suppress(OSError):
            write(self._own / "cgroup.procs", str(os.getpid()))
        with contextlib.suppress(OSError):
            self._worker.rmdir()

    def leaf(self, name: str, limits: Limits) -> Leaf:
        """Make a leaf with these limits. Raises OSError."""
        folder = self._folder / name
        folder.mkdir()
        write(folder / "memory.max", str(limits.memory_mb * MIB))
        write_if_there(folder / "memory.swap.max", "0")
        write_if_there(folder / "memory.oom.group", "1")
        write(folder / "pids.max", str(limits.processes + WALL_PROCESSES))
        write(folder / "cpu.max", f"{int(limits.cpus * CPU_PERIOD_US)} {CPU_PERIOD_US}")
        return _Leaf(folder)

    def remove(self) -> None:
        """Remove our group, and return to where we were."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()
        self._step_back()


class _Leaf:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def enter(self, pid: int) -> None:
        write(self._folder / "cgroup.procs", str(pid))

    def bear[T](self, act: Callable[[], T]) -> T:
        return act()

    def stay(self, pid: int) -> None:
        self.enter(pid)

    def holds(self, pid: int) -> bool:
        return f"/{self._folder.parent.name}/{self._folder.name}\n" in procfs.read(
            f"/proc/{pid}/cgroup"
        )

    def count(self) -> Counted:
        folder = self._folder
        return Counted(
            cpu_s=_keyed(folder / "cpu.stat").get("usage_usec", 0) / 1e6,
            peak_memory_bytes=_number(folder / "memory.peak"),
            oom_kills=_keyed(folder / "memory.events").get("oom_kill", 0),
            fork_refusals=_keyed(folder / "pids.events").get("max", 0),
        )

    def let_die(self) -> None:
        write_if_there(self._folder / "cpu.max", "max")

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            write(self._folder / "cgroup.kill", "1")

    def remove(self) -> None:
        remove_when_empty((self._folder,))


def _handed_down(parent: Path, name: str) -> Path:
    """Make a group below `parent` that hands the controllers on to its leaves. Raises OSError."""
    write(parent / "cgroup.subtree_control", "+memory +pids +cpu")
    folder = parent / name
    folder.mkdir(exist_ok=True)
    try:
        write(folder / "cgroup.subtree_control", "+memory +pids +cpu")
    except OSError:
        folder.rmdir()
        raise
    return folder


def _number(path: Path | str) -> int:
    return int(procfs.read(str(path)) or 0)


def _keyed(path: Path | str) -> dict[str, int]:
    lines = procfs.read(str(path)).splitlines()
    return {key: int(value) for key, value in (line.split() for line in lines)}
