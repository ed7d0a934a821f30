"""Whether forks of a held process would be fresh ones: judged from outside, by the kernel.

Whatever a package's import could have touched vouches for nothing, so nothing here is asked of
the process itself (proc(5)). What it does not have, no two of its forks can share.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

_STREAMS = (0, 1, 2)
_O_PATH = 0o10000000
_MOST_NAMES = 5


class Unfit:
    """Why a process must not be forked: for people, and in a word for who decides by it."""

    def __init__(self, word: str, text: str) -> None:
        self.word, self.text = word, text


def unfitness(
    pid: int, *, door: int, strangers: int, places: Container[tuple[int, int]]
) -> Unfit | None:
    """Return why a fork of the process would not be a fresh process, or None.

    `door` is the inode of the one socket that it may have; `strangers` how many processes the
    import left, each of which would see all runs come and go. `places` are the folders and files
    that it may have opened for its forks, by O_PATH, as (device, inode).
    """
    return (
        _threads(pid)
        or _processes(strangers)
        or _shared_memory(pid)
        or _moved(pid)
        or _descriptors(pid, door, places)
    )


def _threads(pid: int) -> Unfit | None:
    """Return how many threads there are besides the first, and what they are called.

    A name is often the library's that started it (polars-0, jemalloc_bg_thd); it may be anything.
    """
    others = [name for name in os.listdir("/proc/%d/task" % (pid,)) if int(name) != pid]
    if not others:
        return None
    names = sorted({_name_of(pid, number) for number in others} - {_name_of(pid, str(pid)), ""})
    called = " (%s)" % (", ".join(names[:_MOST_NAMES]),) if names else ""
    return Unfit("threads", "preload left %d threads running%s" % (len(others), called))


def _processes(strangers: int) -> Unfit | None:
    if not strangers:
        return None
    return Unfit("processes", "preload left %d child processes running" % (strangers,))


def _name_of(pid: int, number: str) -> str:
    try:
        with open(
            "/proc/%d/task/%s/comm" % (pid, number), encoding="utf-8", errors="replace"
        ) as comm:
            return "".join(char for char in comm.read() if char.isprintable())
    except OSError:  # it has just ended
        return ""


def _shared_memory(pid: int) -> Unfit | None:
    """Return a mapping that forks would share with each other, if there is one.

    One that nobody may write to now, but may make writable (mprotect(2)), counts as well: the
    kernel tells by a flag (`mw`). A file that was opened to be read has it not.
    """
    name = ""
    with open("/proc/%d/smaps" % (pid,)) as maps:
        for line in maps:
            word, *rest = line.split()
            if not word.endswith(":"):
                name = " ".join(rest[4:]) or "anonymous memory"
            elif word == "VmFlags:" and {"sh", "mw"}.issubset(rest):
                return Unfit("memory", "preload left memory that forks would share: " + name)
    return None


def _descriptors(pid: int, door: int, places: Container[tuple[int, int]]) -> Unfit | None:
    folder = "/proc/%d/fd" % (pid,)
    numbers = {int(name) for name in os.listdir(folder)}
    if not numbers.issuperset(_STREAMS):
        return Unfit("streams", "preload closed a standard stream")
    for number in _STREAMS:
        if _target(folder, number) != os.readlink("/proc/self/fd/%d" % (number,)):
            return Unfit("streams", "preload replaced a standard stream")
    extra = sorted(numbers - set(_STREAMS))
    surplus = [
        _target(folder, number)
        for number in extra
        if _target(folder, number) != "socket:[%d]" % (door,)
        and not _is_a_place(pid, number, places)
    ]
    if not surplus:
        return None
    has_sockets = any(target.startswith("socket:") for target in surplus)  # proc_pid_fd(5)
    return Unfit("sockets" if has_sockets else "open", "preload left open: " + ", ".join(surplus))


def _moved(pid: int) -> Unfit | None:
    """Return whether it is elsewhere than it was started: its forks would begin there."""
    if all(os.readlink("/proc/%d/%s" % (pid, name)) == "/" for name in ("cwd", "root")):
        return None
    return Unfit("folder", "preload changed its folder or its root")


def _is_a_place(pid: int, number: int, places: Container[tuple[int, int]]) -> bool:
    """Say whether it only stands for a place that it may know (O_PATH, open(2)).

    What else such a descriptor can stand for, a memfd or a FIFO, can be opened anew by it.
    """
    with open("/proc/%d/fdinfo/%d" % (pid, number)) as info:
        flags = next(line.split()[1] for line in info if line.startswith("flags:"))
    status = os.stat("/proc/%d/fd/%d" % (pid, number))
    return bool(int(flags, 8) & _O_PATH) and (status.st_dev, status.st_ino) in places


def _target(folder: str, number: int) -> str:
    return os.readlink("%s/%d" % (folder, number))
