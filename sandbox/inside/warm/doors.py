"""A door for each fork: a pair of sockets that is made in the held process, just before its clone.

One door for all would be a way from fork to fork: whoever keeps it can look at what is sent there
to the next (MSG_PEEK, recv(2)), which is descriptors. This one is closed in the held process right
after the clone, so that the fork has both of its ends, and we have one of them, for one message.
"""

from __future__ import annotations

from ..kernel import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .tracee import Tracee

_AF_UNIX, _SOCK_STREAM = 1, 1
_NUMBERS_BYTES = 8
_APART = 64
"""How far from the path that net_namespaces.py keeps in the held process's memory."""


class Doors:
    """Makes doors in one held process, which has two low descriptors free for them."""

    def __init__(self, tracee: Tracee) -> None:
        self._tracee = tracee
        self._place = tracee.place(bytes(_NUMBERS_BYTES), above=_APART)
        self._pidfd = syscalls.do("pidfd_open", tracee.pid, 0)

    def open(self) -> int:
        """Make one, and return our end (pidfd_getfd(2)). Raises OSError, tracee.Gone."""
        self._tracee.make("socketpair", _AF_UNIX, _SOCK_STREAM, 0, self._place)
        _, far = self._tracee.numbers(self._place, 2)
        return syscalls.do_at_once("pidfd_getfd", self._pidfd, far, 0)
