"""What doctor runs in a cell: each function attacks one wall and says what it got.

Standard library only, CPython 3.9 and later. A wall that holds raises an OSError, or ends the
run; {"got": text} is what came through.
"""

import ctypes
import os
import resource
import signal
import socket
import struct
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)


def nothing(*, job, **_):
    """Only come up and return: the cell itself works."""
    return {"got": "", "python": sys.version.split()[0]}


def read_host_file(*, job, **_):
    """Read a file that everybody on the host may read."""
    with open(job.host_file) as file:
        return {"got": file.read()}


def write_outside(*, job, **_):
    """Write anywhere but in scratch and output."""
    for folder in ("/", "/usr", "/etc", "/bundle", "/environment", "/input", "/fumehood"):
        path = os.path.join(folder, "fumehood-doctor")
        try:
            with open(path, "w"):
                pass
        except OSError:
            continue
        os.unlink(path)
        return {"got": folder}
    return {"got": ""}


def reach_loopback(*, job, **_):
    """Connect to a port of the host that listens."""
    with socket.create_connection(("127.0.0.1", job.port), timeout=2) as connection:
        return {"got": connection.recv(64).decode()}


def reach_abstract_socket(*, job, **_):
    """Connect to an abstract socket of the host."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(b"\0" + job.abstract_name.encode())
        return {"got": sock.recv(64).decode()}


def reach_host_by_grant(*, job, **_):
    """With a network granted: reach the host by its addresses, by a name, by an abstract socket."""
    came_through = []
    for address in ("127.0.0.1", "::1", ask("localhost"), ask("localhost.localdomain")):
        try:
            with socket.create_connection((address, job.port), timeout=2) as connection:
                if connection.recv(64):
                    came_through.append(address)
        except OSError:
            continue
    with socket.socket(socket.AF_UNIX) as sock:
        if sock.connect_ex(b"\0" + job.abstract_name.encode()) == 0:
            came_through.append("an abstract socket")
    return {"got": ", ".join(came_through)}


def ask(name):
    """Return what the cell's resolver says of a name that /etc/hosts would answer."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    question = b"\0\7\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.sendto(question, ("127.0.0.1", 53))
        return socket.inet_ntoa(sock.recv(600)[-4:])


def send_to_host_socket(*, job, **_):
    """Send a datagram of a pair to a socket of the host."""
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, two:
        one.sendto(b"out", b"\0" + job.datagram_name.encode())
        return {"got": "a datagram went out"}


def hold_in_sockets(*, job, **_):
    """Hold memory in sockets, where no limit counts it."""
    came_through = []
    ways = (
        hold_back_a_datagram,
        leave_a_datagram_unread,
        have_a_datagram_come_back,
        leave_a_connection_unaccepted,
        keep_a_key_in_a_socket,
        attach_a_program_to_a_socket,
    )
    for way in ways:
        try:
            way()
        except OSError:
            continue
        came_through.append(way.__name__.replace("_", " "))
    return {"got": ", ".join(came_through)}


def hold_back_a_datagram():
    """Send to 0.0.0.0, which is this host in every net namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", socket.MSG_MORE, ("0.0.0.0", 9))


def leave_a_datagram_unread():
    """Send to oneself by UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.sendto(b"x", sock.getsockname())
        sock.recv(1, socket.MSG_DONTWAIT)


def have_a_datagram_come_back():
    """Ask for the time of sending (SO_TIMESTAMPING): the datagram waits in the error queue."""
    asked = [(socket.SOL_SOCKET, 37, struct.pack("I", 1 << 8))]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendmsg([b"x"], asked, 0, ("0.0.0.0", 9))


def keep_a_key_in_a_socket():
    """Give a socket that is connected to nobody a key for a peer (TCP_MD5SIG)."""
    peer = struct.pack("=H2xI", socket.AF_INET, 1) + bytes(120)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, 14, peer + struct.pack("=BBHi80s", 0, 0, 1, 0, b"k"))


