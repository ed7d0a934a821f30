"""Warm cells whose import took over the runner: they may spoil their own runs, and nobody else."""

import asyncio

import pytest

from sandbox.pool import Pool, PoolBounds, _family

POISON = """
import os, socket, sys
nursery = next(module for name, module in sys.modules.items() if name.endswith("_inside.warm"))
receive, serve = nursery.Channel.receive_with_fds, nursery._Nursery.serve

def keep_writing(self, count):
    order, fds = receive(self, count)
    if fds and os.fork() == 0:
        while True:
            os.write(fds[1], b"x\\n" * 30_000)
    return order, fds

def flood(self):
    if os.fork() == 0:
        frame = b'{"kind":"ended","run":"77777","code":0,"cpu_us":0}'
        frames = (len(frame).to_bytes(4, "big") + frame) * 1000
        while True:
            socket.socket(fileno=os.dup(3)).sendall(frames)
    serve(self)

def chatter(self):
    if os.fork() == 0:
        while True:
            os.write(1, b"x" * 60_000)
    serve(self)

def extract(*, job, **_):
    return 1

"""


async def test_a_poisoned_warm_cell_that_writes_to_its_runs_pipes_does_not_stall_the_worker(
    lab, warm
):
    """What it keeps open is read for as long as a pipe takes to empty, then for two seconds."""
    command = warm(lab.command(POISON + "nursery.Channel.receive_with_fds = keep_writing"))
    running = asyncio.create_task(lab.run(command))
    neighbours = 0
    while not running.done():
        assert (await lab.run(lab.command("def extract(*, job, **_): return 1"))).is_ok
        neighbours += 1
    await running
    assert neighbours > 1


@pytest.mark.parametrize("how", ["flood", "chatter"])
async def test_a_poisoned_warm_cell_that_talks_without_end_is_ended(lab, warm, how):
    pool = Pool(launcher=lab.sandbox.launcher, bounds=PoolBounds(spares=0))
    seat = pool._seat(_family(warm(lab.command(POISON + f"nursery._Nursery.serve = {how}"))))
    warm_cell = await seat.started
    async with asyncio.timeout(30):
        await asyncio.wait((warm_cell.child.ended,))
    await pool.close()


async def test_a_fork_that_is_refused_is_one_lost_and_not_its_warm_cell(lab, warm):
    code = """
TOKEN = os.urandom(8).hex()
fork, orders = nursery._Nursery._fork, []

def refuse_every_third(self, folder, fds):
    orders.append(folder)
    if len(orders) % 3 == 0:
        raise OSError(11, "no more processes")
    return fork(self, folder, fds)

nursery._Nursery._fork = refuse_every_third

def extract(*, job, **_):
    return TOKEN
"""
    command = warm(lab.command(POISON + code))
    outcomes = [await lab.run(command) for _ in range(9)]
    assert {outcome.isolation.start_reason for outcome in outcomes} == {""}
    assert len({outcome.value for outcome in outcomes}) == 1


async def test_a_hello_from_another_process_of_the_warm_cell_is_refused(lab, warm):
    """Its end would be taken for that of all that it has started, as it is with a fork's."""
    code = """
import time

def pretend(self, folder, fds):
    pid = os.fork()
    if pid == 0:
        folders = [os.open(path, os.O_RDONLY) for path in ("/output", "/scratch")]
        frame = b'{"kind":"hello"}'
        nursery.mail.send(fds[0], len(frame).to_bytes(4, "big") + frame, folders)
        time.sleep(60)
    return pid

nursery._Nursery._fork = pretend
"""
    outcome = await lab.run(warm(lab.command(POISON + code)))
    assert outcome.isolation.start == "cold"  # where there is nothing to poison: it fails
    assert "from somebody who is no fork" in outcome.isolation.start_reason
