"""Attacks on what neighbours share: files of an environment, a bundle, an interpreter, an input.

Each works as the owner of the file, which a cell is where the worker is an ordinary user; the
proofs are made on a file of their own kind (readable, ours).
"""

import array
import contextlib
import ctypes
import fcntl
import os
import socket

libc = ctypes.CDLL(None, use_errno=True)
SETLEASE, NOTIFY, SETDELEG = 1024, 1026, 1040
GETFLAGS, SETFLAGS, SETFLAGS_32 = 0x80086601, 0x40086602, 0x40046602
FSGETXATTR, FSSETXATTR = 0x801C581F, 0x401C5820
NO_ATIME = 0x80
IN_OPEN, MODIFY = 0x20, 2


def _library(job):
    """Return a file of the environment, where a cell sees it, and where the host has it."""
    seen = "/environment/site-packages/library.py"
    return seen if os.path.exists(seen) else job.environment_file


def lease_environment(*, job, **_):
    """Make whoever opens a file of the environment for writing wait; a read lease by F_RDLCK."""
    with open(_library(job)) as file:
        return {"worked": fcntl.fcntl(file, SETLEASE, fcntl.F_RDLCK) == 0}


def lease_input_for_writing(*, job, **_):
    """Make whoever opens the input at all wait."""
    path = job.leasable_file
    fd = os.open(path if os.path.exists(path) else job.inputs[0], os.O_RDONLY)
    try:
        return {"worked": fcntl.fcntl(fd, SETLEASE, fcntl.F_WRLCK) == 0}
    finally:
        os.close(fd)


def lease_by_high_bits(*, job, **_):
    """The kernel takes 32 bits of the command: the filter must not be fooled by the others."""
    fd = os.open(_library(job), os.O_RDONLY)
    try:
        command = ctypes.c_uint64((1 << 32) | SETLEASE)
        number = 72 if os.uname().machine == "x86_64" else 25
        done = libc.syscall(number, fd, command, ctypes.c_long(fcntl.F_RDLCK))
        return {"worked": done == 0}
    finally:
        os.close(fd)


def delegation(*, job, **_):
    """F_SETDELEG (Linux 6.19): struct delegation of flags, type and padding."""
    fd = os.open(os.path.dirname(_library(job)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        wanted = array.array("B", bytes([0, 0, 0, 0, fcntl.F_RDLCK, 0, 0, 0]))
        fcntl.fcntl(fd, SETDELEG, wanted.tobytes())
        return {"worked": True}
    finally:
        os.close(fd)


def notify_of_environment(*, job, **_):
    fd = os.open(os.path.dirname(_library(job)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.fcntl(fd, NOTIFY, MODIFY)
        return {"worked": True}
    finally:
        os.close(fd)


def watch_environment(*, job, **_):
    """inotify: be told of every file that a neighbour opens there."""
    return _watch(os.path.dirname(_library(job)))


def watch_bundle(*, job, **_):
    return _watch(os.path.dirname(__file__))


def watch_root(*, job, **_):
    return _watch("/")


def _watch(folder):
    fd = libc.inotify_init1(0)
    if fd < 0:
        return {"worked": False, "why": os.strerror(ctypes.get_errno())}
    watch = libc.inotify_add_watch(fd, folder.encode(), IN_OPEN)
    os.close(fd)
    return {"worked": watch >= 0}


def flag_input(*, job, **_):
    """Set an attribute flag (chattr(1)) of the input: one that anybody may on a file of theirs."""
    return _flag(job.inputs[0], SETFLAGS)


def flag_scratch(*, job, **_):
    path = os.path.join(job.scratch_dir, "flagged")
    with open(path, "w"):
        pass
    return _flag(path, SETFLAGS)


def _flag(path, command):
    fd = os.open(path, os.O_RDONLY)
    try:
        flags = bytearray(8)
        fcntl.ioctl(fd, GETFLAGS, flags)
        told = int.from_bytes(flags, "little") | NO_ATIME
        fcntl.ioctl(fd, command, told.to_bytes(8, "little"))
        return {"worked": True}
    finally:
        os.close(fd)


def flag_scratch_by_xattr(*, job, **_):
    path = os.path.join(job.scratch_dir, "flagged")
    with open(path, "w") as file:
        told = bytearray(28)
        fcntl.ioctl(file, FSGETXATTR, told)
        fcntl.ioctl(file, FSSETXATTR, bytes(told))
    return {"worked": True}


def datagram_of_a_pair_to_host_socket(*, job, **_):
    """A socket of a datagram pair can be sent to any other: the input goes out."""
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, two:
        one.sendto(b"the input", job.datagram_file)
        return {"worked": True}


def datagram_of_a_pair_by_sendmsg(*, job, **_):
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, two:
        one.sendmsg([b"the input"], [], 0, job.datagram_file)
        return {"worked": True}


def datagram_of_a_pair_connected(*, job, **_):
    """Connect one of a pair to a host's socket: what is sent goes there, and descriptors too."""
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, two:
        one.connect(job.datagram_file)
        read_fd, write_fd = os.pipe()
        socket.send_fds(one, [b"a descriptor"], [read_fd])
        os.close(read_fd)
        os.close(write_fd)
        return {"worked": True}


def raw_pair_to_host_socket(*, job, **_):
    """SOCK_RAW of a UNIX pair is a datagram socket (unix(7) does not say)."""
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)
    with one, two:
        one.sendto(b"the input", job.datagram_file)
        return {"worked": True}


def stream_of_a_pair_to_host_socket(*, job, **_):
    """The kernel refuses an address with a connected stream, however it is unconnected first."""
    one, two = socket.socketpair()
    with one, two:
        reached = [_reaches(one, job.socket_file)]
        with contextlib.suppress(OSError):
            _disconnect(one)
        reached.append(_reaches(one, job.socket_file))
        two.close()
        return {"worked": any([*reached, _reaches(one, job.socket_file)])}


def _reaches(sock, place):
    for act in (
        lambda: sock.sendto(b"the input", place),
        lambda: sock.sendmsg([b"the input"], [], 0, place),
        lambda: sock.connect(place),
    ):
        try:
            act()
        except OSError:
            continue
        return True
    return False


def _disconnect(sock):
    """connect(2) to AF_UNSPEC ends a datagram's association."""
    unspecified = ctypes.create_string_buffer(16)
    if libc.connect(sock.fileno(), unspecified, 16) != 0:
        raise OSError(ctypes.get_errno(), "connect")
