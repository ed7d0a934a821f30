"""What a seccomp filter has for a cell that shares the host's namespaces and, often, its user.

The host's sockets, System V IPC, and every process and file of that user are in its reach, so they
are guarded here, call by call.
"""

from collections.abc import Iterable, Sequence
from errno import EAFNOSUPPORT, EINVAL, EOPNOTSUPP, EPERM

from sandbox.walls import bpf
from sandbox.walls.bpf import Instruction
from sandbox.walls.syscall_policy import SyscallPolicy

_AF_UNIX, _SOCK_STREAM = 1, 1
_OWN_CLOCKS = 0xFFFFFFF8
"""The complement of pid 0, and three bits for which clock of it."""
_SOCK_TYPE_MASK = 0xF


def denied(policy: SyscallPolicy) -> Sequence[str]:
    """Return the calls that a cold cell has not."""
    return [*policy.denied, *policy.denied_without_namespaces]


def denied_warm(policy: SyscallPolicy, stopping: Sequence[str]) -> Sequence[str]:
    """Return the calls that a warm cell has not, but for those that stop it for its warden."""
    return [name for name in denied(policy) if name not in stopping]


def of_user(policy: SyscallPolicy) -> Iterable[Instruction]:
    """Protect the other processes and files of a user that cell and worker may share.

    Landlock does not cover modes, owners and times: changing those is answered with success
    and not done, since copying a file (shutil.copy) must not fail for it. To give a path the time
    of now is refused: pathlib's touch asks for that first, and makes the file where it fails.
    """
    yield from bpf.refused(policy.pretended_without_namespaces, policy.numbers, 0)
    for name, (path, times) in policy.pretended_with_times.items():
        if name in policy.numbers:
            yield from bpf.when(policy.numbers[name], name, _times(path, times))
    for name, oneself in policy.on_oneself_only.items():
        tests = [bpf.only(index, [value], EPERM) for index, value in enumerate(oneself)]
        yield from bpf.when(policy.numbers[name], name, [line for test in tests for line in test])
    # As of a file system without any: shutil.copy2 asks for them, and goes on.
    yield from bpf.refused(policy.attributes_of_paths, policy.numbers, EOPNOTSUPP)
    for name in policy.clocks_of_others:
        yield from bpf.when(policy.numbers[name], name, _clocks())


def of_signals(numbers: dict[str, int]) -> Iterable[Instruction]:
    """Return what a fork needs to end itself by SIGKILL: nothing, as it is no first process."""
    del numbers
    return ()


def of_sockets(numbers: dict[str, int]) -> Iterable[Instruction]:
    """Allow pairs of streams alone: the call `socket` is denied, and no address goes with a send.

    A datagram socket of a pair can be sent, or connected, to any other; a stream of a pair is
    connected for good, and the kernel refuses an address with it (EISCONN, unix(7)).
    """
    yield from bpf.when(numbers["socketpair"], "socketpair", _pairs_of_streams())
    yield from bpf.when(numbers["sendto"], "sendto", bpf.if_not_null(4))


def of_socket_options() -> list[Instruction]:
    """Refuse none: pairs of streams have no such options."""
    return []


def _pairs_of_streams() -> list[Instruction]:
    return [
        *bpf.only(0, [_AF_UNIX], EAFNOSUPPORT),
        bpf.argument(1),
        Instruction(bpf.AND, 0, 0, _SOCK_TYPE_MASK, "the type without its flags"),
        Instruction(bpf.EQUAL, 1, 0, _SOCK_STREAM, "streams are allowed"),
        bpf.errno(EPERM, "no datagrams, which can be sent to anybody"),
    ]


def _clocks() -> list[Instruction]:
    """Refuse the clocks of other processes, which tell how much of a processor they have used.

    Such a clock has the complement of a pid in its upper bits (posix-timers.h); one's own has none.
    """
    return [
        bpf.argument(0),
        Instruction(bpf.ANY_BIT, 0, 2, 0x80000000, "of a process or thread"),
        Instruction(bpf.AT_LEAST, 1, 0, _OWN_CLOCKS, "its own"),
        bpf.errno(EINVAL, "no such clock"),
    ]


def _times(path: int, times: int) -> list[Instruction]:
    """Refuse a path without times, each a pointer of two halves; pretend to do all else."""
    high = bpf.ARGUMENT_0 + 4
    return [
        bpf.argument(times),
        Instruction(bpf.EQUAL, 0, 7, 0, "no times, in the low half"),
        Instruction(bpf.LOAD, 0, 0, high + 8 * times, f"argument {times}, high half"),
        Instruction(bpf.EQUAL, 0, 5, 0, "no times at all: now"),
        bpf.argument(path),
        Instruction(bpf.EQUAL, 0, 2, 0, "no path, in the low half"),
        Instruction(bpf.LOAD, 0, 0, high + 8 * path, f"argument {path}, high half"),
        Instruction(bpf.EQUAL, 1, 0, 0, "no path: a descriptor"),
        bpf.errno(EPERM, "a path, and now: it may not be there"),
        bpf.errno(0, "done, says the answer"),
    ]
