"""A run may talk with itself by TCP, in a net namespace that is nobody else's."""

import asyncio
import dataclasses
import socket

import pytest

from sandbox.limits import MIB

STARTS = pytest.mark.parametrize("start", ["cold", "warm"])
SERVES = """
import errno, socket, threading, time
def server(family, place):
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    listener.bind(place)
    listener.listen()
    def answer():
        connection, _ = listener.accept()
        connection.sendall(connection.recv(100) * 2)
        connection.close()
    threading.Thread(target=answer, daemon=True).start()
    return listener
def talk(family, place):
    with server(family, place) as listener, socket.socket(family) as client:
        client.connect(listener.getsockname())
        client.sendall(b"ab")
        said = b""
        while chunk := client.recv(100):
            said += chunk
        return said.decode()
"""


def own(lab):
    if lab.sandbox.hierarchy is None:
        pytest.skip("without a cgroup nothing counts what sockets hold")
    return lab


@STARTS
async def test_a_run_serves_itself_on_any_port_of_its_own(lab, warm, start):
    code = (
        SERVES
        + """
def extract(*, job, **_):
    places = [(socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET, ("0.0.0.0", 8800))]
    if socket.has_ipv6:
        places.append((socket.AF_INET6, ("::1", 0)))
    return [talk(*place) for place in places]
"""
    )
    command = own(lab).command(code)
    command = warm(command) if start == "warm" else command
    outcomes = [await lab.run(command) for _ in range(3)]
    assert [set(outcome.value) for outcome in outcomes] == [{"abab"}] * 3, outcomes[0]
    assert {outcome.isolation.start for outcome in outcomes} == {start}
    walls = {layer.name: layer.detail for layer in outcomes[0].isolation.layers}
    assert "its own loopback" in walls["no network"]
    assert "TCP" not in walls["landlock"], "which lets it be"


@STARTS
async def test_runs_beside_each_other_have_the_same_port_and_do_not_meet(lab, warm, start):
    code = (
        SERVES
        + """
def extract(*, job, **_):
    with socket.socket() as before:
        found = before.connect_ex(("127.0.0.1", 7777))
    with server(socket.AF_INET, ("127.0.0.1", 7777)):
        time.sleep(0.4)
    return errno.errorcode[found]
"""
    )
    command = own(lab).command(code)
    command = warm(command) if start == "warm" else command
    first = asyncio.create_task(lab.run(command))
    await asyncio.sleep(0.2)
    others = await asyncio.gather(*(lab.run(command) for _ in range(4)))
    assert {outcome.value for outcome in (await first, *others)} == {"ECONNREFUSED"}


async def test_a_connection_that_lingers_is_not_there_for_the_next_run(lab, warm):
    """TIME_WAIT holds a port for a minute after its process (tcp(7))."""
    code = (
        SERVES
        + """
def extract(*, job, **_):
    with open("/proc/self/net/tcp") as lines:
        before = len(lines.readlines()) - 1
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        listener.bind(("127.0.0.1", 6000))  # fails while an earlier connection lingers there
        listener.listen()
        client = socket.create_connection(("127.0.0.1", 6000))
        accepted, _ = listener.accept()
        accepted.close()
        client.recv(1)
        client.close()
    with open("/proc/self/net/tcp") as lines:
        return [before, len(lines.readlines()) - 1]
"""
    )
    command = warm(own(lab).command(code))
    outcomes = [await lab.run(command) for _ in range(6)]
    assert [outcome.value for outcome in outcomes] == [[0, 1]] * 6, outcomes
    assert {outcome.isolation.start for outcome in outcomes} == {"warm"}


@STARTS
async def test_the_hosts_ports_are_not_the_runs(lab, warm, start):
    code = """
    import socket
    def extract(*, job, **_):
        socket.create_connection(("127.0.0.1", job.port))
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        command = own(lab).command(code, facts={"port": listener.getsockname()[1]})
        outcome = await lab.run(warm(command) if start == "warm" else command)
    assert "refused" in outcome.failure.what, outcome
    assert "the host's ports are out of its reach" in outcome.failure.what, outcome


HOARDS = """
import socket, time
def extract(*, job, **_):
    held, sent = [], 0
    listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
    for _ in range(400):
        try:
            client = socket.create_connection(listener.getsockname(), timeout=0.2)
            accepted, _ = listener.accept()
        except OSError:
            break
        held += [client, accepted]
        client.setblocking(False)
        try:
            while sent < 1 << 30:
                sent += client.send(b"x" * 65536)
        except OSError:
            continue
    with open("/proc/self/net/sockstat") as lines:
        pages = next(line for line in lines if line.startswith("TCP")).split()[-1]
    job.event("held", sent=sent, pages=int(pages))
    time.sleep(0.3)
    return sent
"""
"""What is sent and never read waits in the kernel: 400 connections could keep gigabytes there."""


@STARTS
async def test_what_waits_in_sockets_counts_as_the_runs_memory(lab, warm, start):
    command = own(lab).command(HOARDS)
    limits = dataclasses.replace(command.limits, open_files=1024, memory_mb=128)
    command = dataclasses.replace(command, limits=limits)
    outcome = await lab.run(warm(command) if start == "warm" else command)
    sent = outcome.value or max((one["sent"] for one in lab.said("held")), default=0)
    assert sent < 2 * 128 * MIB, outcome


async def test_without_a_cgroup_it_has_no_port_and_is_told(lab, plain_sandbox):
    lab.sandbox = plain_sandbox
    code = "import socket\ndef extract(*, job, **_):\n    socket.create_server(('127.0.0.1', 0))\n"
    outcome = await lab.run(lab.command(code))
    assert "network" in outcome.failure.what, outcome
