"""What a seccomp filter has for a cell in namespaces of its own: nothing of the host's to guard.

Its sockets are in a network namespace with nothing in it, its signals reach its own pid namespace
and its IPC nobody else's, so what is left is what reaches the kernel itself.
"""

from collections.abc import Iterable, Sequence
from errno import EAFNOSUPPORT, ENOPROTOOPT, EOPNOTSUPP, EPERM

from sandbox.walls import bpf
from sandbox.walls.bpf import Instruction
from sandbox.walls.syscall_policy import SyscallPolicy

_FIRST, _SIGKILL = 1, 9
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_SOCK_RAW, _SOCK_PACKET = 3, 10
_SOCK_TYPE_MASK = 0xF
_MSG_MORE = 0x8000
_FLAGS_OF_SENDING = {"sendto": 3, "sendmsg": 2, "sendmmsg": 3}
"""Which argument they are, by call (send(2), sendmmsg(2))."""
_SOL_UDP, _SOL_UDPLITE, _UDP_CORK = 17, 136, 1
_SOL_IPV6 = 41
_JOINING = (20, 27, 35, 39, 42, 46)
"""IPV6_ADD_MEMBERSHIP, IPV6_JOIN_ANYCAST, IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP,
MCAST_JOIN_GROUP and MCAST_JOIN_SOURCE_GROUP (linux/in.h, linux/in6.h); of the other protocol these
numbers are of options that a run has no use for."""


def denied(policy: SyscallPolicy) -> Sequence[str]:
    """Return the calls that a cold cell has not."""
    return policy.denied


def denied_warm(policy: SyscallPolicy, stopping: Sequence[str]) -> Sequence[str]:
    """Return the calls that a warm cell has not: its forks mount until they give up their power.

    That they have given it up is looked at from outside (cells/inspection.py).
    """
    allowed = {"mount", *stopping}
    return [name for name in policy.denied if name not in allowed]


def of_user(policy: SyscallPolicy) -> Iterable[Instruction]:
    """Return what guards the other processes of its user: it reaches none."""
    del policy
    return ()


def of_signals(numbers: dict[str, int]) -> Iterable[Instruction]:
    """Answer SIGKILL from a fork to itself, the first of its pid namespace (own_signals.py)."""
    yield from bpf.when(numbers["kill"], "kill", _kill_of_the_first(1))
    yield from bpf.when(numbers["tgkill"], "tgkill", _kill_of_the_first(2))


def of_sockets(numbers: dict[str, int]) -> Iterable[Instruction]:
    """Allow UNIX and IP sockets, which its network namespace leads nowhere, but no raw ones."""
    yield from bpf.when(numbers["socket"], "socket", _socket_families())
    pair = bpf.only(0, [_AF_UNIX], EAFNOSUPPORT)
    yield from bpf.when(numbers["socketpair"], "socketpair", pair)
    for name, flags in _FLAGS_OF_SENDING.items():
        more = bpf.if_any_bit(flags, _MSG_MORE, answer=bpf.ERRNO | EOPNOTSUPP)
        yield from bpf.when(numbers[name], name, more)


def of_socket_options() -> list[Instruction]:
    """Refuse options by which datagrams are held back, or groups joined."""
    return [*_corks(), *_groups()]


def _corks() -> list[Instruction]:
    """Refuse to hold datagrams back (UDP_CORK, udp(7)), as MSG_MORE is (send(2)).

    What is held back counts as its bytes alone, and keeps whole pages: 32 KiB for one byte, 544 KiB
    for a socket, of which 692 MB were held with a limit of 160 (measured). Datagrams to 0.0.0.0 are
    taken in a net namespace of which nothing is up, too.
    """
    return [
        bpf.argument(1),
        Instruction(bpf.EQUAL, 1, 0, _SOL_UDP, "of UDP"),
        Instruction(bpf.EQUAL, 0, 3, _SOL_UDPLITE, "of UDP-Lite"),
        bpf.argument(2),
        Instruction(bpf.EQUAL, 0, 1, _UDP_CORK, "UDP_CORK"),
        bpf.errno(ENOPROTOOPT, "as if the kernel did not have it"),
    ]


def _groups() -> list[Instruction]:
    """Refuse to join groups (ip(7), ipv6(7)): the kernel tells of it a moment later, by itself.

    What it then counts in the net namespace, which was looked at when it was given back, told the
    next run of a warm cell how many groups the one before had joined.
    """
    return [
        bpf.argument(1),
        Instruction(bpf.EQUAL, 1, 0, 0, "of IP"),
        Instruction(bpf.EQUAL, 0, 2 + len(_JOINING), _SOL_IPV6, "of IPv6"),
        bpf.argument(2),
        *(
            Instruction(bpf.EQUAL, len(_JOINING) - 1 - at, 0, name, "to join a group")
            for at, name in enumerate(_JOINING[:-1])
        ),
        Instruction(bpf.EQUAL, 0, 1, _JOINING[-1], "to join a group"),
        bpf.errno(ENOPROTOOPT, "as if the kernel did not have it"),
    ]


def _kill_of_the_first(signal_at: int) -> list[Instruction]:
    """Answer SIGKILL to the first process of a pid namespace with SIGSYS (see own_signals.py).

    A fork of a warm cell is that, and the kernel lets it ignore what it would die of from within
    (pid_namespaces(7)).
    """
    return [
        bpf.argument(0),
        Instruction(bpf.EQUAL, 0, 3, _FIRST, "to the first process"),
        bpf.argument(signal_at),
        Instruction(bpf.EQUAL, 0, 1, _SIGKILL, "SIGKILL"),
        Instruction(bpf.RETURN, 0, 0, bpf.TRAP, "it ends by SIGSYS, which says so"),
    ]


def _socket_families() -> list[Instruction]:
    families = [_AF_UNIX, _AF_INET, _AF_INET6]
    return [
        *bpf.only(0, families, EAFNOSUPPORT),
        bpf.argument(1),
        Instruction(bpf.AND, 0, 0, _SOCK_TYPE_MASK, "the type without its flags"),
        Instruction(bpf.EQUAL, 1, 0, _SOCK_RAW, "raw"),
        Instruction(bpf.EQUAL, 0, 1, _SOCK_PACKET, "packet"),
        bpf.errno(EPERM, "no raw sockets"),
    ]
