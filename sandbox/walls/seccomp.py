"""seccomp: the filter that shuts the kernel's rarer doors, assembled from `seccomp.json`.

Assembled here rather than by libseccomp: the host's libseccomp (2.5 on Debian 12) does not
know the newer calls by name, is one more thing to be missing in a container, and what it
emits cannot be read. A filter is a list of (comment, instruction), so that the golden
listings in the tests say what each line is for. seccomp(2), Documentation/networking/filter.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from errno import EINVAL, ENOMEM, ENOPROTOOPT, ENOSYS, ENOTTY, EOPNOTSUPP, EPERM
from functools import cache
from typing import Literal, Protocol

from sandbox.walls import bpf, seccomp_namespaced, seccomp_on_host
from sandbox.walls.bpf import Instruction
from sandbox.walls.seccomp_namespaced import SOL_SOCKET
from sandbox.walls.syscall_policy import SyscallPolicy, policy

type Profile = Literal["job", "job-without-namespaces", "warm", "warm-without-namespaces"]

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
_NEW_NAMESPACES, _CLONE_PARENT = 0x7E020000, 0x8000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET (clone(2) has no NEWTIME); and a
sibling instead of a child: one said the hello of a fork that then ran outside its cgroup."""
_PR_SET_SECCOMP, _PR_SCHED_CORE, _PR_SET_MEMORY_MERGE = 22, 62, 67
_RWF_NOWAIT, _DONTNEED = 8, 4
"""prctl(2); preadv2(2): only what is there without waiting for the disk; posix_fadvise(2)."""
_HUGE = {"mmap": (3, 0x40000), "memfd_create": (1, 4), "shmget": (2, 0o4000)}
"""By call: where its flags are, and the one for huge pages (MAP_HUGETLB, …)."""
_ATTACHING = (26, 50, 51, 52)
"""SO_ATTACH_FILTER, SO_ATTACH_BPF, and the two of SO_REUSEPORT (asm-generic/socket.h)."""
_ADVICE = (12, 20, 21)
"""MADV_MERGEABLE (what is merged tells by the time of a write what else is there), MADV_COLD and
MADV_PAGEOUT, by which the owner of a file, which a cell of an ordinary user's is, takes it out of
the page cache (madvise(2))."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_ATTRIBUTE_FLAGS = (0x40086602, 0x40046602, 0x401C5820, 0x40806685)
"""FS_IOC_SETFLAGS (and of 32 bits), FSSETXATTR, ENABLE_VERITY: the owner of a file may, so a cell
that shares the worker's user could make an environment or an input immutable."""
_COMMANDS = (
    # FIOSETOWN, SIOCSPGRP, FIOGETOWN, SIOCGPGRP, SIOCATMARK, SIOCGSTAMP, SIOCGSTAMPNS
    *(0x8901, 0x8902, 0x8903, 0x8904, 0x8905, 0x8906, 0x8907),
    # SIOCGIFNAME, CONF, FLAGS, ADDR, DSTADDR, BRDADDR, NETMASK, METRIC, MTU, HWADDR, INDEX,
    # TXQLEN, SIOCETHTOOL, SIOCGIFMAP (netdevice(7)): to be told of interfaces
    *(0x8910, 0x8912, 0x8913, 0x8915, 0x8917, 0x8919, 0x891B, 0x891D, 0x8921, 0x8927, 0x8933),
    *(0x8942, 0x8946, 0x8970),
    # FICLONE, FICLONERANGE, FS_IOC_FIEMAP, GETFLAGS (and of 32 bits), FSGETXATTR: to copy files
    *(0x40049409, 0x4020940D, 0xC020660B, 0x80086601, 0x80046601, 0x801C581F),
    0x80045200,  # RNDGETENTCNT (random(4))
)
_SET_MTU = 0x8922
_F_SETLEASE, _F_NOTIFY, _NEWEST_FCNTL = 1024, 1026, 1038
"""A lease makes open(2) of everybody else wait for up to 45 s (fcntl(2), lease-break-time).
Newer commands, such as F_SETDELEG (1040, Linux 6.19), are as if the kernel did not have them."""
_AT_EMPTY_PATH = 0x1000
_SO_COOKIE, _SO_NETNS_COOKIE = 57, 71
_RLIMIT_CORE = 4
_STOPPING = ("unshare", "setns")
"""Where a warm cell is held by its warden, and what that makes of it (inside/warm/tracee.py)."""


