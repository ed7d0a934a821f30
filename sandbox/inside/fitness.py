"""Whether forks of a held process would be fresh ones: judged from outside, by the kernel.

Whatever a package's import could have touched vouches for nothing, so nothing here is asked of
the process itself (proc(5)). What it does not have, no two of its forks can share.
"""

from __future__ import annotations

import os

_STREAMS = (0, 1, 2)
_O_PATH = 0o10000000


def unfitness(pid: int, *, door: int, strangers: int, is_held: bool) -> str:
    """Return why a fork of the process would not be a fresh process, or nothing.

    `door` is the inode of the one socket that it may have; `strangers` how many processes the
    import left, each of which would see all runs come and go. One that is held has opened places
    for its forks (O_PATH), by which nothing goes.
    """
    return (
        _threads(pid)
        or ("preload left %d child processes running" % (strangers,) if strangers else "")
        or _shared_memory(pid)
        or _descriptors(pid, door, may_have_places=is_held)
    )


def processes(folder_fd: int) -> set[int]:
    """Return the processes that an open /proc shows."""
    return {int(name) for name in os.listdir(folder_fd) if name.isdigit()}


def children(pid: int) -> set[int]:
    """Return the processes whose parent it is."""
    with open("/proc/%d/task/%d/children" % (pid, pid)) as listing:
        return {int(child) for child in listing.read().split()}


def _threads(pid: int) -> str:
    count = len(os.listdir("/proc/%d/task" % (pid,)))
    return "preload left %d threads running" % (count - 1,) if count > 1 else ""


def _shared_memory(pid: int) -> str:
    """Return a mapping that forks would share with each other, if there is one."""
    with open("/proc/%d/maps" % (pid,)) as maps:
        shared = [line.split() for line in maps if line.split()[1][1:4:2] == "ws"]
    if not shared:
        return ""
    path = " ".join(shared[0][5:]) or "anonymous memory"
    return "preload left memory that forks would share: " + path


def _descriptors(pid: int, door: int, *, may_have_places: bool) -> str:
    folder = "/proc/%d/fd" % (pid,)
    numbers = {int(name) for name in os.listdir(folder)}
    if not numbers.issuperset(_STREAMS):
        return "preload closed a standard stream"
    for number in _STREAMS:
        if _target(folder, number) != os.readlink("/proc/self/fd/%d" % (number,)):
            return "preload replaced a standard stream"
    extra = sorted(numbers - set(_STREAMS))
    surplus = [
        _target(folder, number)
        for number in extra
        if _target(folder, number) != "socket:[%d]" % (door,)
        and not (may_have_places and _is_a_place(pid, number))
    ]
    return "preload left open: " + ", ".join(surplus) if surplus else ""


def _is_a_place(pid: int, number: int) -> bool:
    """Say whether it only stands for a place (O_PATH, open(2)): nothing goes through it."""
    with open("/proc/%d/fdinfo/%d" % (pid, number)) as info:
        flags = next(line.split()[1] for line in info if line.startswith("flags:"))
    return bool(int(flags, 8) & _O_PATH)


def _target(folder: str, number: int) -> str:
    return os.readlink("%s/%d" % (folder, number))
