"""cgroups: a leaf of its own for every run, v2 where delegated, v1 where that is mounted.

Kernel documentation: admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/. A leaf is made
before its run and removed after it; the run's first process is moved in before it is given
anything to do, so every descendant is counted.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from sandbox import proc
from sandbox.limits import MIB, Limits

_ROOT = Path("/sys/fs/cgroup")
_CPU_PERIOD_US = 100_000
_MOST_USED = 16
"""Empty v1 leaves that are kept; each has ten descriptors open."""
_WALL_PROCESSES = 2
"""bubblewrap's monitor and first process are in a cold cell's leaf too."""
_V1_CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a leaf counted so far. `oom_kills` and `fork_refusals` tell which limit bit."""

    cpu_s: float = 0.0
    memory_bytes: int = 0
    peak_memory_bytes: int = 0
    oom_kills: int = 0
    fork_refusals: int = 0


class Leaf(Protocol):
    """One run's cgroup."""

    def enter(self, pid: int) -> None:
        """Move the process in. Raises OSError."""
        ...

    def holds(self, pid: int) -> bool:
        """Whether the process is in it."""
        ...

    def count(self) -> Counted:
        """Return the counters."""
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


def delegated(name: str) -> Hierarchy | None:
    """Return the hierarchy that this process may use below the folder `name`, if there is one.

    Found out by making the folder and turning the controllers on, not by reading versions.
    """
    for kind in (_V2, _V1):
        try:
            return kind(name)
        except OSError:
            continue
    return None


def named(name: str) -> Iterator[tuple[Path, int]]:
    """Yield the folders `name`-PID-… beside our own groups, with the pid of who made them."""
    for controller, path in _lines_of_own_groups():
        own = _ROOT / controller / path.lstrip("/")
        with contextlib.suppress(OSError):
            for folder in own.glob(f"{name}-*"):
                yield folder, int(folder.name.split("-")[1])


class _V2:
    """The unified hierarchy: below our own group where it is ours alone, else below the root.

    A group with processes may not hand controllers down (cgroup-v2.rst, "No Internal Process
    Constraint"), so we move aside; where others share our group, as in a login session, only
    root can help itself, at the root group, which is exempt.
    """

    version = "v2"

    def __init__(self, name: str) -> None:
        if not (_ROOT / "cgroup.controllers").exists():
            raise FileNotFoundError("no unified hierarchy")
        self._own = _ROOT / _own_groups()[""].lstrip("/")
        self._worker = self._own / f"{name}-worker"
        try:
            self._folder = self._delegated(name)
        except OSError:
            self._step_back()
            self._folder = _handed_down(_ROOT, name)

    def _delegated(self, name: str) -> Path:
        if self._own == _ROOT:
            raise FileNotFoundError("our group is the root")
        self._worker.mkdir(exist_ok=True)
        _write(self._worker / "cgroup.procs", str(os.getpid()))
        return _handed_down(self._own, name)

    def _step_back(self) -> None:
        """Return to our own group, and leave no trace of having tried."""
        with contextlib.suppress(OSError):
            _write(self._own / "cgroup.procs", str(os.getpid()))
        with contextlib.suppress(OSError):
            self._worker.rmdir()

    def leaf(self, name: str, limits: Limits) -> Leaf:
        folder = self._folder / name
        folder.mkdir()
        _write(folder / "memory.max", str(limits.memory_mb * MIB))
        _write_if_there(folder / "memory.swap.max", "0")
        _write_if_there(folder / "memory.oom.group", "1")
        _write(folder / "pids.max", str(limits.processes + _WALL_PROCESSES))
        _write(folder / "cpu.max", f"{int(limits.cpus * _CPU_PERIOD_US)} {_CPU_PERIOD_US}")
        return _V2Leaf(folder)

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self._folder.rmdir()
        self._step_back()


class _V2Leaf:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def enter(self, pid: int) -> None:
        _write(self._folder / "cgroup.procs", str(pid))

    def holds(self, pid: int) -> bool:
        return f"/{self._folder.parent.name}/{self._folder.name}\n" in proc.read(
            f"/proc/{pid}/cgroup"
        )

    def count(self) -> Counted:
        folder = self._folder
        return Counted(
            cpu_s=_keyed(folder / "cpu.stat").get("usage_usec", 0) / 1e6,
            memory_bytes=_number(folder / "memory.current"),
            peak_memory_bytes=_number(folder / "memory.peak"),
            oom_kills=_keyed(folder / "memory.events").get("oom_kill", 0),
            fork_refusals=_keyed(folder / "pids.events").get("max", 0),
        )

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            _write(self._folder / "cgroup.kill", "1")

    def remove(self) -> None:
        _remove_when_empty((self._folder,))


