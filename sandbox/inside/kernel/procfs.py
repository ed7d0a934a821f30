"""Which processes there are, by the kernel's own account (proc(5))."""

from __future__ import annotations

import os


def processes(folder_fd: int) -> set[int]:
    """Return the processes that an open /proc shows."""
    return {int(name) for name in os.listdir(folder_fd) if name.isdigit()}


def children(pid: int) -> set[int]:
    """Return the processes whose parent it is."""
    with open("/proc/%d/task/%d/children" % (pid, pid)) as listing:
        return {int(child) for child in listing.read().split()}
