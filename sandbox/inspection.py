"""Looks at a fork of a warm cell from outside, before it is given its run.

A fork says hello when it has shut its walls, but package code has run where it comes from: what
holds it is what the kernel says here (proc(5)), and what its warden has set. Once it has no
capability, and no way to a new user namespace, it can change none of it any more.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox import proc

_CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NONE = "0000000000000000"
_FILTERED = "2"
"""SECCOMP_MODE_FILTER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a fork has to be like."""

    parent_pid: int
    """The warden's."""
    inodes: tuple[int, int, int]
    """Of its channel, stdout and stderr: what it has open, and nothing else."""
    mounted: Mapping[str, int] | None = None
    """How large what it may write to is, by place, where no cgroup counts what is in it."""


def fault(pid: int, status: str, expected: Expected) -> str:
    """Return what is wrong with the fork, or nothing; `status` is its /proc/PID/status.

    It has to be in its cgroup already: whatever it starts from then on is in there too.
    """
    try:
        return (
            _fault_of_status(status, expected)
            or ("" if proc.shows_children() else "this kernel has no CONFIG_PROC_CHILDREN")
            or ("it has started other processes" if proc.children(pid) else "")
            or _fault_of_descriptors(pid, expected.inodes)
            or ("" if expected.mounted is None else _fault_of_mounts(pid, expected.mounted))
        )
    except OSError as refusal:
        return f"it cannot be looked into: {refusal}"


def _fault_of_status(status: str, expected: Expected) -> str:
    """Judge what the kernel says of the process as a whole; pure."""
    if proc.field(status, "PPid") != str(expected.parent_pid):
        return "it is not a fork of its warm cell"
    if proc.field(status, "Threads") != "1":
        return "it has more than one thread"
    kept = [name for name in _CAPABILITY_SETS if proc.field(status, name) != _NONE]
    if kept:
        return f"it has kept capabilities ({', '.join(kept)})"
    if proc.field(status, "NoNewPrivs") != "1":
        return "it may gain privileges"
    if proc.field(status, "Seccomp") not in {_FILTERED, ""}:
        return "it has no filter"
    return ""


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
    found = os.listdir(folder)  # noqa: PTH208 – half the time of a Path's
    if set(found) != set(wanted):
        return f"it has {len(found)} descriptors open, not {len(wanted)}"
    for number, target in wanted.items():
        there = os.readlink(f"{folder}/{number}")  # noqa: PTH115 – as above
        if there != target:
            return f"its descriptor {number} is {there}"
    return ""


def _fault_of_mounts(pid: int, wanted: Mapping[str, int]) -> str:
    """Find what else it could fill, or what is larger than it should be (mountinfo, proc(5))."""
    found: dict[str, int] = {}
    for line in proc.read(f"/proc/{pid}/mountinfo").splitlines():
        fields, _, more = line.partition(" - ")
        place, options = fields.split()[4:6]
        kind, _, settings = more.split()[:3]
        is_writable = options.startswith("rw") and settings.startswith("rw")
        if kind != "tmpfs" or not is_writable:
            continue
        if place in found:
            return f"it has two mounts at {place}"
        found[place] = _size_bytes(settings)
    return "" if found == wanted else f"it can fill {found}, not {dict(wanted)}"


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
