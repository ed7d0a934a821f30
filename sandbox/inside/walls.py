"""Enters the walls from inside, in the only order that works.

Namespaces and mounts need capabilities; capabilities go before Landlock and seccomp are
shut; package code is touched only after all of it.
"""

from __future__ import annotations

import os

from . import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OF_RUNS = ("RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_NPROC")
"""Limits that a warm cell itself must not have: many runs together would wear them out.

The kernel counts processes in each user namespace above too, against the limit of whoever
made the lower one (user_namespaces(7)): a limit of the warm cell's would be one for all runs.
"""

_RUNS_BESIDE = 32
"""For so many runs beside each other a warm cell may have processes, lest its import forks on."""


def make_scratch(scratch_dir: str) -> None:
    """Make the places that /tmp and /dev/shm point to."""
    for folder in places_in(scratch_dir):
        try:
            os.mkdir(folder, 0o1777)
        except FileExistsError:
            continue


def places_in(scratch_dir: str) -> list[str]:
    """Return what /tmp and /dev/shm point to."""
    return [scratch_dir + "/tmp", scratch_dir + "/shm"]


class Walls:
    """Landlock, a seccomp filter and limits, for a process to shut behind itself."""

    def __init__(
        self,
        landlock: dict[str, Any] | None,
        program: bytes | None,
        rlimits: dict[str, int],
    ) -> None:
        self._limits = syscalls.limits(rlimits)
        self._landlock = landlock
        self._filter = None if program is None else syscalls.Filter(program)

    def shut(self) -> None:
        """Drop every privilege, then shut them behind us; nothing comes after."""
        syscalls.drop_capabilities()
        syscalls.no_new_privileges()
        syscalls.be_measurable()
        self.confine()

    def confine(self) -> None:
        """Shut Landlock and seccomp alone."""
        if self._landlock is not None:
            rules = [*self._landlock["rules"], *self._landlock["run_rules"]]
            syscalls.landlock(self._landlock["ruleset"], syscalls.rules(rules))
        if self._filter is not None:
            self._filter.install()

    def limit(self) -> None:
        """Limit this process, once the descriptors are closed that only the walls needed."""
        syscalls.limit(self._limits)


def of_cold(setup: dict[str, Any]) -> Walls:
    """Return the walls that a cold cell shuts before it reads its request."""
    return Walls(setup["landlock"], setup["seccomp"], setup["rlimits"])


def of_fork(setup: dict[str, Any]) -> Walls:
    """Return what a fork that shares our root shuts; the warm cell's filter stands already."""
    return Walls(setup["landlock"], None, limits_of_runs(setup))


def limits_of_runs(setup: dict[str, Any]) -> dict[str, int]:
    """Return the limits that each fork sets for itself."""
    return {name: value for name, value in setup["rlimits"].items() if name in _OF_RUNS}


def shut_around_import(setup: dict[str, Any]) -> None:
    """Confine a warm cell before it imports anything; its forks shut the rest."""
    syscalls.no_new_privileges()
    limits: dict[str, int] = setup["rlimits"]
    shared = {name: value for name, value in limits.items() if name not in _OF_RUNS}
    if "RLIMIT_NPROC" in limits:
        shared["RLIMIT_NPROC"] = limits["RLIMIT_NPROC"] * _RUNS_BESIDE
    around = Walls(setup["warm_landlock"], setup["warm_seccomp"], shared)
    around.confine()
    os.closerange(4, 65536)
    around.limit()


def own_user_namespace() -> None:
    """Move this process to a user namespace below its own, as the same user."""
    own = identity(os.getuid(), os.getgid())
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    _write_all(own)


class Networks:
    """Empty net namespaces, one for each run at a time.

    Making and removing one costs more than the rest of a run (1.5 ms of kernel time). Every
    process of a run is gone when its first one has been waited for, and nobody in a run may
    configure its namespace. What can outlive it, a socket on its way to somebody or an IPv6
    flow label, is looked for (20 µs); such a namespace is not used again.
    """

    def __init__(self) -> None:
        self._free: list[Network] = []

    def enter(self) -> Network:
        """Move to a namespace that nobody is in, and return it."""
        while self._free:
            network = self._free.pop()
            if network.is_empty():
                syscalls.join_namespace(network.fd, syscalls.CLONE_NEWNET)
                return network
            network.close()
        syscalls.unshare(syscalls.CLONE_NEWNET)
        return Network()

    def give_back(self, network: Network) -> None:
        """Let the next run have it."""
        self._free.append(network)


class Network:
    """The net namespace that this process is in when it is made, to return to and to look into."""

    def __init__(self) -> None:
        self.fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._sockets_fd = os.open("/proc/self/net/sockstat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            labels = "/proc/self/net/ip6_flowlabel"
            self._labels_fd = os.open(labels, os.O_RDONLY | os.O_CLOEXEC)
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
        for fd in (self.fd, self._sockets_fd, self._labels_fd):
            if fd >= 0:
                os.close(fd)


def identity(uid: int, gid: int) -> list[tuple[str, bytes]]:
    """Return what to write where to map our own ids to themselves (user_namespaces(7)).

    setgroups must be denied first; a namespace inherits that from the one above it.
    """
    with open("/proc/self/setgroups", "rb") as setgroups:
        is_denied = setgroups.read().strip() == b"deny"
    maps = [
        ("/proc/self/uid_map", b"%d %d 1" % (uid, uid)),
        ("/proc/self/gid_map", b"%d %d 1" % (gid, gid)),
    ]
    return maps if is_denied else [("/proc/self/setgroups", b"deny"), *maps]


def _write_all(texts: list[tuple[str, bytes]]) -> None:
    for path, text in texts:
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, text)
        os.close(fd)
