"""seccomp: the filter that shuts the kernel's rarer doors, assembled from `seccomp.json`.

Assembled here rather than by libseccomp: the host's libseccomp (2.5 on Debian 12) does not
know the newer calls by name, is one more thing to be missing in a container, and what it
emits cannot be read. A filter is a list of (comment, instruction), so that the golden
listings in the tests say what each line is for. seccomp(2), Documentation/networking/filter.
"""

import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from errno import EAFNOSUPPORT, EINVAL, ENOPROTOOPT, ENOSYS, EPERM
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

type Profile = Literal["job", "job-without-namespaces", "warm", "warm-without-namespaces"]

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
_NR, _ARCH, _ARGUMENT_0 = 0, 4, 16
_LOAD, _RETURN, _AND, _GOTO = 0x20, 0x06, 0x54, 0x05
_EQUAL, _GREATER, _AT_LEAST, _ANY_BIT = 0x15, 0x25, 0x35, 0x45
_KILL_PROCESS, _TRACE, _ERRNO, _ALLOW = 0x80000000, 0x7FF00000, 0x00050000, 0x7FFF0000
_TRAP = 0x00030000
_FIRST, _SIGKILL = 1, 9
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_SOCK_STREAM, _SOCK_RAW, _SOCK_PACKET = 1, 3, 10
_SOCK_TYPE_MASK = 0xF
_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET (clone(2) has no NEWTIME)."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_ATTRIBUTE_FLAGS = (0x40086602, 0x40046602, 0x401C5820, 0x40806685)
"""FS_IOC_SETFLAGS (and of 32 bits), FSSETXATTR, ENABLE_VERITY: the owner of a file may, so a cell
that shares the worker's user could make an environment or an input immutable."""
_F_SETLEASE, _F_NOTIFY, _NEWEST_FCNTL = 1024, 1026, 1038
"""A lease makes open(2) of everybody else wait for up to 45 s (fcntl(2), lease-break-time).
Newer commands, such as F_SETDELEG (1040, Linux 6.19), are as if the kernel did not have them."""
_AT_EMPTY_PATH = 0x1000
_SOL_SOCKET, _SO_COOKIE, _SO_NETNS_COOKIE = 1, 57, 71
_RLIMIT_CORE = 4
_STOPPING = ("unshare", "setns")
"""Where a warm cell is held by its warden, and what that makes of it (inside/warm/tracee.py)."""
_FOR_FORKS = {"mount", *_STOPPING}


class Instruction(NamedTuple):
    """One classic BPF instruction, and what it is for."""

    code: int
    when_true: int
    when_false: int
    operand: int
    why: str


@dataclass(frozen=True, slots=True)
class _Policy:
    newest_reviewed: int
    denied: tuple[str, ...]
    denied_without_namespaces: tuple[str, ...]
    pretended: tuple[str, ...]
    pretended_with_times: dict[str, list[int]]
    """By call: which arguments are the path and the times."""
    on_oneself_only: dict[str, list[int]]
    """By call: what its first arguments must be to mean the caller alone, not all of its user's."""
    numbers: dict[str, int]


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
    policy = _policy(machine)
    is_warm = profile.startswith("warm")
    return [
        *_architecture(machine),
        *_unreviewed(policy.newest_reviewed),
        *(_stopping(policy.numbers) if is_warm else ()),
        *_refused(_denied(policy, profile), policy.numbers, EPERM),
        *_core_limit(policy.numbers),
        *_shared_user(policy, profile),
        *_conditional(profile, policy.numbers),
        Instruction(_RETURN, 0, 0, _ALLOW, "allow the rest"),
    ]


def supports(machine: str) -> bool:
    """Return whether there are syscall numbers for `machine`."""
    return machine in _AUDIT_ARCH


