"""Every system call that Python does not offer, wrapped once: errno becomes OSError.

Numbers are those of x86-64 and aarch64 (asm-generic); the few that differ are looked up by
machine name.
"""

from __future__ import annotations

import ctypes
import os
import stat

_libc = ctypes.CDLL(None, use_errno=True)
# PyDLL keeps the interpreter lock held, which a raw clone of the process needs.
_libc_locked = ctypes.PyDLL(None, use_errno=True)

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
_SYS_SECCOMP = 277 if _IS_ARM else 317
_SYS_LANDLOCK_CREATE, _SYS_LANDLOCK_ADD, _SYS_LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_RULE_PATH_BENEATH = 1
_FILE_RIGHTS = 0b111 | 1 << 14 | 1 << 15  # execute, write, read, truncate, ioctl: landlock(7)


def fork_into(flags: int) -> int:
    """Fork into new namespaces with one clone(2); return 0 in the child, the pid in the parent.

    os.fork and unshare would need two forks for a pid namespace, and each fork of a process
    with pandas in memory costs as much as all the rest. Only for single-threaded processes.
    """
    api = ctypes.pythonapi
    api.PyOS_BeforeFork()
    pid = _libc_locked.syscall(_SYS_CLONE, flags | _SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        api.PyOS_AfterFork_Child()
        return 0
    code = ctypes.get_errno()
    api.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(code, "clone: " + os.strerror(code))
    return pid


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Wrap mount(2)."""
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    _check(result, "mount " + target)


def die_with_parent() -> None:
    """Ask for SIGKILL when the parent thread ends (PR_SET_PDEATHSIG, prctl(2))."""
    _prctl(_PR_SET_PDEATHSIG, 9, "PR_SET_PDEATHSIG")


def be_subreaper() -> None:
    """Adopt orphaned descendants (PR_SET_CHILD_SUBREAPER, prctl(2))."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, "PR_SET_CHILD_SUBREAPER")


def be_measurable() -> None:
    """Let the worker, which has the same uid outside, read our memory figures (prctl(2))."""
    _prctl(_PR_SET_DUMPABLE, 1, "PR_SET_DUMPABLE")


def no_new_privileges() -> None:
    """Make execve unable to grant privileges (PR_SET_NO_NEW_PRIVS, prctl(2))."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")


def drop_capabilities() -> None:
    """Empty the bounding set, then every other capability set (capabilities(7))."""
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) != 0:
            break
    header = (ctypes.c_uint32 * 2)(_CAP_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _check(_libc.syscall(_SYS_CAPSET, header, nothing), "capset")


def install_filter(program: bytes) -> None:
    """Install `program`, the bytes of a classic BPF filter, for this process (seccomp(2))."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    body = ctypes.create_string_buffer(program, len(program))
    bpf = Program(len(program) // 8, ctypes.cast(body, ctypes.c_void_p))
    _check(_libc.syscall(_SYS_SECCOMP, _SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(bpf)), "seccomp")


def landlock(ruleset: bytes, rules: list[tuple[str, int]]) -> None:
    """Confine this process: `ruleset` is the packed attribute, `rules` pairs (path, rights).

    landlock(7). A path that does not exist is left out: nothing is granted there.
    """
    attribute = ctypes.create_string_buffer(ruleset, len(ruleset))
    fd = _libc.syscall(_SYS_LANDLOCK_CREATE, attribute, ctypes.c_size_t(len(ruleset)), 0)
    _check(fd, "landlock_create_ruleset")
    try:
        for path, rights in rules:
            _allow_beneath(fd, path, rights)
        _check(_libc.syscall(_SYS_LANDLOCK_RESTRICT, fd, 0), "landlock_restrict_self")
    finally:
        os.close(fd)


def _allow_beneath(ruleset_fd: int, path: str, rights: int) -> None:
    class PathBeneath(ctypes.Structure):
        _pack_ = 1
        _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]

    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(parent).st_mode)
        rule = PathBeneath(rights if is_folder else rights & _FILE_RIGHTS, parent)
        done = _libc.syscall(
            _SYS_LANDLOCK_ADD, ruleset_fd, _LANDLOCK_RULE_PATH_BENEATH, ctypes.byref(rule), 0
        )
        _check(done, "landlock_add_rule " + path)
    finally:
        os.close(parent)


def _prctl(option: int, value: int, name: str) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), name)


def _check(result: int, name: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, name + ": " + os.strerror(code))
