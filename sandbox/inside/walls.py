"""Enters the walls from inside, in the only order that works.

Namespaces and mounts need capabilities; capabilities go before Landlock and seccomp are
shut; package code is touched only after all of it.
"""

from __future__ import annotations

import os

from .kernel import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .warm.tracee import Tracee

NAMESPACES = (
    syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC
)
"""The namespaces that every run has for itself; its net namespace comes from Networks."""

_RUNS_BESIDE = 32
"""For so many runs beside each other a warm cell may have processes, lest its import forks on.

The kernel counts processes in each user namespace above too, against the limit of whoever
made the lower one (user_namespaces(7)): a limit of the warm cell's is one for all runs.
"""

_COUNTED_FOR_ALL = ("RLIMIT_NPROC", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE")
"""What the kernel counts so; of one that used up the signals a neighbour's timers failed."""
_IMPORT_FILES = 256
"""Descriptors that an import may have at least: a low limit of a run's is not meant for it."""

MEMORY = (b"/sys/fumehood/meminfo", b"/proc/meminfo")
"""How much memory a run has, as programs read it (proc(5)), and where they look for it."""
_AT_FDCWD = -100
_MNT_DETACH = 2

AF_INET, SOCK_DATAGRAM = 2, 2 | os.O_CLOEXEC
SET_MTU = 0x8922
"""SIOCSIFMTU (netdevice(7)), by any socket."""
LOOPBACK_WITHOUT_IP = b"lo".ljust(40, b"\0")
"""struct ifreq of the loopback and an MTU of 0. Below 68 an interface has no IPv4, below 1280 no
IPv6 (RFC 791, RFC 8200): the kernel takes both away (inetdev_event, addrconf_notify)."""


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
        # The bounding set wants CAP_SETPCAP, and a filter without capabilities wants no_new_privs.
        syscalls.drop_capabilities()
        syscalls.no_new_privileges()
        syscalls.be_measurable()
        self.confine()

    def confine(self) -> None:
        """Shut Landlock and seccomp alone, and before them what seccomp keeps as it is."""
        syscalls.limit_core(self._limits)
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


def shut_around_import(setup: dict[str, Any]) -> None:
    """Confine a warm cell before it imports anything; its forks shut the rest.

    The filter is the whole one of a run. It stops a traced process at setns(2), unshare(2) and a
    clone(2) into namespaces, and refuses them to one that is not: nobody but the warden makes them.
    """
    syscalls.drop_capabilities()
    syscalls.no_new_privileges()
    syscalls.be_measurable()
    limits: dict[str, int] = setup["rlimits"]
    own = dict(limits, RLIMIT_NOFILE=max(limits["RLIMIT_NOFILE"], _IMPORT_FILES))
    for name in _COUNTED_FOR_ALL:
        if name in limits:
            own[name] = limits[name] * _RUNS_BESIDE
    around = Walls(setup["warm_landlock"], setup["warm_seccomp"], own)
    around.confine()
    # All but the streams and the door: a low RLIMIT_NOFILE would leave open what lies above it.
    os.closerange(4, 65536)
    around.limit()


def own_user_namespace() -> None:
    """Move this process to a user namespace below its own, as the same user."""
    own = identity(os.getuid(), os.getgid())  # before: there, until it is mapped, we are nobody
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    _write_all(own)


def own_user_namespace_of(tracee: Tracee) -> None:
    """Let a held process have all capabilities in a user namespace of its own, as the same user."""
    own = identity(os.getuid(), os.getgid())
    tracee.make("unshare", syscalls.CLONE_NEWUSER)
    for path, text in own:
        name = path.encode() + b"\0"
        place = tracee.place(name + text)
        fd = tracee.make("openat", _AT_FDCWD, place, os.O_WRONLY)
        tracee.make("write", fd, place + len(name), len(text))
        tracee.make("close", fd)


def leave_network() -> None:
    """Be in a net namespace of which nothing is up, with no route and no neighbour.

    The one that bubblewrap has made has a loopback that is, and what is on its way there is memory
    that no cgroup counts (network_namespaces(7); 0.6 ms). Datagrams to 0.0.0.0, which is always
    oneself, go by a loopback that is down as well, and came back to their sender's error queue
    (476 MB with a limit of 160), unless it has no IP.
    """
    try:
        syscalls.unshare(syscalls.CLONE_NEWNET)
    except PermissionError:
        # AppArmor's bwrap-userns-restrict takes all capabilities from what bubblewrap starts. A run
        # is better off in the namespace that it has than without any: docs/security.md tells.
        return
    fd = syscalls.do("socket", AF_INET, SOCK_DATAGRAM, 0)
    syscalls.do("ioctl", fd, SET_MTU, LOOPBACK_WITHOUT_IP)
    os.close(fd)


def hide_processes() -> None:
    """Mount a /proc that shows everybody only what is theirs to look into (hidepid, proc(5)).

    Else a fork could read in the names and arguments of others what they wrote there.
    """
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.do("mount", b"proc", b"/proc", b"proc", flags, b"hidepid=2")


def show_memory() -> None:
    """Show an import how much memory it has; its forks do the same in a /proc of their own."""
    syscalls.do("mount", *MEMORY, b"", syscalls.MS_BIND, None)


def hide_memory() -> None:
    """Take that away: a fork may mount no /proc where a part of the outer one is covered."""
    syscalls.do("umount2", MEMORY[1], _MNT_DETACH)


def leave_shared_folder(work_dir: str) -> None:
    """Take away what an import could write to, before its forks would share it.

    To make it read-only is not enough: a FIFO in there could be written to all the same.
    """
    syscalls.do("umount2", work_dir.encode(), _MNT_DETACH)


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
