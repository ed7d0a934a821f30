"""What a seccomp filter has for a cell in namespaces of its own: nothing of the host's to guard.

Its sockets are in a network namespace with nothing in it, its signals reach its own pid namespace
and its IPC nobody else's, so what is left is what reaches the kernel itself.
"""

from collections.abc import Iterable, Sequence
from errno import EAFNOSUPPORT, ENOPROTOOPT, EOPNOTSUPP, EPERM, EPROTONOSUPPORT

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
_IPPROTO_TCP, _IPPROTO_UDP = 6, 17
SOL_SOCKET = 1
_OPTIONS: dict[int, tuple[str, tuple[int, ...]]] = {
    # IP_TOS, TTL, RECVOPTS, PKTINFO, MTU_DISCOVER, RECVERR, RECVTTL, RECVTOS, FREEBIND,
    # BIND_ADDRESS_NO_PORT, MULTICAST_IF, MULTICAST_TTL, MULTICAST_LOOP (linux/in.h)
    0: ("IP", (1, 2, 6, 8, 10, 11, 12, 13, 15, 24, 32, 33, 34)),
    # NODELAY, MAXSEG, CORK, KEEPIDLE, KEEPINTVL, KEEPCNT, SYNCNT, LINGER2, DEFER_ACCEPT,
    # WINDOW_CLAMP, QUICKACK, CONGESTION, USER_TIMEOUT, FASTOPEN, TIMESTAMP, NOTSENT_LOWAT,
    # FASTOPEN_CONNECT, INQ (linux/tcp.h)
    6: ("TCP", (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 18, 23, 24, 25, 30, 36)),
    17: ("UDP", (103, 104)),  # UDP_SEGMENT, UDP_GRO (linux/udp.h)
    # UNICAST_HOPS, MULTICAST_IF, MULTICAST_HOPS, MULTICAST_LOOP, MTU_DISCOVER, MTU, RECVERR,
    # V6ONLY, RECVPKTINFO, RECVHOPLIMIT, DONTFRAG, RECVTCLASS, TCLASS (linux/in6.h)
    41: ("IPv6", (16, 17, 18, 19, 23, 24, 25, 26, 49, 51, 62, 66, 67)),
}
"""By level (setsockopt(2)): what programs set, and nothing that has memory of its own."""


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
    yield from bpf.when(numbers["socket"], "socket", _kinds_of_sockets())
    pair = bpf.only(0, [_AF_UNIX], EAFNOSUPPORT)
    yield from bpf.when(numbers["socketpair"], "socketpair", pair)
    for name, flags in _FLAGS_OF_SENDING.items():
        more = bpf.if_any_bit(flags, _MSG_MORE, answer=bpf.ERRNO | EOPNOTSUPP)
        yield from bpf.when(numbers[name], name, more)


def of_socket_options() -> list[Instruction]:
    """Allow the options that programs set, of the levels that they have: an unknown one may keep.

    What an option keeps counts for nobody: 157 KB in keys for signatures (TCP_MD5SIG, 14), up to
    `net.core.optmem_max` in each socket. IPv6 flow labels (IPV6_FLOWLABEL_MGR, 32) are one number
    for the whole host, and last on for a minute after their socket. UDP_CORK (1 of UDP) holds
    datagrams back as MSG_MORE does. Of groups that are joined (IP_ADD_MEMBERSHIP, 35, and kin) the
    kernel tells a moment later, by itself: the next run of a warm cell counted those of the last.
    """
    lines: list[Instruction] = [bpf.argument(1)]
    for level, (name, allowed) in _OPTIONS.items():
        body = bpf.only(2, allowed, ENOPROTOOPT)
        lines.append(Instruction(bpf.EQUAL, 0, len(body) + 1, level, f"of {name}"))
        lines += [*body, Instruction(bpf.RETURN, 0, 0, bpf.ALLOW, "it keeps nothing")]
    lines.append(Instruction(bpf.EQUAL, 1, 0, SOL_SOCKET, "of any socket"))
    return [*lines, bpf.errno(ENOPROTOOPT, "no other level")]


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


def _kinds_of_sockets() -> list[Instruction]:
    """Allow UNIX sockets, TCP and UDP: what else may have a number loads modules of the kernel."""
    return [
        *bpf.only(0, [_AF_UNIX, _AF_INET, _AF_INET6], EAFNOSUPPORT),
        bpf.argument(1),
        Instruction(bpf.AND, 0, 0, _SOCK_TYPE_MASK, "the type without its flags"),
        Instruction(bpf.EQUAL, 1, 0, _SOCK_RAW, "raw"),
        Instruction(bpf.EQUAL, 0, 1, _SOCK_PACKET, "packet"),
        bpf.errno(EPERM, "no raw sockets"),
        *bpf.only(2, [0, _IPPROTO_TCP, _IPPROTO_UDP], EPROTONOSUPPORT),
    ]
