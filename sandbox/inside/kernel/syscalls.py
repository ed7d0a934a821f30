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
    from typing import Any, NoReturn


class Word(_ctypes._SimpleCData):  # pyright: ignore
    """A number as wide as an address; a plain one is passed as a C int."""

    _type_ = "l"


class _Byte(_ctypes._SimpleCData):  # pyright: ignore
    _type_ = "B"


class Int(_ctypes._SimpleCData):  # pyright: ignore
    """A C int at some place in memory."""

    _type_ = "i"


class _Function(_ctypes.CFuncPtr):
    """A function of the C library that returns a number, and leaves errno behind."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = Word


class LockedFunction(_ctypes.CFuncPtr):
    """A function during which the interpreter lock stays held, as a raw clone needs.

    To leave errno behind would take longer than most system calls do.
    """

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_PYTHONAPI
    _restype_ = Word


_c: Any = _ctypes  # its stubs know less than it offers
_PROGRAM: int = _c.dlopen(None, 0)


def _room(size: int) -> Any:
    """Return a type with `size` bytes; each is a class, which takes long to make."""
    return type("Room", (_c.Array,), {"_type_": _Byte, "_length_": size})


_RLIMIT = _room(16)


def address(name: str) -> int:
    """Return where a function of the C library or the interpreter is. Raises OSError."""
    return _ctypes.dlsym(_PROGRAM, name)


def function(name: str) -> Any:
    """Return a function of the C library, to be called with the interpreter lock released."""
    return _Function(address(name))


def in_the_library(name: str, *arguments: int) -> int:
    """Call a function of the C library with numbers as wide as an address, such as addresses."""
    return function(name)(*(Word(argument) for argument in arguments))


_syscall: Any = function("syscall")

CLONE_PARENT = 0x00008000
CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC = 32, 4096, 16384

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
PR_CAPBSET_DROP = 24
SECCOMP_SET_MODE_FILTER = 1
SIG_SETMASK = 2
LANDLOCK_RULE_PATH_BENEATH = 1
O_PATH = os.O_PATH | os.O_CLOEXEC
NUMBERS: dict[str, int] = {
    name: numbers[os.uname().machine == "aarch64"]
    for name, numbers in {  # x86-64, aarch64
        "capset": (126, 91),
        "chdir": (80, 49),
        "clone": (56, 220),
        "close": (3, 57),
        "close_range": (436, 436),
        "dup3": (292, 24),
        "exit_group": (231, 94),
        "fchmodat": (268, 53),
        "fcntl": (72, 25),
        "ioctl": (16, 29),
        "landlock_add_rule": (445, 445),
        "landlock_create_ruleset": (444, 444),
        "landlock_restrict_self": (446, 446),
        "mkdirat": (258, 34),
        "mount": (165, 40),
        "openat": (257, 56),
        "pidfd_getfd": (438, 438),
        "pidfd_open": (434, 434),
        "prctl": (157, 167),
        "prlimit64": (302, 261),
        "ptrace": (101, 117),
        "recvfrom": (45, 207),
        "recvmsg": (47, 212),
        "rseq": (334, 293),
        "rt_sigaction": (13, 134),
        "rt_sigprocmask": (14, 135),
        "seccomp": (317, 277),
        "sendmsg": (46, 211),
        "setns": (308, 268),
        "setsid": (112, 157),
        "setsockopt": (54, 208),
        "socket": (41, 198),
        "socketpair": (53, 199),
        "symlinkat": (266, 36),
        "umount2": (166, 39),
        "unshare": (272, 97),
        "wait4": (61, 260),
        "write": (1, 64),
    }.items()
}
"""The number of each call that is made here or in a script (asm/unistd.h)."""

SIGCHLD = 17
CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID = 0x00200000, 0x01000000
_PR_SET_CHILD_SUBREAPER = 36
_PR_CAPBSET_READ = 23
_CAP_VERSION_3 = 0x20080522
_EPERM = 1
_RLIMITS = {
    "RLIMIT_CPU": 0,
    "RLIMIT_FSIZE": 1,
    "RLIMIT_CORE": 4,
    "RLIMIT_NPROC": 6,
    "RLIMIT_NOFILE": 7,
    "RLIMIT_MEMLOCK": 8,
    "RLIMIT_SIGPENDING": 11,
    "RLIMIT_MSGQUEUE": 12,
}
"""asm-generic/resource.h; the module `resource` takes longer to load than to do without."""
CAP_HEADER = _CAP_VERSION_3.to_bytes(4, sys.byteorder) + bytes(4)
NO_CAPABILITIES = bytes(24)
_FILE_RIGHTS = 0b111 | 1 << 14 | 1 << 15  # execute, write, read, truncate, ioctl: landlock(7)

call: Any = LockedFunction(address("syscall"))
"""syscall(2) with the interpreter lock held: for calls that do not wait, and see last_errno."""


def end(code: int) -> NoReturn:
    """End this process at once, as os._exit does (exit_group(2)), whose function is not bound."""
    while True:
        call(NUMBERS["exit_group"], code)


_errno: Any = Int.from_address(function("__errno_location")())


def last_errno() -> int:
    """Return errno of the last `call`, in the thread that imported this (errno(3))."""
    return _errno.value


def refusal(name: str, code: int) -> OSError:
    """Return the error of a call that the kernel refused."""
    return OSError(code, "%s: %s" % (name, os.strerror(code)))


class Room:
    """Memory that the kernel reads and writes, made once; `pointer` is for calls."""

    def __init__(self, size_bytes: int) -> None:
        self.here = bytearray(size_bytes)
        self.place: Any = _room(size_bytes).from_buffer(self.here)
        self.pointer: Any = _c.byref(self.place)
        self.numbers = memoryview(self.here).cast("i")


def unshare(flags: int) -> None:
    """Move this process to new namespaces (unshare(2))."""
    do("unshare", flags)


def die_with_parent() -> None:
    """Ask for SIGKILL when the parent thread ends (PR_SET_PDEATHSIG, prctl(2))."""
    do("prctl", PR_SET_PDEATHSIG, 9)


def hear_of_parents_end() -> None:
    """Ask for SIGTERM when the parent thread ends (PR_SET_PDEATHSIG, prctl(2))."""
    do("prctl", PR_SET_PDEATHSIG, 15)


def be_subreaper() -> None:
    """Adopt orphaned descendants (PR_SET_CHILD_SUBREAPER, prctl(2))."""
    do("prctl", _PR_SET_CHILD_SUBREAPER, 1)


def be_measurable() -> None:
    """Let the worker, which has the same uid outside, read our memory figures (prctl(2))."""
    do("prctl", PR_SET_DUMPABLE, 1)


def be_unreachable() -> None:
    """Let no process of our uid look into this one or change it (PR_SET_DUMPABLE, prctl(2))."""
    do("prctl", PR_SET_DUMPABLE, 0)


def no_new_privileges() -> None:
    """Make execve unable to grant privileges (PR_SET_NO_NEW_PRIVS, prctl(2))."""
    do("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def limits(wanted: dict[str, int]) -> list[tuple[int, bytes]]:
    """Return resource limits to set, never above what is allowed already (prlimit(2))."""
    packed: list[tuple[int, bytes]] = []
    for name, value in wanted.items():
        which = _RLIMITS[name]
        now = _RLIMIT()
        do("prlimit64", 0, which, None, now)
        allowed = min(value, int.from_bytes(bytes(now)[8:], sys.byteorder))
        packed.append((which, allowed.to_bytes(8, sys.byteorder) * 2))
    return packed


def limit(packed: list[tuple[int, bytes]]) -> None:
    """Set resource limits, hard and soft, as `limits` returned them."""
    for which, value in packed:
        do("prlimit64", 0, which, value, None)


def limit_core(packed: list[tuple[int, bytes]]) -> None:
    """Set RLIMIT_CORE of `limits`, which nobody can any more behind the filter."""
    limit([(which, value) for which, value in packed if which == _RLIMITS["RLIMIT_CORE"]])


def packed_limits(wanted: dict[str, int]) -> list[tuple[int, bytes]]:
    """Return resource limits to set for others (prlimit(2))."""
    return [
        (_RLIMITS[name], value.to_bytes(8, sys.byteorder) * 2) for name, value in wanted.items()
    ]


def limit_other(pid: int, packed: list[tuple[int, bytes]]) -> None:
    """Set resource limits of another process of our uid, hard and soft (prlimit(2)).

    One that is narrower already, and may not be widened, stands.
    """
    number = NUMBERS["prlimit64"]
    for which, value in packed:
        if call(number, pid, which, value, None) < 0:
            code = last_errno()
            if code != _EPERM:
                raise refusal("prlimit64", code)


def capabilities() -> int:
    """Return how many capabilities this kernel knows (PR_CAPBSET_READ, prctl(2))."""
    known = 0
    while call(NUMBERS["prctl"], _PR_CAPBSET_READ, known) >= 0:
        known += 1
    return known


def drop_capabilities() -> None:
    """Empty the bounding set, where one may, then every other one (capabilities(7))."""
    for capability in range(capabilities()):
        if call(NUMBERS["prctl"], PR_CAPBSET_DROP, capability) < 0:
            break
    do("capset", CAP_HEADER, NO_CAPABILITIES)


class Filter:
    """A classic BPF program, laid out as the kernel takes it (struct sock_fprog, seccomp(2))."""

    def __init__(self, program: bytes) -> None:
        self._program = at_an_address(program)
        self.packed = words(len(program) // 8, _c.addressof(self._program))

    def install(self) -> None:
        """Shut it behind this process."""
        do("seccomp", SECCOMP_SET_MODE_FILTER, 0, self.packed)


def rules(wanted: list[tuple[str, int]], *, first_fd: int = 0) -> list[bytes]:
    """Return the Landlock rules that allow rights beneath paths, for pairs (path, rights).

    Packed as struct landlock_path_beneath_attr (landlock(7)), with descriptors that stay open:
    whoever makes rules closes everything once they are in force. With `first_fd` they are numbered
    from there, and leave the lower numbers free. A path that does not exist is left out: nothing
    is granted there. Paths that lead to one folder make one rule.
    """
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for path, rights in wanted:
        try:
            beneath = os.open(path, O_PATH)
        except OSError:
            continue
        status = os.fstat(beneath)
        allowed = rights if stat.S_ISDIR(status.st_mode) else rights & _FILE_RIGHTS
        place = (status.st_dev, status.st_ino)
        if place in found:
            os.close(beneath)
            already, beneath = found[place]
            allowed |= already
        elif first_fd:
            low, beneath = beneath, first_fd + len(found)
            os.dup2(low, beneath, inheritable=False)
            os.close(low)
        found[place] = (allowed, beneath)
    return [rule(beneath, allowed) for allowed, beneath in found.values()]


def rule(beneath: int, allowed: int) -> bytes:
    """Return one Landlock rule: the rights `allowed` beneath the folder with that descriptor."""
    return allowed.to_bytes(8, sys.byteorder) + beneath.to_bytes(4, sys.byteorder)


RULES_FROM = 64
"""Where descriptors are that forks find open: the lowest numbers are theirs to use."""


def landlock(ruleset: bytes, packed_rules: list[bytes]) -> None:
    """Confine this process: `ruleset` is the packed attribute, the rules come from `rules`."""
    fd = do("landlock_create_ruleset", ruleset, len(ruleset), 0)
    for packed in packed_rules:
        do("landlock_add_rule", fd, LANDLOCK_RULE_PATH_BENEATH, packed, 0)
    do("landlock_restrict_self", fd, 0)
    os.close(fd)


def words(*numbers: int) -> bytes:
    """Return the numbers one after the other, each as wide as an address."""
    return b"".join(number.to_bytes(8, sys.byteorder) for number in numbers)


def at_an_address(body: bytes) -> Any:
    """Return a copy of `body` that has an address of its own (see address_of)."""
    return _room(len(body)).from_buffer_copy(body)


def reference(place: Any) -> Any:
    """Return a pointer to a ctypes object, for a call."""
    return _c.byref(place)


def address_of(place: Any) -> int:
    """Return where the memory of a ctypes object is."""
    return _c.addressof(place)


def do(name: str, *arguments: Any) -> int:
    """Make a call, which may wait, by its name in syscalls(2). Raises OSError."""
    result = _syscall(NUMBERS[name], *arguments)
    if result < 0:
        raise refusal(name, _ctypes.get_errno())
    return result


def do_at_once(name: str, *arguments: Any) -> int:
    """Make a call that does not wait, with the interpreter lock held. Raises OSError."""
    result = call(NUMBERS[name], *arguments)
    if result < 0:
        raise refusal(name, last_errno())
    return result
