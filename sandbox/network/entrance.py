"""Makes a relay's listening sockets inside a cell's net namespace, and brings them out.

A socket belongs to the namespace that it was made in, whoever holds it (network_namespaces(7)).
So a child goes in, makes them, hands them over and ends; the relay itself never leaves the
host's network, and nothing of the host's ever goes in.
"""

import errno
import os
import socket
import struct
from collections.abc import Sequence

from frozen.values import frozen
from sandbox.network.names import FIRST, PREFIX_BITS
from sandbox.network_rules import RESOLVER_PORT

_BACKLOG = 32
_BUFFER_BYTES = 131_072
_ANY = "0.0.0.0"  # noqa: S104 – any address in a namespace that has nothing but loopback
_LOOPBACK_INDEX = 1
_NLMSG, _RTMSG, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=8BI"), struct.Struct("=HH")
_RTM_NEWROUTE, _REQUEST_ACK_CREATE_EXCL = 24, 0x0001 | 0x0004 | 0x0400 | 0x0200
_TABLE_LOCAL, _BY_ADMIN, _SCOPE_HOST, _LOCAL = 255, 4, 254, 2
_RTA_DST, _RTA_OIF = 1, 4
_ERROR_BYTES = 4096


@frozen
class Sockets:
    """Where a cell reaches its relay: the resolver's two sockets, and a listener for each port."""

    datagrams: socket.socket
    resolver: socket.socket
    listeners: tuple[tuple[int, socket.socket], ...]


def enter(*, network_fd: int, user_fd: int, ports: Sequence[int]) -> Sockets:
    """Return the sockets, made in the namespaces with these descriptors. Raises OSError.

    For a process with one thread: setns(2) refuses a user namespace to any other.
    """
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        _be_child(theirs, network_fd=network_fd, user_fd=user_fd, ports=ports)
    theirs.close()
    with ours:
        said, fds, _, _ = socket.recv_fds(ours, _ERROR_BYTES, 2 + len(ports))
    os.waitpid(child, 0)
    if said != b"made" or len(fds) != 2 + len(ports):
        raise OSError(errno.EPERM, said.decode(errors="replace") or "whoever went in ended there")
    datagrams, resolver, *listeners = (socket.socket(fileno=fd) for fd in fds)
    for sock in (datagrams, resolver, *listeners):
        sock.setblocking(False)
    return Sockets(
        datagrams=datagrams,
        resolver=resolver,
        listeners=tuple(zip(ports, listeners, strict=True)),
    )


def fix_buffers(sock: socket.socket) -> None:
    """Keep the kernel from letting a connection grow to tcp_rmem's 6 MiB and more (tcp(7)).

    What waits in them is kernel memory of the relay's. Whoever is accepted has a listener's.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)


def _be_child(
    theirs: socket.socket, *, network_fd: int, user_fd: int, ports: Sequence[int]
) -> None:
    """Go in, make the sockets, hand them over, and end."""
    try:
        os.setns(user_fd, os.CLONE_NEWUSER)
        os.setns(network_fd, os.CLONE_NEWNET)
        _route_names_to_loopback()
        made = _made(ports)
        socket.send_fds(theirs, [b"made"], [sock.fileno() for sock in made])
    except BaseException as fault:
        theirs.send(f"{type(fault).__name__}: {fault}".encode()[:_ERROR_BYTES])
    finally:
        os._exit(0)


def _made(ports: Sequence[int]) -> list[socket.socket]:
    """Bind them all. A port below 1024 takes a capability that the cell's user lacks."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
    sockets[0].bind(("127.0.0.1", RESOLVER_PORT))
    for host, port in (("127.0.0.1", RESOLVER_PORT), *((_ANY, port) for port in ports)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        fix_buffers(listener)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        sockets.append(listener)
    return sockets


def _route_names_to_loopback() -> None:
    """Do as `ip route add local 198.18.0.0/15 dev lo` (rtnetlink(7)): all of it is this host."""
    attributes = _attribute(_RTA_DST, socket.inet_aton(FIRST))
    attributes += _attribute(_RTA_OIF, struct.pack("=I", _LOOPBACK_INDEX))
    kind = (socket.AF_INET, PREFIX_BITS, 0, 0, _TABLE_LOCAL, _BY_ADMIN, _SCOPE_HOST, _LOCAL, 0)
    body = _RTMSG.pack(*kind) + attributes
    head = _NLMSG.pack(_NLMSG.size + len(body), _RTM_NEWROUTE, _REQUEST_ACK_CREATE_EXCL, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(head + body)
        answer = netlink.recv(_ERROR_BYTES)
    (code,) = struct.unpack_from("=i", answer, _NLMSG.size)
    if code:
        raise OSError(-code, f"no route to names: {os.strerror(-code)}")


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value
