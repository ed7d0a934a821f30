"""Every system call that Python does not offer, wrapped once: errno becomes OSError.

Numbers are those of x86-64 and aarch64 (asm-generic); the few that differ are looked up by
machine name. Functions of the C library are called through `_ctypes`, which ctypes itself is
made of: importing the package takes 3 of a cold start's 20 ms (measured), this half of one.
"""

from __future__ import annotations

import _ctypes
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Long(_ctypes._SimpleCData):  # pyright: ignore
    _type_ = "l"


class _Byte(_ctypes._SimpleCData):  # pyright: ignore
    _type_ = "B"


class _Function(_ctypes.CFuncPtr):
    """A function of the C library that returns a number, and leaves errno behind."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Long


class _LockedFunction(_ctypes.CFuncPtr):
    """A function during which the interpreter lock stays held, as a raw clone needs."""

    _flags_ = _Function._flags_ | _ctypes.FUNCFLAG_PYTHONAPI
    _restype_ = _Long


_c: Any = _ctypes  # its stubs know less than it offers
_RLIMIT: Any = type("Rlimit", (_c.Array,), {"_type_": _Byte, "_length_": 16})
_PROGRAM: int = _c.dlopen(None, 0)


def _address(name: str) -> int:
    return _ctypes.dlsym(_PROGRAM, name)


_syscall: Any = _Function(_address("syscall"))
_prctl_call: Any = _Function(_address("prctl"))
_mount: Any = _Function(_address("mount"))
_unshare: Any = _Function(_address("unshare"))
_setns: Any = _Function(_address("setns"))
_locked_syscall: Any = _LockedFunction(_address("syscall"))
_before_fork: Any = _LockedFunction(_address("PyOS_BeforeFork"))
_after_fork_in_child: Any = _LockedFunction(_address("PyOS_AfterFork_Child"))
_after_fork_in_parent: Any = _LockedFunction(_address("PyOS_AfterFork_Parent"))

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC = 4096, 16384

_SIGCHLD = 17
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_CHILD_SUBREAPER = 36
_SECCOMP_SET_MODE_FILTER = 1
_CAP_VERSION_3 = 0x20080522
_IS_ARM = os.uname().machine == "aarch64"
_SYS_CLONE = 220 if _IS_ARM else 56
_SYS_CAPSET = 91 if _IS_ARM else 126
_SYS_PRLIMIT = 261 if _IS_ARM else 302
_SYS_SECCOMP = 277 if _IS_ARM else 317
_SYS_LANDLOCK_CREATE, _SYS_LANDLOCK_ADD, _SYS_LANDLOCK_RESTRICT = 444, 445, 446
_RLIMITS = {
    "RLIMIT_CPU": 0,
    "RLIMIT_FSIZE": 1,
    "RLIMIT_CORE": 4,
    "RLIMIT_NPROC": 6,
    "RLIMIT_NOFILE": 7,
    "RLIMIT_MEMLOCK": 8,
}
"""asm-generic/resource.h; the module `resource` takes longer to load than to do without."""
_LANDLOCK_RULE_PATH_BENEATH = 1
_CAP_HEADER = _CAP_VERSION_3.to_bytes(4, sys.byteorder) + bytes(4)
_NO_CAPABILITIES = bytes(24)
_FILE_RIGHTS = 0b111 | 1 << 14 | 1 << 15  # execute, write, read, truncate, ioctl: landlock(7)


def fork_into(flags: int) -> int:
    """Fork into new namespaces with one clone(2); return 0 in the child, the pid in the parent.

    os.fork and unshare would need two forks for a pid namespace, and each fork of a process
    with pandas in memory costs as much as all the rest. Only for single-threaded processes.
    """
    _before_fork()
    pid = _locked_syscall(_SYS_CLONE, flags | _SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        _after_fork_in_child()
        return 0
    code = _ctypes.get_errno()
    _after_fork_in_parent()
    if pid < 0:
        raise OSError(code, "clone: " + os.strerror(code))
    return pid


def unshare(flags: int) -> None:
    """Move this process to new namespaces (unshare(2))."""
    _check(_unshare(flags), "unshare")


def join_namespace(fd: int, kind: int) -> None:
    """Move this process to the namespace that `fd` stands for (setns(2))."""
    _check(_setns(fd, kind), "setns")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Wrap mount(2)."""
    result = _mount(source.encode(), target.encode(), kind.encode(), flags, options.encode())
    _check(result, "mount " + target)


def die_with_parent() -> None:
    """Ask for SIGKILL when the parent thread ends (PR_SET_PDEATHSIG, prctl(2))."""
    _prctl(_PR_SET_PDEATHSIG, 9, "PR_SET_PDEATHSIG")


