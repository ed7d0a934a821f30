"""The watchdog for what no cgroup covers: the memory, CPU time and number of a tree's processes."""

import contextlib

import psutil

WALL_TASKS = 3
"""Of a tree's processes, bubblewrap's own or the keeper."""


class Tree:
    """A process and its descendants, seen from outside through /proc."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid) if psutil.pid_exists(pid) else None
        self._spent: dict[int, float] = {}

    def measure(self, memory_limit_bytes: int) -> tuple[float, int, int]:
        """Return CPU seconds so far, memory in bytes now, and how many tasks there are.

        Tasks are processes and threads, as the pids controller counts them.

        Memory is resident size while that is below the limit, and proportional size (PSS,
        which counts shared pages once) only when it matters: it costs ten times as much.
        """
        members = self._members()
        resident = sum(_resident(member) for member in members)
        memory = resident
        if resident > memory_limit_bytes:
            memory = sum(_proportional(member) for member in members)
        for member in members:
            with contextlib.suppress(psutil.Error):
                times = member.cpu_times()
                self._spent[member.pid] = times.user + times.system
        return sum(self._spent.values()), memory, sum(_tasks(member) for member in members)

    def _members(self) -> list[psutil.Process]:
        if self._root is None:
            return []
        with contextlib.suppress(psutil.Error):
            return [self._root, *self._root.children(recursive=True)]
        return []


def _tasks(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.num_threads())
    return 0


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _proportional(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error, OSError):
        return int(process.memory_full_info().pss)
    return _resident(process)