class Surroundings(Protocol):
    """What a filter has because of where its cell is: seccomp_namespaced.py, seccomp_on_host.py."""

    def denied(self, policy: SyscallPolicy) -> Sequence[str]:
        """Return the calls that a cold cell has not."""
        ...

    def denied_warm(self, policy: SyscallPolicy, stopping: Sequence[str]) -> Sequence[str]:
        """Return the calls that a warm cell has not; `stopping` ones are asked of its warden."""
        ...

    def of_user(self, policy: SyscallPolicy) -> Iterable[Instruction]:
        """Return what guards the other processes and files of its user."""
        ...

    def of_signals(self, numbers: dict[str, int]) -> Iterable[Instruction]:
        """Return what lets a fork end itself by SIGKILL, as any process can."""
        ...

    def of_sockets(self, numbers: dict[str, int]) -> Iterable[Instruction]:
        """Return which sockets there are."""
        ...

    def of_socket_options(self) -> list[Instruction]:
        """Return what refuses options of them (setsockopt(2)), and lets the others go on."""
        ...


@dataclass(frozen=True, slots=True)
class _Kind:
    """Where a cell is, and whether a warden holds it."""

    around: Surroundings
    is_warm: bool


_KINDS: dict[Profile, _Kind] = {
    "job": _Kind(seccomp_namespaced, is_warm=False),
    "warm": _Kind(seccomp_namespaced, is_warm=True),
    "job-without-namespaces": _Kind(seccomp_on_host, is_warm=False),
    "warm-without-namespaces": _Kind(seccomp_on_host, is_warm=True),
}


@cache
def program(profile: Profile, *, machine: str) -> bytes:
    """Return the filter for `machine` (x86_64 or aarch64) as the kernel takes it."""
    return b"".join(
        struct.pack("=HBBI", code, when_true, when_false, operand)
        for code, when_true, when_false, operand, _ in instructions(profile, machine=machine)
    )


def instructions(profile: Profile, *, machine: str) -> list[Instruction]:
    """Return the filter as instructions with their reasons.

    `job` is for runs in namespaces of their own. `job-without-namespaces` refuses sockets, but
    for streams in pairs, and System V IPC besides, and protects the user's other processes and
    files. The warm ones are for what imports a package and for its forks: the same, but that the
    warden of a warm cell may make what makes namespaces; to everybody else the kernel does not
    have that (ENOSYS). A fork may mount until it has given up its capabilities, which is looked
    at from outside.
    """
    found, kind = policy(machine), _KINDS[profile]
    around = kind.around
    denied = around.denied_warm(found, _STOPPING) if kind.is_warm else around.denied(found)
    return [
        *_architecture(machine),
        *_unreviewed(found.newest_reviewed),
        *(_stopping(found.numbers) if kind.is_warm else ()),
        *bpf.refused(denied, found.numbers, EPERM),
        *bpf.refused(found.absent, found.numbers, ENOSYS),
        *bpf.refused(found.pretended, found.numbers, 0),
        *_core_limit(found.numbers),
        *around.of_user(found),
        *_conditional(kind, found.numbers),
        Instruction(bpf.RETURN, 0, 0, bpf.ALLOW, "allow the rest"),
    ]


def supports(machine: str) -> bool:
    """Return whether there are syscall numbers for `machine`."""
    return machine in _AUDIT_ARCH


