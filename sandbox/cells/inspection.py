"""Looks at a fork of a warm cell from outside, before it is given its run.

A fork says hello when it has shut its walls, but package code has run where it comes from: what
holds it is what the kernel says here (proc(5)), and what its warden has set. Once it has no
capability, and no way to a new user namespace, it can change none of it any more.
"""

import ctypes
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from sandbox.kernel import procfs

_CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NONE = "0000000000000000"
_HOLDING_NOTHING = {"proc", "devpts", "mqueue", "sysfs"}
"""File systems in which nobody can keep anything."""
_KCMP, _KCMP_FILE = {"aarch64": 272}.get(platform.machine(), 312), 0
_FILTERED = "2"
"""SECCOMP_MODE_FILTER."""
_UNPRIVILEGED = "".join(
    f"\n{name}:\t{value}"
    for name, value in (
        *((name, _NONE) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")),
        ("NoNewPrivs", "1"),
        ("Seccomp", _FILTERED + "\n"),
    )
)
"""How these lines of a status follow each other, where all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a cell's process was like when it said hello, by the kernel's account alone."""

    pid: int
    """By the credentials on the message (unix(7))."""
    pidfd: int
    status: str
    """/proc/PID/status (proc(5))."""
    namespaces: tuple[str, ...]
    """Those that it does not share with us."""
    has_routes: bool
    """Whether there is more in its net namespace than nothing; a fork's is its warden's to know."""
    output_fd: int
    scratch_fd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a fork has to be like."""

    parent_pid: int
    """The warden's."""
    inodes: tuple[int, int, int]
    """Of its channel, stdout and stderr: what it has open, and nothing else."""
    held_pid: int = 0
    """The process that it was forked from."""
    processes_device: int = 0
    """Of the /proc that its warm cell sees, where that is a cell's own; it has to see another."""
    work_bytes: int = 0
    """How large the file system of its folders has to be, where it has one of its own."""
    mounted: Mapping[str, int] | None = None
    """How large what it may write to is, by place, where no cgroup counts what is in it."""


def fault(pid: int, status: str, expected: Expected) -> str:
    """Return what is wrong with the fork, or nothing; `status` is its /proc/PID/status.

    It has to be in its cgroup already: whatever it starts from then on is in there too.
    """
    try:
        return (
            _fault_of_status(status, expected)
            or ("" if procfs.shows_children() else "this kernel has no CONFIG_PROC_CHILDREN")
            or ("it has started other processes" if procfs.children(pid) else "")
            or _fault_of_descriptors(pid, expected.inodes)
            or _fault_of_stdin(pid, expected.held_pid)
            or _fault_of_processes(pid, expected.processes_device)
            or ("" if expected.mounted is None else _fault_of_mounts(pid, expected.mounted))
        )
    except OSError as refusal:
        return f"it cannot be looked into: {refusal}"


def _fault_of_status(status: str, expected: Expected) -> str:
    """Judge what the kernel says of the process as a whole; pure."""
    if _is_as_ordered(status, expected):
        return ""
    if procfs.field(status, "PPid") != str(expected.parent_pid):
        return "it is not a fork of its warm cell"
    if procfs.field(status, "Threads") != "1":
        return "it has more than one thread"
    kept = [name for name in _CAPABILITY_SETS if procfs.field(status, name) != _NONE]
    if kept:
        return f"it has kept capabilities ({', '.join(kept)})"
    if procfs.field(status, "NoNewPrivs") != "1":
        return "it may gain privileges"
    if procfs.field(status, "Seccomp") not in {_FILTERED, ""}:
        return "it has no filter"
    return ""


def _is_as_ordered(status: str, expected: Expected) -> bool:
    """Say so of most at one glance, in a fifth of the time that each field by itself takes."""
    return (
        _UNPRIVILEGED in status
        and f"\nPPid:\t{expected.parent_pid}\n" in status
        and "\nThreads:\t1\n" in status
    )


def _fault_of_descriptors(pid: int, inodes: tuple[int, int, int]) -> str:
    """Find what else is open: by that, two forks could have something in common."""
    channel, stdout, stderr = inodes
    wanted = {
        "0": "/dev/null",
        "1": f"pipe:[{stdout}]",
        "2": f"pipe:[{stderr}]",
        "3": f"socket:[{channel}]",
    }
    folder = f"/proc/{pid}/fd"
    # Since Linux 6.2 the kernel tells how many there are, in an eighth of the time of a listing.
    count = os.stat(folder).st_size or len(os.listdir(folder))  # noqa: PTH116, PTH208
    if count != len(wanted):
        return f"it has {count} descriptors open, not {len(wanted)}"
    for number, target in wanted.items():
        there = os.readlink(f"{folder}/{number}")  # noqa: PTH115 – as above
        if there != target:
            return f"its descriptor {number} is {there}"
    return ""


def _fault_of_mounts(pid: int, wanted: Mapping[str, int]) -> str:
    """Find what else it could fill, or what is larger than it should be (mountinfo, proc(5))."""
    found: dict[str, int] = {}
    host_dev = os.stat("/dev").st_dev  # noqa: PTH116 – a cell's devices are the host's
    devices = f"{os.major(host_dev)}:{os.minor(host_dev)}"
    for line in _mountinfo(pid).splitlines():
        fields, _, more = line.partition(" - ")
        device, place, options = (fields.split()[at] for at in (2, 4, 5))
        kind, _, settings = more.split()[:3]
        is_writable = options.startswith("rw") and settings.startswith("rw")
        if not is_writable or kind in _HOLDING_NOTHING or device == devices:
            continue
        if kind != "tmpfs":
            return f"it has a {kind} at {place}"
        if place in found:
            return f"it has two mounts at {place}"
        found[place] = _size_bytes(settings)
    return "" if found == wanted else f"it can fill {found}, not {dict(wanted)}"


def _fault_of_stdin(pid: int, held_pid: int) -> str:
    """See that its stdin is no open file of the process that all forks come from (kcmp(2)).

    What fcntl(2) sets there, one would find of another: owners, signals, locks.
    """
    same = _syscall()(_KCMP, pid, held_pid, _KCMP_FILE, 0, 0)
    return "its stdin is another's" if same == 0 else ""


def processes_device(pid: int) -> int:
    """Return the device of the /proc that a process sees, 0 where it is ours. Raises OSError."""
    seen, ours = (os.stat(place).st_dev for place in (f"/proc/{pid}/root/proc", "/proc"))  # noqa: PTH116
    return 0 if seen == ours else seen


def _fault_of_processes(pid: int, outer: int) -> str:
    """See that it has no /proc but its own, which counts only its own processes (20 µs).

    In that of its warm cell it would read how many the runs before it have started.
    """
    if not outer:
        return ""
    if os.stat(f"/proc/{pid}/root/proc").st_dev == outer:  # noqa: PTH116 – one call
        return "its /proc is that of its warm cell"
    for line in _mountinfo(pid).splitlines():
        if " - proc " in line and line.split(" ", 5)[4] != "/proc":
            return "it has a second /proc"
    return ""


@cache
def _syscall() -> "Callable[..., int]":
    """Return syscall(2) of the C library; to find it takes ten times as long as to call it."""
    syscall = ctypes.CDLL(None).syscall
    syscall.argtypes = [ctypes.c_long] * 6
    syscall.restype = ctypes.c_long
    return syscall


def _mountinfo(pid: int) -> str:
    """Return all of it: the kernel gives out about a page at a time."""
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123
        return mounts.read()


def _size_bytes(settings: str) -> int:
    """Return the size of a tmpfs by its options, which tell KiB (tmpfs(5)); 0 for no limit."""
    sizes = [word for word in settings.split(",") if word.startswith("size=")]
    return int(sizes[0][5:-1]) * 1024 if sizes and sizes[0].endswith("k") else 0


def open_below(pid: int, place: str) -> int:
    """Return a descriptor of a folder in its root. Raises OSError where that is none."""
    return os.open(f"/proc/{pid}/root{place}", _FOLDER)


def open_inputs(pid: int) -> int:
    """Return a descriptor of the folder where a fork sees its inputs, which only we may change."""
    return os.open(f"/proc/{pid}/cwd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def size_bytes(fd: int) -> int:
    """Return how large the file system is that a folder is in; a tmpfs without a limit has 0."""
    figures = os.fstatvfs(fd)
    return figures.f_blocks * figures.f_frsize