def hear_of_parents_end() -> None:
    """Ask for SIGTERM when the parent thread ends (PR_SET_PDEATHSIG, prctl(2))."""
    _prctl(_PR_SET_PDEATHSIG, 15, "PR_SET_PDEATHSIG")


def be_subreaper() -> None:
    """Adopt orphaned descendants (PR_SET_CHILD_SUBREAPER, prctl(2))."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, "PR_SET_CHILD_SUBREAPER")


def be_measurable() -> None:
    """Let the worker, which has the same uid outside, read our memory figures (prctl(2))."""
    _prctl(_PR_SET_DUMPABLE, 1, "PR_SET_DUMPABLE")


def no_new_privileges() -> None:
    """Make execve unable to grant privileges (PR_SET_NO_NEW_PRIVS, prctl(2))."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")


def limits(wanted: dict[str, int]) -> list[tuple[int, bytes]]:
    """Return resource limits to set, never above what is allowed already (prlimit(2))."""
    packed: list[tuple[int, bytes]] = []
    for name, value in wanted.items():
        which = _RLIMITS[name]
        now = _RLIMIT()
        _check(_syscall(_SYS_PRLIMIT, 0, which, None, now), name)
        allowed = min(value, int.from_bytes(bytes(now)[8:], sys.byteorder))
        packed.append((which, allowed.to_bytes(8, sys.byteorder) * 2))
    return packed


def limit(packed: list[tuple[int, bytes]]) -> None:
    """Set resource limits, hard and soft, as `limits` returned them."""
    for which, value in packed:
        _check(_syscall(_SYS_PRLIMIT, 0, which, value, None), "prlimit")


def drop_capabilities() -> None:
    """Empty the bounding set, then every other capability set (capabilities(7))."""
    capability = 0
    while _prctl_call(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    _check(_syscall(_SYS_CAPSET, _CAP_HEADER, _NO_CAPABILITIES), "capset")


class Filter:
    """A classic BPF program, laid out as the kernel takes it (struct sock_fprog, seccomp(2))."""

    def __init__(self, program: bytes) -> None:
        kind: Any = type("Program", (_c.Array,), {"_type_": _Byte, "_length_": len(program)})
        self._program = kind.from_buffer_copy(program)
        length = len(program) // 8
        address: int = _c.addressof(self._program)
        self._packed = length.to_bytes(8, sys.byteorder) + address.to_bytes(8, sys.byteorder)

    def install(self) -> None:
        """Shut it behind this process."""
        done = _syscall(_SYS_SECCOMP, _SECCOMP_SET_MODE_FILTER, 0, self._packed)
        _check(done, "seccomp")


def rules(wanted: list[tuple[str, int]]) -> list[bytes]:
    """Return the Landlock rules that allow rights beneath paths, for pairs (path, rights).

    Packed as struct landlock_path_beneath_attr (landlock(7)), with descriptors that stay open:
    whoever makes rules closes everything once they are in force. A path that does not exist is
    left out: nothing is granted there. Paths that lead to one folder make one rule.
    """
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for path, rights in wanted:
        try:
            beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        status = os.fstat(beneath)
        allowed = rights if stat.S_ISDIR(status.st_mode) else rights & _FILE_RIGHTS
        place = (status.st_dev, status.st_ino)
        found[place] = (allowed | found.get(place, (0, 0))[0], beneath)
    return [
        allowed.to_bytes(8, sys.byteorder) + beneath.to_bytes(4, sys.byteorder)
        for allowed, beneath in found.values()
    ]


def landlock(ruleset: bytes, packed_rules: list[bytes]) -> None:
    """Confine this process: `ruleset` is the packed attribute, the rules come from `rules`."""
    fd = _syscall(_SYS_LANDLOCK_CREATE, ruleset, len(ruleset), 0)
    _check(fd, "landlock_create_ruleset")
    for packed in packed_rules:
        done = _syscall(_SYS_LANDLOCK_ADD, fd, _LANDLOCK_RULE_PATH_BENEATH, packed, 0)
        _check(done, "landlock_add_rule")
    _check(_syscall(_SYS_LANDLOCK_RESTRICT, fd, 0), "landlock_restrict_self")
    os.close(fd)


def _prctl(option: int, value: int, name: str) -> None:
    _check(_prctl_call(option, value, 0, 0, 0), name)


def _check(result: int, name: str) -> None:
    if result < 0:
        code = _ctypes.get_errno()
        raise OSError(code, name + ": " + os.strerror(code))
