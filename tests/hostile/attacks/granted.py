"""Attacks of a run that was granted a network: it reaches for what is not on its list."""

import os
import socket
import struct
import threading
import time


def connect_as_told(*, job, **_):
    """Connect to a host in the spelling that the test gives."""
    with socket.create_connection((job.host, job.port), timeout=3) as connection:
        return {"worked": connection.recv(100).decode() == job.secret}


def connect_to_what_the_resolver_says(*, job, **_):
    """Ask the resolver for something that is no name, and connect to what it answers."""
    address = ask(job.host)
    with socket.create_connection((address, job.port), timeout=3) as connection:
        return {"worked": connection.recv(100).decode() == job.secret}


def connect_twice(*, job, **_):
    """DNS rebinding: the name leads to somewhere public first, to the host then."""
    for _ in range(3):
        try:
            with socket.create_connection((job.host, job.port), timeout=3) as connection:
                if connection.recv(100).decode() == job.secret:
                    return {"worked": True}
        except OSError:
            continue
    return {"worked": False}


def take_over_the_resolver(*, job, **_):
    """Be the resolver or a listener oneself, and have the relay connect where one likes."""
    taken = []
    for kind, port in (
        (socket.SOCK_DGRAM, 53),
        (socket.SOCK_STREAM, 53),
        (socket.SOCK_STREAM, job.port),
    ):
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("0.0.0.0", port))
                taken.append(port)
            except OSError:
                continue
    return {"worked": bool(taken)}


def listen_on_tcp(*, job, **_):
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", job.meeting_port))
        sock.listen()
        sock.settimeout(job.patience_s)
        print("listening", flush=True)
        try:
            sock.accept()
        except TimeoutError:
            return {"worked": False}
        return {"worked": True}


def call_on_tcp(*, job, **_):
    deadline = time.monotonic() + job.patience_s
    while time.monotonic() < deadline:
        for address in ("127.0.0.1", "198.18.0.1", "0.0.0.0"):
            try:
                socket.create_connection((address, job.meeting_port), timeout=1).close()
                return {"worked": True}
            except OSError:
                time.sleep(0.02)
    return {"worked": False}


def spoil_the_relay(*, job, **_):
    """Say to the resolver what is no question, hang up in the middle, reset; then be good."""
    address = ask(job.host)
    for number in range(120):
        port = 53 if number % 2 else job.port
        with socket.socket() as sock:
            sock.settimeout(2)
            try:
                sock.connect(("127.0.0.1" if port == 53 else address, port))
                sock.send(
                    [b"", b"\0", b"\xff\xff" + os.urandom(2000), b"\0\x0c" + os.urandom(12)][
                        number % 4
                    ]
                )
            except OSError:
                continue
            if number % 3:  # away with a reset, before or after it was accepted
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"\0" * 12, ("127.0.0.1", 53))  # and nobody there for the answer
    time.sleep(0.3)
    with socket.create_connection((address, job.port), timeout=5) as connection:
        return {"heard": connection.recv(100).decode() == job.secret}


def flood_with_names(*, job, **_):
    """Make the resolver remember names without end; then ask for what was asked before."""
    first = ask(job.host)
    answered = sum(1 for number in range(job.count) if is_answered(f"n{number}.{'x' * 50}.test"))
    print("flooded", flush=True)
    return {"answered": answered, "stays": ask(job.host) == first}


def flood_with_datagrams(*, job, **_):
    """Send what nobody asked for, as fast as it goes; then be a good client again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", 53))
        for number in range(job.count):
            try:
                sock.send(os.urandom(number % 1500))
            except OSError:
                continue
    print("flooded", flush=True)
    for _ in range(10):
        if is_answered(job.host):
            return {"answered": True}
    return {"answered": False}


def flood_with_connections(*, job, **_):
    """Open connections as fast as it goes, and keep so many of them."""
    address, kept = ask(job.host), []
    for _ in range(job.count):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex((address, job.port))
        kept.append(sock)
        if len(kept) > job.keep:
            kept.pop(0).close()
        if len(kept) % 30 == 0:  # or they would be dropped before anybody sees them
            time.sleep(job.pause_s)
    time.sleep(1)
    print("flooded", flush=True)
    return {"kept": len(kept)}


def flood_with_threads(*, job, **_):
    """Connect, say nothing, from many threads: half-open for the relay."""

    def hang():
        try:
            with socket.create_connection((job.host, job.port), timeout=2) as connection:
                connection.recv(1)
        except OSError:
            return

    threads = [threading.Thread(target=hang) for _ in range(job.count)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    print("flooded", flush=True)
    for thread in threads:
        thread.join()
    return {"worked": True}


def read_slowly(*, job, **_):
    """Have very much sent, and take it slowly: somebody in between has to hold it."""
    total = 0
    with socket.create_connection((job.host, job.port), timeout=5) as connection:
        time.sleep(1)
        print("asleep", flush=True)
        while total < job.count:
            total += len(connection.recv(1 << 20))
    print("flooded", flush=True)
    return {"read": total >= job.count}


def ask(name):
    """Return the address that the resolver gives for `name`, whatever that may be."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    question = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.sendto(question, ("127.0.0.1", 53))
        answer = sock.recv(600)
    if answer[3] & 0xF or answer[7] == 0:
        raise OSError("no such name")
    return socket.inet_ntoa(answer[-4:])


def is_answered(name):
    try:
        return bool(ask(name))
    except OSError:
        return False