@cache
def _policy(machine: str) -> _Policy:
    text = Path(__file__).with_name("seccomp.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    policy = loaded["policy"]
    return _Policy(
        newest_reviewed=policy["newest_reviewed"],
        denied=tuple(name for names in policy["denied"].values() for name in names),
        denied_without_namespaces=(
            *policy["denied_without_ipc_namespace"],
            *policy["denied_without_namespaces"],
            "socket",
        ),
        pretended=tuple(policy["pretended_without_namespaces"]),
        pretended_with_times=policy["pretended_where_a_time_is_given"],
        on_oneself_only=policy["on_oneself_only_without_namespaces"],
        numbers=loaded["numbers"][machine],
    )


def _denied(policy: _Policy, profile: Profile) -> list[str]:
    if profile == "warm":
        return [name for name in policy.denied if name not in _FOR_FORKS]
    if _has_namespaces(profile):
        return list(policy.denied)
    denied = [*policy.denied, *policy.denied_without_namespaces]
    return [
        name for name in denied if profile != "warm-without-namespaces" or name not in _STOPPING
    ]


def _has_namespaces(profile: Profile) -> bool:
    return not profile.endswith("-without-namespaces")


def _architecture(machine: str) -> Iterable[Instruction]:
    yield Instruction(_LOAD, 0, 0, _ARCH, "which architecture is this call made for")
    yield Instruction(_EQUAL, 1, 0, _AUDIT_ARCH[machine], f"{machine}: go on")
    yield Instruction(_RETURN, 0, 0, _KILL_PROCESS, "a foreign ABI is killed")
    yield Instruction(_LOAD, 0, 0, _NR, "the call's number")
    if machine == "x86_64":
        yield Instruction(_AT_LEAST, 0, 1, _X32_BIT, "x32")
        yield Instruction(_RETURN, 0, 0, _KILL_PROCESS, "x32 is a foreign ABI too")


def _unreviewed(newest: int) -> Iterable[Instruction]:
    yield Instruction(_GREATER, 0, 1, newest, "newer than any call that was reviewed")
    yield Instruction(_RETURN, 0, 0, _ERRNO | ENOSYS, "as if the kernel did not have it")


def _core_limit(numbers: dict[str, int]) -> Iterable[Instruction]:
    """Pretend to change RLIMIT_CORE: what hands a dump to nobody is 1, and 0 is not (layout.py).

    Programs set it to 0 for their secrets' sake, and must not fail for it; asking is allowed.
    """
    done = Instruction(_RETURN, 0, 0, _ERRNO, "done, says the answer")
    again = Instruction(_LOAD, 0, 0, _NR, "the call's number, for what comes next")
    setrlimit = [
        _argument(0),
        Instruction(_EQUAL, 0, 1, _RLIMIT_CORE, "RLIMIT_CORE"),
        done,
        again,
    ]
    prlimit = [
        _argument(1),
        Instruction(_EQUAL, 0, 5, _RLIMIT_CORE, "RLIMIT_CORE"),
        _argument(2),
        Instruction(_EQUAL, 0, 2, 0, "the low half is zero"),
        Instruction(_LOAD, 0, 0, _ARGUMENT_0 + 8 * 2 + 4, "argument 2, high half"),
        Instruction(_EQUAL, 1, 0, 0, "it only asks"),
        done,
        again,
    ]
    for name, body in (("setrlimit", setrlimit), ("prlimit64", prlimit)):
        yield Instruction(_EQUAL, 0, len(body), numbers[name], name)
        yield from body


def _shared_user(policy: _Policy, profile: Profile) -> Iterable[Instruction]:
    """Protect the other processes and files of a user that cell and worker may share.

    Landlock does not cover modes, owners and times: changing those is answered with success
    and not done, since copying a file (shutil.copy) must not fail for it. To give a path the time
    of now is refused: pathlib's touch asks for that first, and makes the file where it fails.
    """
    if _has_namespaces(profile):
        return
    yield from _refused(policy.pretended, policy.numbers, 0)
    for name, (path, times) in policy.pretended_with_times.items():
        if name in policy.numbers:
            yield from _when(policy.numbers[name], name, _times(path, times))
    for name, oneself in policy.on_oneself_only.items():
        tests = [_only(index, [value], EPERM) for index, value in enumerate(oneself)]
        yield from _when(policy.numbers[name], name, [line for test in tests for line in test])


def _times(path: int, times: int) -> list[Instruction]:
    """Refuse a path without times, each a pointer of two halves; pretend to do all else."""
    high = _ARGUMENT_0 + 4
    return [
        _argument(times),
        Instruction(_EQUAL, 0, 7, 0, "no times, in the low half"),
        Instruction(_LOAD, 0, 0, high + 8 * times, f"argument {times}, high half"),
        Instruction(_EQUAL, 0, 5, 0, "no times at all: now"),
        _argument(path),
        Instruction(_EQUAL, 0, 2, 0, "no path, in the low half"),
        Instruction(_LOAD, 0, 0, high + 8 * path, f"argument {path}, high half"),
        Instruction(_EQUAL, 1, 0, 0, "no path: a descriptor"),
        _errno(EPERM, "a path, and now: it may not be there"),
        _errno(0, "done, says the answer"),
    ]


def _refused(names: Iterable[str], numbers: dict[str, int], error: int) -> Iterable[Instruction]:
    present = [name for name in names if name in numbers]
    for position, name in enumerate(present):
        distance = len(present) - position
        yield Instruction(_EQUAL, distance, 0, numbers[name], name)
    yield Instruction(_GOTO, 0, 0, 1, "none of them")
    yield Instruction(
        _RETURN, 0, 0, _ERRNO | error, "refused" if error else "done, says the answer"
    )


def _stopping(numbers: dict[str, int]) -> Iterable[Instruction]:
    for name in _STOPPING:
        yield Instruction(_EQUAL, 0, 1, numbers[name], name)
        yield Instruction(_RETURN, 0, 0, _TRACE, "the warden's alone")


def _conditional(profile: Profile, numbers: dict[str, int]) -> Iterable[Instruction]:
    yield from _when(numbers["clone3"], "clone3", [_errno(ENOSYS, "libc falls back to clone")])
    answer = _ERRNO | EPERM
    if profile.startswith("warm"):
        answer = _TRACE
    yield from _when(numbers["clone"], "clone", _if_any_bit(0, _NEW_NAMESPACES, answer=answer))
    if profile == "warm":
        yield from _when(numbers["kill"], "kill", _kill_of_the_first(1))
        yield from _when(numbers["tgkill"], "tgkill", _kill_of_the_first(2))
    if _has_namespaces(profile):
        yield from _when(numbers["socket"], "socket", _socket_families())
    yield from _when(numbers["socketpair"], "socketpair", _pair(profile))
    if not _has_namespaces(profile):
        yield from _when(numbers["sendto"], "sendto", _if_not_null(4))
    refused = [_TIOCSTI, _TIOCLINUX, *_ATTRIBUTE_FLAGS]
    yield from _when(numbers["ioctl"], "ioctl", _if_one_of(1, refused))
    yield from _when(numbers["fcntl"], "fcntl", _leases())
    yield from _when(numbers["getsockopt"], "getsockopt", _cookies())
    yield from _when(numbers["personality"], "personality", _only(0, [0, 0xFFFFFFFF], EPERM))
    yield from _when(numbers["execveat"], "execveat", _if_any_bit(4, _AT_EMPTY_PATH))


def _when(number: int, name: str, body: Sequence[Instruction]) -> Iterable[Instruction]:
    """Run `body`, which ends in returns, for this call only."""
    whole = [*body, Instruction(_RETURN, 0, 0, _ALLOW, f"this {name} is allowed")]
    yield Instruction(_EQUAL, 0, len(whole), number, name)
    yield from whole


def _kill_of_the_first(signal_at: int) -> list[Instruction]:
    """Answer SIGKILL to the first process of a pid namespace with SIGSYS (see own_signals.py).

    A fork of a warm cell is that, and the kernel lets it ignore what it would die of from within
    (pid_namespaces(7)).
    """
    return [
        _argument(0),
        Instruction(_EQUAL, 0, 3, _FIRST, "to the first process"),
        _argument(signal_at),
        Instruction(_EQUAL, 0, 1, _SIGKILL, "SIGKILL"),
        Instruction(_RETURN, 0, 0, _TRAP, "it ends by SIGSYS, which says so"),
    ]


def _pair(profile: Profile) -> list[Instruction]:
    """Refuse pairs that are not UNIX; where the host's sockets are in reach, all but streams.

    A datagram socket of a pair can be sent, or connected, to any other; a stream of a pair is
    connected for good, and the kernel refuses an address with it (EISCONN, unix(7)).
    """
    families = _only(0, [_AF_UNIX], EAFNOSUPPORT)
    if _has_namespaces(profile):
        return families
    return [
        *families,
        _argument(1),
        Instruction(_AND, 0, 0, _SOCK_TYPE_MASK, "the type without its flags"),
        Instruction(_EQUAL, 1, 0, _SOCK_STREAM, "streams are allowed"),
        _errno(EPERM, "no datagrams, which can be sent to anybody"),
    ]


def _leases() -> list[Instruction]:
    """Refuse to make others wait for a file, or to be told of them; the kernel takes 32 bits."""
    return [
        *_if_one_of(1, [_F_SETLEASE, _F_NOTIFY]),
        Instruction(_GREATER, 0, 1, _NEWEST_FCNTL, "newer than any command that was reviewed"),
        _errno(EINVAL, "as if the kernel did not have it"),
    ]


def _cookies() -> list[Instruction]:
    """Refuse SO_COOKIE and SO_NETNS_COOKIE: numbers that the kernel counts up for everybody.

    The next run would read from its own how many sockets the one before had made.
    """
    return [
        _argument(1),
        Instruction(_EQUAL, 0, 4, _SOL_SOCKET, "of sockets themselves"),
        _argument(2),
        Instruction(_EQUAL, 1, 0, _SO_COOKIE, "SO_COOKIE"),
        Instruction(_EQUAL, 0, 1, _SO_NETNS_COOKIE, "SO_NETNS_COOKIE"),
        _errno(ENOPROTOOPT, "as if the kernel did not have it"),
    ]


def _if_not_null(index: int) -> list[Instruction]:
    """Refuse a pointer of which either half is not zero."""
    return [
        _argument(index),
        Instruction(_EQUAL, 0, 2, 0, "the low half is zero"),
        Instruction(_LOAD, 0, 0, _ARGUMENT_0 + 8 * index + 4, f"argument {index}, high half"),
        Instruction(_EQUAL, 1, 0, 0, "none is given"),
        _errno(EPERM, "no address"),
    ]


def _socket_families() -> list[Instruction]:
    families = [_AF_UNIX, _AF_INET, _AF_INET6]
    return [
        *_only(0, families, EAFNOSUPPORT),
        _argument(1),
        Instruction(_AND, 0, 0, _SOCK_TYPE_MASK, "the type without its flags"),
        Instruction(_EQUAL, 1, 0, _SOCK_RAW, "raw"),
        Instruction(_EQUAL, 0, 1, _SOCK_PACKET, "packet"),
        _errno(EPERM, "no raw sockets"),
    ]


def _only(index: int, allowed: Sequence[int], error: int) -> list[Instruction]:
    """Refuse with `error` unless the low half of the argument is one of `allowed`."""
    tests = [
        Instruction(_EQUAL, len(allowed) - position, 0, value, f"{value:#x} is allowed")
        for position, value in enumerate(allowed)
    ]
    return [_argument(index), *tests, _errno(error, "no other")]


def _if_one_of(index: int, refused: Sequence[int]) -> list[Instruction]:
    tests = [
        Instruction(_EQUAL, len(refused) - 1 - position, 0, value, f"{value:#x} is refused")
        for position, value in enumerate(refused[:-1])
    ]
    last = Instruction(_EQUAL, 0, 1, refused[-1], f"{refused[-1]:#x} is refused")
    return [_argument(index), *tests, last, _errno(EPERM, "refused")]


def _if_any_bit(index: int, bits: int, *, answer: int = _ERRNO | EPERM) -> list[Instruction]:
    why = "the warden's alone" if answer == _TRACE else "refused"
    return [
        _argument(index),
        Instruction(_ANY_BIT, 0, 1, bits, f"any of {bits:#x}"),
        Instruction(_RETURN, 0, 0, answer, why),
    ]


def _argument(index: int) -> Instruction:
    return Instruction(_LOAD, 0, 0, _ARGUMENT_0 + 8 * index, f"argument {index}, low half")


def _errno(code: int, why: str) -> Instruction:
    return Instruction(_RETURN, 0, 0, _ERRNO | code, why)
