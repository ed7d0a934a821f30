"""Looks at a fork of a warm cell from outside, before it is given its run.

A fork says hello when it has shut its walls, but package code has run where it comes from: what
holds it is what the kernel says here (proc(5)), and what its warden has set. Once it has no
capability, and no way to a new user namespace, it can change none of it any more.
"""

import ctypes
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cache

from frozen.values import frozen
from sandbox.kernel import procfs

_CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NONE = "0000000000000000"
_OF_PROCESSES = {("/proc", "proc"), ("/proc", "tmpfs")}
"""What a fork mounts there: its own, or an empty one where the kernel refuses it that."""
_MOST_MOUNTINFO = 65_536
"""Bytes: an honest fork has some twenty mounts."""
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


@frozen
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


@frozen
class Expected:
    """What a fork has to be like."""

    parent_pid: int
    """The warden's."""
    inodes: tuple[int, int, int]
    """Of its channel, stdout and stderr: what it has open, and nothing else."""
    held_pid: int = 0
    """The process that it was forked from."""
    around: "Around | None" = None
    """What the process sees that it was forked from, where that is a cell's own root."""
    input_dir: str = ""
    """Where it sees its inputs, and has to be."""
    work_bytes: int = 0
    """How large the file system of its folders has to be, where it has one of its own."""
    mounted: Mapping[str, int] = field(default_factory=dict[str, int])
    """How large what it may write to is, by place."""
    is_counted: bool = True
    """Whether a cgroup counts what is in there, however large it is."""


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
            or ("" if expected.around is None else _fault_of_sight(pid, expected.around, expected))
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
    if not _has_its_own_session(status):
        return "it is in a session of others"
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
        and _has_its_own_session(status)
        and f"\nPPid:\t{expected.parent_pid}\n" in status
        and "\nThreads:\t1\n" in status
    )


def _has_its_own_session(status: str) -> bool:
    """Say whether a signal to its process group, or session, reaches nobody but its own (kill(2)).

    Groups know no pid namespaces: a fork that had made no session signalled its neighbours, by
    which it told them its input, and ended its warden.
    """
    own = procfs.field(status, "NSpid")
    return own == procfs.field(status, "NSpgid") == procfs.field(status, "NSsid")


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


@frozen
class Around:
    """What a held process sees: what a fork mounts beside that is told from it."""

    processes_device: int
    """Of its /proc."""
    mounts: frozenset[str]
    rests: frozenset[str]
    """Of its mountinfo, each line behind the two numbers that differ in each mount namespace: most
    lines of a fork are told from others by this, in a third of the time."""


def around(pid: int) -> Around | None:
    """Return what a process sees, None where its /proc is ours. Raises OSError."""
    seen, ours = (os.stat(place).st_dev for place in (f"/proc/{pid}/root/proc", "/proc"))  # noqa: PTH116
    if seen == ours:
        return None
    lines = _mountinfo(pid).splitlines()
    return Around(
        processes_device=seen,
        mounts=frozenset(map(_key, lines)),
        rests=frozenset(map(_rest, lines)),
    )


def _fault_of_sight(pid: int, around: Around, expected: Expected) -> str:
    """See that it is where its inputs are, and has mounted what it was told to, and no more.

    In a /proc of its warm cell it would read how many processes the runs before it have started;
    with devices of its own it used up the host's terminals, and with 65,000 mounts it held up
    whoever read them all for 4 s.
    """
    here, inputs = (os.stat(f"/proc/{pid}/{at}") for at in ("cwd", f"root{expected.input_dir}"))  # noqa: PTH116
    if (here.st_dev, here.st_ino) != (inputs.st_dev, inputs.st_ino):
        return "it is not where its inputs are"
    if os.stat(f"/proc/{pid}/root/proc").st_dev == around.processes_device:  # noqa: PTH116 – one call
        return "its /proc is that of its warm cell"
    mountinfo = _mountinfo(pid)
    if len(mountinfo) >= _MOST_MOUNTINFO:
        return "it has mounted more than anybody would read"
    own = [
        line
        for line in mountinfo.splitlines()
        if _rest(line) not in around.rests and _key(line) not in around.mounts
    ]
    return _fault_of_mounts(own, expected)


def _fault_of_mounts(own: Sequence[str], expected: Expected) -> str:
    """Judge what it has mounted (mountinfo, proc(5)); sizes too, where no cgroup counts; pure."""
    found: dict[str, int] = {}
    for line in own:
        _, _, place, options, kind = _key(line).split(" ")
        if place in expected.mounted and kind == "tmpfs":
            if not options.startswith("rw"):
                continue
            if place in found:
                return f"it has two mounts at {place}"
            found[place] = _size_bytes(line.rpartition(" ")[2])
        elif not ((place, kind) in _OF_PROCESSES or (place == "/proc/meminfo" and kind != "proc")):
            return f"it has a {kind} at {place}"
    if found != expected.mounted and not expected.is_counted:
        return f"it can fill {found}, not {dict(expected.mounted)}"
    return ""


def _key(line: str) -> str:
    """Return what a mount is of, as its device, root, place, options and kind.

    One that its warm cell had read-only, and a fork writable, would be another.
    """
    fields, _, more = line.partition(" - ")
    return " ".join((*fields.split(" ")[2:6], more.partition(" ")[0]))


def _rest(line: str) -> str:
    return line.split(" ", 2)[2]


def _fault_of_stdin(pid: int, held_pid: int) -> str:
    """See that its stdin is no open file of the process that all forks come from (kcmp(2)).

    What fcntl(2) sets there, one would find of another: owners, signals, locks.
    """
    same = _syscall()(_KCMP, pid, held_pid, _KCMP_FILE, 0, 0)
    return "its stdin is another's" if same == 0 else ""


@cache
def _syscall() -> "Callable[..., int]":
    """Return syscall(2) of the C library; to find it takes ten times as long as to call it."""
    syscall = ctypes.CDLL(None).syscall
    syscall.argtypes = [ctypes.c_long] * 6
    syscall.restype = ctypes.c_long
    return syscall


def _mountinfo(pid: int) -> str:
    """Return it, or as much as anybody would have: the kernel gives out about a page at a time."""
    fd = os.open(f"/proc/{pid}/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
    try:
        read = b""
        while len(read) < _MOST_MOUNTINFO and (more := os.read(fd, _MOST_MOUNTINFO)):
            read += more
        return read.decode("utf-8", "replace")
    finally:
        os.close(fd)


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
