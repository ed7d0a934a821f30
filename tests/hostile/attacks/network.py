"""Attacks that reach for the network, or for sockets of the host."""

import errno
import os
import socket
import time


def connect_loopback(*, job, **_):
    with socket.create_connection(("127.0.0.1", job.tcp_port), timeout=2) as connection:
        return {"worked": connection.recv(100).decode() == job.secret}


def connect_loopback_ipv6(*, job, **_):
    with socket.create_connection(("::1", job.tcp6_port), timeout=2) as connection:
        return {"worked": connection.recv(100).decode() == job.secret}


def datagram_to_loopback(*, job, **_):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.sendto(b"knock", ("127.0.0.1", job.udp_port))
        return {"worked": sock.recv(100).decode() == job.secret}


def reach_metadata_address(*, job, **_):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("169.254.169.254", 80))
        return {"worked": True}


def connect_abstract_socket(*, job, **_):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(b"\0" + job.abstract_name.encode())
        return {"worked": sock.recv(100).decode() == job.secret}


def connect_host_socket_file(*, job, **_):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(job.socket_file)
        return {"worked": sock.recv(100).decode() == job.secret}


def listen_for_neighbours(*, job, **_):
    """Wait on loopback for another run of the same package (see call_neighbour)."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(b"\0" + job.rendezvous.encode())
        sock.listen()
        sock.settimeout(job.patience_s)
        print("listening", flush=True)
        try:
            sock.accept()
        except TimeoutError:
            return {"worked": False}
        return {"worked": True}


def call_neighbour(*, job, **_):
    deadline = time.monotonic() + job.patience_s
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(b"\0" + job.rendezvous.encode())
                return {"worked": True}
            except OSError:
                time.sleep(0.05)
    return {"worked": False}


def raw_socket(*, job, **_):
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return {"worked": True}


def packet_socket(*, job, **_):
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    return {"worked": True}


def netlink_socket(*, job, **_):
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
    return {"worked": True}


def vsock_socket(*, job, **_):
    """The hypervisor's own door; hosts without it answer EAFNOSUPPORT in any case."""
    try:
        socket.socket(40, socket.SOCK_STREAM).close()
    except OSError as fault:
        return {"worked": fault.errno not in {errno.EAFNOSUPPORT, errno.EPERM}}
    return {"worked": True}


def alg_socket(*, job, **_):
    socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).close()
    return {"worked": True}


def resolve_names(*, job, **_):
    """The host's resolver: nothing of its configuration is in sight."""
    with open("/etc/resolv.conf") as file:
        return {"worked": os.path.exists("/etc/resolv.conf") and bool(file.read())}
