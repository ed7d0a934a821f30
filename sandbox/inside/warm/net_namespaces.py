"""Empty net namespaces, one for each run at a time.

Making and removing one costs more than the rest of a run (1.5 ms of kernel time). Every process
of a run is gone when its first one has been waited for, and nobody in a run may configure its
namespace: it belongs to a user namespace that only the held warm cell is in. What can outlive a
run, a socket on its way to somebody or an IPv6 flow label, is looked for (20 µs); such a
namespace is not used again.
"""

from __future__ import annotations

import os

from .. import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .tracee import Tracee

_AT_FDCWD = -100
_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_FIRST_FD, _MOST = 96, 128
"""Where the held process has its descriptors of them: forks foresee all lower numbers."""


class Networks:
    """The namespaces of one warm cell, which enters one for the next fork to be born in."""

    def __init__(self, tracee: Tracee) -> None:
        self._tracee = tracee
        self._path = tracee.place(b"/proc/self/ns/net\0")
        self._free: list[Network] = []
        self._here: Network | None = None
        """Where the warm cell is, in which it does nothing."""
        self._numbers = list(range(_FIRST_FD + _MOST - 1, _FIRST_FD - 1, -1))

    def enter(self) -> Network:
        """Let the warm cell move to a namespace that nobody is in, and return it."""
        while self._free:
            network = self._free.pop()
            if network.is_empty():
                if network is not self._here:
                    self._tracee.make("setns", network.fd, syscalls.CLONE_NEWNET)
                self._here = network
                return network
            self._let_go(network)
        self._tracee.make("unshare", syscalls.CLONE_NEWNET)
        opened = self._tracee.make("openat", _AT_FDCWD, self._path, _FLAGS)
        fd = self._numbers.pop() if self._numbers else -1
        if fd >= 0:
            self._tracee.make("dup3", opened, fd, os.O_CLOEXEC)
        self._tracee.make("close", opened)
        self._here = Network(self._tracee.pid, fd)
        return self._here

    def give_back(self, network: Network) -> None:
        """Let the next run have it, if the warm cell can return to it."""
        if network.fd >= 0:
            self._free.append(network)
        else:
            network.close()

    def _let_go(self, network: Network) -> None:
        self._tracee.make("close", network.fd)
        self._numbers.append(network.fd)
        network.close()


class Network:
    """The net namespace that the process is in when this is made; `fd` is the process's own."""

    def __init__(self, pid: int, fd: int) -> None:
        self.fd = fd
        self._sockets_fd = os.open("/proc/%d/net/sockstat" % (pid,), _FLAGS)
        try:
            self._labels_fd = os.open("/proc/%d/net/ip6_flowlabel" % (pid,), _FLAGS)
        except FileNotFoundError:  # a kernel without IPv6
            self._labels_fd = -1

    def is_empty(self) -> bool:
        """Say whether it has no socket and no flow label (proc(5)); these files stay its own."""
        has_sockets = not os.pread(self._sockets_fd, 32, 0).startswith(b"sockets: used 0\n")
        if has_sockets or self._labels_fd < 0:
            return not has_sockets
        return os.pread(self._labels_fd, 512, 0).count(b"\n") <= 1

    def close(self) -> None:
        """Let it go."""
        for fd in (self._sockets_fd, self._labels_fd):
            if fd >= 0:
                os.close(fd)
