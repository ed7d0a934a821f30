"""A warm cell without namespaces: a keeper ends whatever its import may leave running."""

from __future__ import annotations

import select

from . import kept, syscalls, warm


def main(fd: int) -> None:
    """Wait for the first message, fork the warm cell, and end what is left when it ends.

    The worker sends that message when it has moved us to our cgroup: a fork is born there.
    """
    first = select.poll()
    first.register(fd, select.POLLIN)
    first.poll()
    syscalls.be_subreaper()
    kept.keep(lambda: warm.main(fd), fd)