def _architecture(machine: str) -> Iterable[Instruction]:
    yield Instruction(bpf.LOAD, 0, 0, bpf.ARCH, "which architecture is this call made for")
    yield Instruction(bpf.EQUAL, 1, 0, _AUDIT_ARCH[machine], f"{machine}: go on")
    yield Instruction(bpf.RETURN, 0, 0, bpf.KILL_PROCESS, "a foreign ABI is killed")
    yield Instruction(bpf.LOAD, 0, 0, bpf.NR, "the call's number")
    if machine == "x86_64":
        yield Instruction(bpf.AT_LEAST, 0, 1, _X32_BIT, "x32")
        yield Instruction(bpf.RETURN, 0, 0, bpf.KILL_PROCESS, "x32 is a foreign ABI too")


def _unreviewed(newest: int) -> Iterable[Instruction]:
    yield Instruction(bpf.GREATER, 0, 1, newest, "newer than any call that was reviewed")
    yield Instruction(bpf.RETURN, 0, 0, bpf.ERRNO | ENOSYS, "as if the kernel did not have it")


def _core_limit(numbers: dict[str, int]) -> Iterable[Instruction]:
    """Pretend to change RLIMIT_CORE: what hands a dump to nobody is 1, and 0 is not (layout.py).

    Programs set it to 0 for their secrets' sake, and must not fail for it; asking is allowed.
    """
    done = Instruction(bpf.RETURN, 0, 0, bpf.ERRNO, "done, says the answer")
    again = Instruction(bpf.LOAD, 0, 0, bpf.NR, "the call's number, for what comes next")
    high_half = bpf.ARGUMENT_0 + 8 * 2 + 4
    setrlimit = [
        bpf.argument(0),
        Instruction(bpf.EQUAL, 0, 1, _RLIMIT_CORE, "RLIMIT_CORE"),
        done,
        again,
    ]
    prlimit = [
        bpf.argument(1),
        Instruction(bpf.EQUAL, 0, 5, _RLIMIT_CORE, "RLIMIT_CORE"),
        bpf.argument(2),
        Instruction(bpf.EQUAL, 0, 2, 0, "the low half is zero"),
        Instruction(bpf.LOAD, 0, 0, high_half, "argument 2, high half"),
        Instruction(bpf.EQUAL, 1, 0, 0, "it only asks"),
        done,
        again,
    ]
    for name, body in (("setrlimit", setrlimit), ("prlimit64", prlimit)):
        yield Instruction(bpf.EQUAL, 0, len(body), numbers[name], name)
        yield from body


def _stopping(numbers: dict[str, int]) -> Iterable[Instruction]:
    for name in _STOPPING:
        yield Instruction(bpf.EQUAL, 0, 1, numbers[name], name)
        yield Instruction(bpf.RETURN, 0, 0, bpf.TRACE, "the warden's alone")


