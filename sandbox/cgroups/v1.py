"""cgroup v1: a leaf is a group in each of four hierarchies, used again by later runs.

Kernel documentation: admin-guide/cgroup-v1/.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
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
from sandbox.kernel.waiting import pause
from sandbox.limits import MIB, Limits

_CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")
_MOST_USED = 16
"""Empty leaves that are kept; each has seventeen descriptors open."""
_MOST_LEFT_BYTES = 4 * MIB
"""A small run leaves up to 0.8 MB of the kernel's, which is given back in its own time."""
_UNBOUNDED = b"-1"
_MYSELF = b"0"
"""Whoever writes it to `tasks` moves the thread that writes."""


class Separate:
    """The hierarchies of four controllers, each with a group of ours below our own group."""

    version = "v1"

    def __init__(self, name: str) -> None:
        own = own_groups()
        self._folders: dict[str, Path] = {}
        self._used: list[_Leaf] = []
        for controller in _CONTROLLERS:
            mount = ROOT / controller
            if controller not in own or not mount.is_dir():
                raise FileNotFoundError(f"no v1 controller {controller}")
            self._folders[controller] = mount / own[controller].lstrip("/") / name
        for folder in self._folders.values():
            folder.mkdir(exist_ok=True)
        try:
            self._back = _all_opened(
                [(folder.parent / "tasks", os.O_WRONLY) for folder in self._folders.values()]
            )
        except PermissionError:  # the groups above ours are not handed to an ordinary user
            self._back = []

    def leaf(self, name: str, limits: Limits) -> Leaf:
        """Take an empty leaf with the same limits again, or make one.

        Making and removing four groups costs more than the fork that they are for.
        """
        for number, used in enumerate(self._used):
            if used.limits == limits and used.is_empty() and used.is_clean():
                del self._used[number]
                used.begin()
                return used
        return self._make(name, limits)

    def remove(self) -> None:
        """Remove our groups and the leaves that are kept."""
        for used in self._used:
            used.destroy()
        for fd in self._back:
            os.close(fd)
        self._back = []
        for folder in self._folders.values():
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _make(self, name: str, limits: Limits) -> "_Leaf":
        folders = {controller: folder / name for controller, folder in self._folders.items()}
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        memory, pids, cpu = folders["memory"], folders["pids"], folders["cpu"]
        write(memory / "memory.limit_in_bytes", str(limits.memory_mb * MIB))
        write_if_there(memory / "memory.memsw.limit_in_bytes", str(limits.memory_mb * MIB))
        write_if_there(memory / "memory.swappiness", "0")
        write(pids / "pids.max", _most_tasks(limits).decode())
        write(cpu / "cpu.cfs_period_us", str(CPU_PERIOD_US))
        write(cpu / "cpu.cfs_quota_us", _quota_us(limits).decode())
        return _Leaf(folders, limits, self._put_back, back=self._back)

    def _put_back(self, leaf: "_Leaf") -> None:
        self._used.append(leaf)
        if len(self._used) > _MOST_USED:
            self._used.pop(0).destroy()