class _V1:
    version = "v1"

    def __init__(self, name: str) -> None:
        own = _own_groups()
        self._folders: dict[str, Path] = {}
        self._used: list[_V1Leaf] = []
        for controller in _V1_CONTROLLERS:
            mount = _ROOT / controller
            if controller not in own or not mount.is_dir():
                raise FileNotFoundError(f"no v1 controller {controller}")
            self._folders[controller] = mount / own[controller].lstrip("/") / name
        for folder in self._folders.values():
            folder.mkdir(exist_ok=True)

    def leaf(self, name: str, limits: Limits) -> Leaf:
        """Take an empty leaf with the same limits again, or make one.

        Making and removing four groups costs more than the fork that they are for.
        """
        for number, used in enumerate(self._used):
            if used.limits == limits and used.is_empty():
                del self._used[number]
                used.begin()
                return used
        return self._make(name, limits)

    def remove(self) -> None:
        for used in self._used:
            used.destroy()
        for folder in self._folders.values():
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _make(self, name: str, limits: Limits) -> "_V1Leaf":
        folders = {controller: folder / name for controller, folder in self._folders.items()}
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        memory, pids, cpu = folders["memory"], folders["pids"], folders["cpu"]
        _write(memory / "memory.limit_in_bytes", str(limits.memory_mb * MIB))
        _write_if_there(memory / "memory.memsw.limit_in_bytes", str(limits.memory_mb * MIB))
        _write_if_there(memory / "memory.swappiness", "0")
        _write(pids / "pids.max", str(limits.processes + _WALL_PROCESSES))
        _write(cpu / "cpu.cfs_period_us", str(_CPU_PERIOD_US))
        _write(cpu / "cpu.cfs_quota_us", str(int(limits.cpus * _CPU_PERIOD_US)))
        return _V1Leaf(folders, limits, self._put_back)

    def _put_back(self, leaf: "_V1Leaf") -> None:
        self._used.append(leaf)
        if len(self._used) > _MOST_USED:
            self._used.pop(0).destroy()


class _V1Leaf:
    """Four groups; their files stay open, since opening one costs more than reading it."""

    def __init__(
        self, folders: Mapping[str, Path], limits: Limits, put_back: "Callable[[_V1Leaf], None]"
    ) -> None:
        self.limits = limits
        self._folders = folders
        self._put_back = put_back
        memory, pids, cpuacct = folders["memory"], folders["pids"], folders["cpuacct"]
        self._list = str(pids / "cgroup.procs")
        read = (cpuacct / "cpuacct.usage", pids / "pids.current", pids / "pids.events")
        read += (memory / "memory.usage_in_bytes", memory / "memory.oom_control")
        procs = [(folder / "cgroup.procs", os.O_WRONLY) for folder in folders.values()]
        peak = (memory / "memory.max_usage_in_bytes", os.O_RDWR)
        self._fds = _all_opened([*procs, peak, *((path, os.O_RDONLY) for path in read)])
        self._procs, (self._peak, *rest) = self._fds[: len(procs)], self._fds[len(procs) :]
        self._cpu, self._tasks, self._fork_events, self._usage, self._oom = rest
        self._earlier = Counted()

    def begin(self) -> None:
        """Start counting anew: what cannot be set to zero is remembered and taken off."""
        os.pwrite(self._peak, b"0", 0)
        self._earlier = self._raw()

    def is_empty(self) -> bool:
        """Whether nobody is in it any more."""
        return _figure(self._tasks) == 0

    def enter(self, pid: int) -> None:
        text = b"%d" % pid
        for procs in self._procs:
            os.pwrite(procs, text, 0)

    def holds(self, pid: int) -> bool:
        memory = self._folders["memory"]
        place = f"/{memory.parent.name}/{memory.name}\n"
        return proc.read(f"/proc/{pid}/cgroup").count(place) == len(self._procs)

    def count(self) -> Counted:
        now, earlier = self._raw(), self._earlier
        return replace(
            now,
            cpu_s=now.cpu_s - earlier.cpu_s,
            oom_kills=now.oom_kills - earlier.oom_kills,
            fork_refusals=now.fork_refusals - earlier.fork_refusals,
        )

    def kill(self) -> None:
        """Kill until the group is empty: v1 has no cgroup.kill, and a fork may be under way.

        The list is opened anew each time: v1 shows an open file its old list for a second.
        """
        for _ in range(100):
            pids = [] if self.is_empty() else proc.read(self._list).split()
            if not pids:
                return
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.001)

    def remove(self) -> None:
        self._put_back(self)

    def destroy(self) -> None:
        """Remove the groups for good."""
        for fd in self._fds:
            os.close(fd)
        _remove_when_empty(tuple(self._folders.values()))

    def _raw(self) -> Counted:
        return Counted(
            cpu_s=_figure(self._cpu) / 1e9,
            memory_bytes=_figure(self._usage),
            peak_memory_bytes=_figure(self._peak),
            oom_kills=_named_figure(self._oom, b"oom_kill "),
            fork_refusals=_named_figure(self._fork_events, b"max "),
        )


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


def _handed_down(parent: Path, name: str) -> Path:
    """Make a group below `parent` that hands the controllers on to its leaves. Raises OSError."""
    _write(parent / "cgroup.subtree_control", "+memory +pids +cpu")
    folder = parent / name
    folder.mkdir(exist_ok=True)
    try:
        _write(folder / "cgroup.subtree_control", "+memory +pids +cpu")
    except OSError:
        folder.rmdir()
        raise
    return folder


def _remove_when_empty(folders: tuple[Path, ...]) -> None:
    """Remove the groups; a killed process may take a moment to leave them."""
    for folder in folders:
        for _ in range(50):
            try:
                folder.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.001)


def _own_groups() -> dict[str, str]:
    """Return our group by controller; the unified hierarchy's is under the empty name."""
    return dict(_lines_of_own_groups())


def _lines_of_own_groups() -> Iterator[tuple[str, str]]:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _write(path: Path | str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _write_if_there(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        _write(path, text)


def _number(path: Path | str) -> int:
    return int(proc.read(str(path)) or 0)


def _keyed(path: Path | str) -> dict[str, int]:
    lines = proc.read(str(path)).splitlines()
    return {key: int(value) for key, value in (line.split() for line in lines)}
