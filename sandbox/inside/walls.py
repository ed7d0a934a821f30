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

_PRIVATE = syscalls.MS_NOSUID | syscalls.MS_NODEV


def fork_flags(*, own_network: bool) -> int:
    """Return the clone flags of a run: its own user, mount, pid, ipc (and net) namespaces."""
    flags = syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID
    flags |= syscalls.CLONE_NEWIPC
    return flags | syscalls.CLONE_NEWNET if own_network else flags


def furnish(folder: str, setup: dict[str, Any]) -> None:
    """Give a fresh fork its own view: identity, scratch, output, /proc and its inputs only."""
    _map_identity(setup["uid"], setup["gid"])
    sizes = setup["mounts"]
    for target, size in ((setup["scratch_dir"], "scratch"), (setup["output_dir"], "output")):
        options = "mode=0755,size=%d,nr_inodes=%d" % (sizes[size + "_bytes"], sizes["inodes"])
        syscalls.mount("tmpfs", target, "tmpfs", _PRIVATE, options)
    _fresh_proc()
    syscalls.mount("/input/" + folder + "/input", "/input", "", syscalls.MS_BIND)


def make_scratch(scratch_dir: str) -> None:
    """Make the places that /tmp and /dev/shm point to."""
    for name in ("tmp", "shm"):
        path = os.path.join(scratch_dir, name)
        if not os.path.isdir(path):
            os.mkdir(path, 0o1777)


def shut(setup: dict[str, Any]) -> None:
    """Drop every privilege, then shut Landlock and seccomp behind us; nothing comes after."""
    syscalls.drop_capabilities()
    syscalls.no_new_privileges()
    syscalls.be_measurable()
    landlock = setup["landlock"]
    if landlock is not None:
        syscalls.landlock(landlock["ruleset"], landlock["rules"])
    if setup["seccomp"] is not None:
        syscalls.install_filter(setup["seccomp"])


def shut_around_import(setup: dict[str, Any]) -> None:
    """Confine a warm cell before it imports anything; its forks shut the rest."""
    syscalls.no_new_privileges()
    landlock = setup["warm_landlock"]
    if landlock is not None:
        syscalls.landlock(landlock["ruleset"], landlock["rules"])
    if setup["warm_seccomp"] is not None:
        syscalls.install_filter(setup["warm_seccomp"])


def _map_identity(uid: int, gid: int) -> None:
    """Map our own ids to themselves (user_namespaces(7): setgroups must be denied first)."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", "%d %d 1" % (uid, uid)),
        ("gid_map", "%d %d 1" % (gid, gid)),
    ):
        fd = os.open("/proc/self/" + name, os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def _fresh_proc() -> None:
    """Mount a procfs of the new pid namespace; where the kernel refuses, show nothing at all.

    It refuses where parts of the outer /proc are covered, as in a container.
    """
    try:
        syscalls.mount("proc", "/proc", "proc", _PRIVATE)
    except OSError:
        syscalls.mount("tmpfs", "/proc", "tmpfs", _PRIVATE | syscalls.MS_RDONLY, "size=4096")
