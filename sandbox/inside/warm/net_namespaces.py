"""Empty net namespaces, one for each run at a time.

Making and removing one costs more than the rest of a run (1.5 ms of kernel time). Every process
of a run is gone when its first one has been waited for, and nobody in a run may configure its
namespace: it belongs to a user namespace that only the held warm cell is in. What can outlive a
run is looked for: a socket on its way to somebody, an IPv6 flow label, and what the kernel has
counted (proc(5)), which would tell the next run how often this one has tried to send. A namespace
that is not as it was made is not used again.
"""

from __future__ import annotations

import os

from .. import walls
from ..kernel import syscalls
from . import tracee as tracees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .tracee import Tracee

_AT_FDCWD = -100
_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_FIRST_FD, _MOST = 96, 128
"""Where the held process has its descriptors of them: forks foresee all lower numbers."""


_APART = 128
"""How far from the path, and the door (doors.py), in the held process's memory."""
_SOCKETS = "sockstat"
"""Its first line is the namespace's own; others have numbers of the whole host."""
_TABLES = ("dev", "rt6_stats", "ip6_flowlabel", "snmp", "netstat", "snmp6")
"""What a run can change by its calls alone, the cheapest first (60 µs in all). Each kind of socket
was tried with every call, and all of /proc/net compared; `snmp` knows what found no route."""
_MOST_BYTES = 16_384


class Networks:
    """The namespaces of one warm cell, which enters one for the next fork to be born in."""

    def __init__(self, tracee: Tracee) -> None:
        self._tracee = tracee
        self._path = tracee.place(b"/proc/self/ns/net\0")
        self._without_ip = tracee.place(walls.LOOPBACK_WITHOUT_IP, above=_APART)
        self._free: list[Network] = []
        self._alive = {_inode(tracee.pid)}
        self._here: Network | None = None
        """Where the warm cell is, in which it does nothing."""
        self._numbers = list(range(_FIRST_FD + _MOST - 1, _FIRST_FD - 1, -1))

    def enter(self) -> Network:
        """Let the warm cell move to a namespace that nobody is in, and return it."""
        while self._free:
            network = self._free.pop()
            if network.is_as_new():
                if network is not self._here:
                    self._tracee.make("setns", network.fd, syscalls.CLONE_NEWNET)
                self._here = network
                if _inode(self._tracee.pid) != network.inode:
                    raise _elsewhere()
                return network
            self._let_go(network)
        self._tracee.make("unshare", syscalls.CLONE_NEWNET)
        self._leave_ip()
        opened = self._tracee.make("openat", _AT_FDCWD, self._path, _FLAGS)
        fd = self._numbers.pop() if self._numbers else -1
        if fd >= 0:
            self._tracee.make("dup3", opened, fd, os.O_CLOEXEC)
        self._tracee.make("close", opened)
        self._here = Network(self._tracee.pid, fd)
        if self._here.inode in self._alive:
            raise _elsewhere()
        self._alive.add(self._here.inode)
        return self._here

    def _leave_ip(self) -> None:
        """As walls.leave_network: else datagrams to 0.0.0.0 would go by this loopback, too."""
        fd = self._tracee.make("socket", walls.AF_INET, walls.SOCK_DATAGRAM, 0)
        self._tracee.make("ioctl", fd, walls.SET_MTU, self._without_ip)
        self._tracee.make("close", fd)

    def give_back(self, network: Network) -> None:
        """Let the next run have it, if the warm cell can return to it."""
        if network.fd >= 0:
            self._free.append(network)
        else:
            self._forget(network)

    def _let_go(self, network: Network) -> None:
        self._tracee.make("close", network.fd)
        self._numbers.append(network.fd)
        self._forget(network)

    def _forget(self, network: Network) -> None:
        self._alive.discard(network.inode)
        network.close()


class Network:
    """The net namespace that the process is in when this is made; `fd` is the process's own."""

    def __init__(self, pid: int, fd: int) -> None:
        self.fd = fd
        self.inode = _inode(pid)
        self._tables = [one for one in (_opened(pid, name) for name in _TABLES) if one >= 0]
        self._new = [os.pread(one, _MOST_BYTES, 0) for one in self._tables]
        self._sockets_fd = _opened(pid, _SOCKETS)

    def is_as_new(self) -> bool:
        """Say whether it has no socket, and its tables are as they were; they stay its own."""
        if not os.pread(self._sockets_fd, 32, 0).startswith(b"sockets: used 0\n"):
            return False
        for number, table in enumerate(self._tables):
            if os.pread(table, _MOST_BYTES, 0) != self._new[number]:
                return False
        return True

    def close(self) -> None:
        """Let it go."""
        for fd in (*self._tables, self._sockets_fd):
            os.close(fd)


def _elsewhere() -> tracees.Gone:
    """Return what ends the warm cell where the kernel says that a call has not done what it said.

    What a call of the held process returns is what package code could have arranged once.
    """
    return tracees.Gone("it is in another net namespace than it should be")


def _inode(pid: int) -> int:
    """Return which net namespace a process is in (namespaces(7)); 2 µs."""
    return os.stat("/proc/%d/ns/net" % (pid,)).st_ino


def _opened(pid: int, name: str) -> int:
    """Open a file of the namespace that a process is in; -1 where the kernel has no such file."""
    try:
        return os.open("/proc/%d/net/%s" % (pid, name), _FLAGS)
    except FileNotFoundError:
        if name == _SOCKETS:
            raise
        return -1