def _conditional(kind: _Kind, numbers: dict[str, int]) -> Iterable[Instruction]:
    without_clone3 = bpf.errno(ENOSYS, "libc falls back to clone")
    yield from bpf.when(numbers["clone3"], "clone3", [without_clone3])
    answer = bpf.TRACE if kind.is_warm else bpf.ERRNO | EPERM
    wardens = bpf.if_any_bit(0, _NEW_NAMESPACES | _CLONE_PARENT, answer=answer)
    yield from bpf.when(numbers["clone"], "clone", wardens)
    if kind.is_warm:
        yield from kind.around.of_signals(numbers)
    yield from kind.around.of_sockets(numbers)
    options = [*kind.around.of_socket_options(), *_programs()]
    yield from bpf.when(numbers["setsockopt"], "setsockopt", options)
    yield from bpf.when(numbers["ioctl"], "ioctl", _commands(kind))
    yield from bpf.when(numbers["fcntl"], "fcntl", _leases())
    yield from bpf.when(numbers["getsockopt"], "getsockopt", _cookies())
    # As seccomp(2): a filter of a package's own could answer 0 for unshare(2) and setns(2), which
    # the warden has a held import make: two jobs then met in one net namespace. Who has a core for
    # itself (PR_SCHED_CORE) leaves the other half of it idle, for which neighbours pay.
    options_of_process = bpf.if_one_of(0, [_PR_SET_SECCOMP, _PR_SCHED_CORE, _PR_SET_MEMORY_MERGE])
    yield from bpf.when(numbers["prctl"], "prctl", options_of_process)
    # Those that the host has put aside, for a database say, count as nobody's memory.
    for name, (flags_at, huge) in _HUGE.items():
        none_left = bpf.if_any_bit(flags_at, huge, answer=bpf.ERRNO | ENOMEM)
        yield from bpf.when(numbers[name], name, none_left)
    # What is in the page cache tells what others have read of the files that all of them see.
    forgotten = bpf.if_one_of(3, [_DONTNEED], error=0)
    yield from bpf.when(numbers["fadvise64"], "fadvise64", forgotten)
    yield from bpf.when(numbers["madvise"], "madvise", bpf.if_one_of(2, _ADVICE, error=0))
    at_once = bpf.if_any_bit(5, _RWF_NOWAIT, answer=bpf.ERRNO | EOPNOTSUPP)
    yield from bpf.when(numbers["preadv2"], "preadv2", at_once)
    ordinary = bpf.only(0, [0, 0xFFFFFFFF], EPERM)
    yield from bpf.when(numbers["personality"], "personality", ordinary)
    nameless = bpf.if_any_bit(4, _AT_EMPTY_PATH)
    yield from bpf.when(numbers["execveat"], "execveat", nameless)


def _commands(kind: _Kind) -> list[Instruction]:
    """Allow the commands that programs give, by ioctl(2): it has hundreds, for each file system.

    One of btrfs writes back all of it, for anybody; that of bridges loads a module of the kernel
    before it asks who may. A warden has a held process set an MTU (inside/warm/net_namespaces.py).
    """
    allowed = [*_COMMANDS, _SET_MTU] if kind.is_warm else _COMMANDS
    return [
        *bpf.if_one_of(1, [_TIOCSTI, _TIOCLINUX, *_ATTRIBUTE_FLAGS]),
        Instruction(bpf.AND, 0, 0, 0xFFFFFF00, "what it is about"),
        Instruction(bpf.EQUAL, len(allowed) + 2, 0, 0x5400, "terminals, and streams of any kind"),
        *bpf.only(1, allowed, ENOTTY),
    ]


def _programs() -> list[Instruction]:
    """Refuse programs for sockets (SO_ATTACH_FILTER and its kin, socket(7)).

    What they are compiled to is counted for nobody (111 MB were held with a limit of 160), and
    bounded for the whole host: who uses it up lets no other filter of seccomp be loaded.
    """
    return [
        bpf.argument(1),
        Instruction(bpf.EQUAL, 0, 2 + len(_ATTACHING), SOL_SOCKET, "of any socket"),
        *bpf.if_one_of(2, _ATTACHING),
    ]


def _leases() -> list[Instruction]:
    """Refuse to make others wait for a file, or to be told of them; the kernel takes 32 bits."""
    return [
        *bpf.if_one_of(1, [_F_SETLEASE, _F_NOTIFY]),
        Instruction(bpf.GREATER, 0, 1, _NEWEST_FCNTL, "newer than any command that was reviewed"),
        bpf.errno(EINVAL, "as if the kernel did not have it"),
    ]


def _cookies() -> list[Instruction]:
    """Refuse SO_COOKIE and SO_NETNS_COOKIE: numbers that the kernel counts up for everybody.

    The next run would read from its own how many sockets the one before had made.
    """
    return [
        bpf.argument(1),
        Instruction(bpf.EQUAL, 0, 4, SOL_SOCKET, "of sockets themselves"),
        bpf.argument(2),
        Instruction(bpf.EQUAL, 1, 0, _SO_COOKIE, "SO_COOKIE"),
        Instruction(bpf.EQUAL, 0, 1, _SO_NETNS_COOKIE, "SO_NETNS_COOKIE"),
        bpf.errno(ENOPROTOOPT, "as if the kernel did not have it"),
    ]