def attach_a_program_to_a_socket():
    """Attach a filter that takes all (SO_ATTACH_FILTER): what it is compiled to counts nowhere."""
    line = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0xFFFF))
    one, two = socket.socketpair()
    with one, two:
        one.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxQ", 1, ctypes.addressof(line)))


def leave_a_connection_unaccepted():
    """Connect to oneself by TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        socket.create_connection(listener.getsockname(), timeout=2).close()


def lease_own_code(*, job, **_):
    """Take a lease on a file that neighbours open: they would wait for 45 s."""
    fd = os.open(__file__, os.O_RDONLY)
    try:
        if libc.fcntl(fd, 1024, 0) != 0:
            raise OSError(ctypes.get_errno(), "fcntl")
        return {"got": "a lease"}
    finally:
        os.close(fd)


def watch_what_others_open(*, job, **_):
    """Be told of every file that neighbours open in what they share."""
    fd = libc.inotify_init1(0)
    if fd < 0 or libc.inotify_add_watch(fd, os.path.dirname(__file__).encode(), 0x20) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    return {"got": "a watch"}


def see_host_process(*, job, **_):
    """Find the worker's process."""
    os.kill(job.host_pid, 0)
    return {"got": "process %d can be signalled" % (job.host_pid,)}


def read_host_process(*, job, **_):
    """Read the environment of the worker's process."""
    with open("/proc/%d/environ" % (job.host_pid,), "rb") as environ:
        return {"got": "%d bytes" % (len(environ.read()),)}


def mount(*, job, **_):
    """Mount a file system, in a user namespace of one's own if that is to be had."""
    libc.unshare(0x10020000)
    if libc.mount(b"tmpfs", str(job.scratch_dir).encode(), b"tmpfs", 0, b"size=4k") == 0:
        return {"got": "a mount"}
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def reach_kernel(*, job, **_):
    """Call what seccomp must refuse: bpf, keyctl, perf_event_open, io_uring_setup, itself."""
    is_x86 = os.uname().machine == "x86_64"
    doors = {
        "bpf": (321, 280),
        "keyctl": (250, 219),
        "perf": (298, 241),
        "io_uring": (425, 425),
        "seccomp": (317, 277),
    }
    came_through = []
    for name, numbers in doors.items():
        ctypes.set_errno(0)
        result = libc.syscall(numbers[0 if is_x86 else 1], 0, 0, 0, 0, 0)
        if result >= 0 or ctypes.get_errno() not in (1, 13, 38):
            came_through.append(name)
    return {"got": ", ".join(came_through)}


def keep_capabilities(*, job, **_):
    """Find a capability in any set that can be used."""
    with open("/proc/self/status") as status:
        sets = [line.split() for line in status if line.startswith(("CapEff", "CapPrm"))]
    return {"got": ", ".join(name for name, value in sets if int(value, 16))}


def keep_daemon(*, job, **_):
    """Leave a process behind that outlives the run."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", job.sleep, job.mark])
        os._exit(0)
    time.sleep(0.2)
    return {"got": ""}


def pass_memory_limit(*, job, **_):
    """Take three times the memory that is allowed."""
    block = bytearray(job.memory_mb * 3 << 20)
    for at in range(0, len(block), 4096):
        block[at] = 1
    time.sleep(0.3)
    return {"got": "%d MiB" % (len(block) >> 20,)}


def pass_process_limit(*, job, **_):
    """Start four times the processes that are allowed."""
    for _ in range(job.processes * 4):
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
    time.sleep(0.3)
    return {"got": "%d processes" % (job.processes * 4,)}


def pass_scratch_limit(*, job, **_):
    """Write three times what scratch may hold."""
    with open(os.path.join(str(job.scratch_dir), "big"), "wb") as file:
        for _ in range(job.scratch_mb * 3):
            file.write(b"\xff" * 1048576)
    time.sleep(0.3)
    return {"got": "%d MiB" % (job.scratch_mb * 3,)}


def leave_core(*, job, **_):
    """Crash a child, having said that its memory shall be nobody's: a handler may get it anyway."""
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.abort()
    _, status = os.waitpid(pid, 0)
    return {"got": "the memory of a run, for core_pattern" if os.WCOREDUMP(status) else ""}