class _Leaf:
    """Four groups; their files stay open, since opening one costs more than reading it."""

    def __init__(
        self,
        folders: Mapping[str, Path],
        limits: Limits,
        put_back: "Callable[[_Leaf], None]",
        *,
        back: Sequence[int],
    ) -> None:
        self.limits = limits
        self._folders = folders
        self._put_back, self._back = put_back, back
        memory, pids, cpuacct = folders["memory"], folders["pids"], folders["cpuacct"]
        self._list = str(pids / "cgroup.procs")
        read = (cpuacct / "cpuacct.usage", pids / "pids.current", pids / "pids.events")
        read += (memory / "memory.oom_control", memory / "memory.usage_in_bytes")
        procs = [
            (folder / name, os.O_WRONLY)
            for name in ("cgroup.procs", "tasks")
            for folder in folders.values()
        ]
        peak = (memory / "memory.max_usage_in_bytes", os.O_RDWR)
        bounds = [
            (folders["cpu"] / "cpu.cfs_quota_us", os.O_WRONLY),
            (pids / "pids.max", os.O_WRONLY),
        ]
        self._fds = _all_opened([*procs, *bounds, peak, *((path, os.O_RDONLY) for path in read)])
        self._procs, self._threads = self._fds[: len(folders)], self._fds[len(folders) : len(procs)]
        self._quota, self._most, self._peak, *rest = self._fds[len(procs) :]
        self._cpu, self._tasks, self._fork_events, self._oom, self._usage = rest
        self._earlier = self._latest = Counted()

    def begin(self) -> None:
        """Start counting anew: what cannot be set to zero is remembered and taken off.

        The last count stands if no processor time was used since: then nothing else was. The
        quota is filled again: what the run before has overdrawn held the next one back, and with
        it whoever waited for the thread that starts it, for up to a period (94 ms measured).
        """
        os.pwrite(self._quota, _quota_us(self.limits), 0)
        os.pwrite(self._peak, b"0", 0)
        is_unused = _figure(self._cpu) / 1e9 == self._latest.cpu_s
        self._earlier = self._latest if is_unused else self._raw()

    def is_empty(self) -> bool:
        """Whether nobody is in it any more."""
        return _figure(self._tasks) == 0

    def is_clean(self) -> bool:
        """Whether hardly any memory is charged to it: what the next run's peak would begin with.

        A run of 14 MB was told 134 after another package had read a file of 120.
        """
        return _figure(self._usage) <= _MOST_LEFT_BYTES

    def enter(self, pid: int) -> None:
        text = b"%d" % pid
        for procs in self._procs:
            os.pwrite(procs, text, 0)

    def bear[T](self, act: "Callable[[], T]") -> T:
        """Call `act` with this thread in the leaf, if it may go back afterwards.

        A thread that moves itself waits for no other processor, as whoever moves a process does
        (cgroup_procs_write_start in the kernel): 0.1 ms there and back instead of 7 to 20.
        """
        if not self._back:
            return act()
        # Whoever starts the cell is not held back with it, and is none of its processes.
        os.pwrite(self._quota, _UNBOUNDED, 0)
        os.pwrite(self._most, _most_tasks(self.limits, besides=1), 0)
        for tasks in self._threads:
            os.pwrite(tasks, _MYSELF, 0)
        try:
            return act()
        finally:
            for tasks in self._back:
                os.pwrite(tasks, _MYSELF, 0)
            os.pwrite(self._most, _most_tasks(self.limits), 0)
            os.pwrite(self._quota, _quota_us(self.limits), 0)

    def stay(self, pid: int) -> None:
        os.pwrite(self._procs[0], b"%d" % pid, 0)

    def holds(self, pid: int) -> bool:
        memory = self._folders["memory"]
        place = f"/{memory.parent.name}/{memory.name}\n"
        return procfs.read(f"/proc/{pid}/cgroup").count(place) == len(self._procs)

    def count(self) -> Counted:
        now, earlier = self._raw(), self._earlier
        self._latest = now
        return Counted(
            cpu_s=now.cpu_s - earlier.cpu_s,
            peak_memory_bytes=now.peak_memory_bytes,
            oom_kills=now.oom_kills - earlier.oom_kills,
            fork_refusals=now.fork_refusals - earlier.fork_refusals,
        )

    def let_die(self) -> None:
        os.pwrite(self._quota, _UNBOUNDED, 0)

    def kill(self) -> None:
        """Kill until the group is empty: v1 has no cgroup.kill, and a fork may be under way.

        The list is opened anew each time: v1 shows an open file its old list for a second. We
        are in it ourselves while a thread of ours is there (bear).
        """
        ourselves = str(os.getpid())
        for _ in range(100):
            listed = [] if self.is_empty() else procfs.read(self._list).split()
            pids = [pid for pid in listed if pid != ourselves]
            if not pids:
                return
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            pause(1)

    def remove(self) -> None:
        self._put_back(self)

    def destroy(self) -> None:
        """Remove the groups for good."""
        for fd in self._fds:
            os.close(fd)
        remove_when_empty(tuple(self._folders.values()))

    def _raw(self) -> Counted:
        return Counted(
            cpu_s=_figure(self._cpu) / 1e9,
            peak_memory_bytes=_figure(self._peak),
            oom_kills=_named_figure(self._oom, b"oom_kill "),
            fork_refusals=_named_figure(self._fork_events, b"max "),
        )


def _most_tasks(limits: Limits, *, besides: int = 0) -> bytes:
    return b"%d" % (limits.processes + WALL_PROCESSES + besides)


def _quota_us(limits: Limits) -> bytes:
    return b"%d" % int(limits.cpus * CPU_PERIOD_US)


def _all_opened(wanted: list[tuple[Path, int]]) -> list[int]:
    """Open all of them, or none."""
    fds: list[int] = []
    try:
        fds.extend(os.open(path, flags | os.O_CLOEXEC) for path, flags in wanted)
    except OSError:
        for fd in fds:
            os.close(fd)
        raise
    return fds


def _figure(fd: int) -> int:
    return int(os.pread(fd, 64, 0))


def _named_figure(fd: int, name: bytes) -> int:
    for line in os.pread(fd, 4096, 0).splitlines():
        if line.startswith(name):
            return int(line[len(name) :])
    return 0
