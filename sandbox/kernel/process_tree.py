"""The watchdog for what no cgroup covers: the memory, CPU time and number of a tree's processes.

Imported where there is no cgroup: psutil is 13 ms.
"""

import contextlib

import psutil


class Tree:
    """A process and its descendants, seen from outside through /proc."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid) if psutil.pid_exists(pid) else None
        self._spent: dict[int, float] = {}
        # Without namespaces it is a warden, which has waited for the runs before this one.
        self._own_before, self._before = _times(self._root)

    def measure(self, *, most_bytes: int, most_tasks: int) -> tuple[float, int, int]:
        """Return CPU seconds so far, memory in bytes now, and how many tasks there are.

        Tasks are processes and threads, as the pids controller counts them. Where there are too
        many, memory is said to be 0: one reason is enough, and to look at that of so many takes
        longer than they may live.
        """
        members = self._members()
        tasks = sum(_tasks(member) for member in members)
        memory = 0 if tasks > most_tasks else _memory(members, most_bytes)
        reaped = 0.0
        for member in members:
            with contextlib.suppress(psutil.Error):
                times = member.cpu_times()
                self._spent[member.pid] = times.user + times.system
                reaped += sum(times[:4])
        # Who lived between two looks is known from who has waited for it (getrusage(2)), and who
        # was not waited for, from when it was seen; to add the two would count most of it twice.
        spent = sum(self._spent.values()) - self._own_before
        return max(spent, reaped - self._before, 0.0), memory, tasks

    def _members(self) -> list[psutil.Process]:
        if self._root is None:
            return []
        with contextlib.suppress(psutil.Error):
            return [self._root, *self._root.children(recursive=True)]
        return []


def _times(root: psutil.Process | None) -> tuple[float, float]:
    """Return what it took of the processors itself, and with those that it has waited for."""
    if root is not None:
        with contextlib.suppress(psutil.Error):
            times = root.cpu_times()
            return times.user + times.system, sum(times[:4])
    return 0.0, 0.0


def _memory(members: list[psutil.Process], most_bytes: int) -> int:
    """Return resident size while that is below `most_bytes`, else proportional size.

    PSS counts shared pages once, and costs ten times as much.
    """
    resident = sum(_resident(member) for member in members)
    if resident <= most_bytes:
        return resident
    return sum(_proportional(member) for member in members)


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
