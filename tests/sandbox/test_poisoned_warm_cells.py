"""Warm cells whose import took over the runner: it spoils its own runs, and is named for it."""

import asyncio
import dataclasses
import textwrap

import pytest

from sandbox.cells.pool import Pool, PoolBounds, _family

POISON = """
import os, sys
inside = {name.rpartition(".")[2]: module for name, module in sys.modules.items()
          if "_inside." in name}
is_warm = any("_inside.warm." in name for name in sys.modules)
script = inside["fork_script"].ForkScript if is_warm else None

def extract(*, job, **_):
    return 1

"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("script._drop_privileges = lambda self: None", "kept capabilities"),
        (
            "def early(self):\n    play_alone(self)\n"
            "script._say_hello, say = early, script._say_hello\n"
            "def play_alone(self):\n    self._add('clone', 17, None, None, None, None)\n"
            "    say(self)",
            "not what was ordered",
        ),
        (
            "script._close_all = lambda self: None\n"
            "say = script._say_hello\n"
            "def keep(self):\n    self._add('openat', -100, b'/dev/null', 0)\n    say(self)\n"
            "script._say_hello = keep",
            "descriptors open",
        ),
        (
            "take = script._take_streams\n"
            "def swap(self, door):\n    take(self, door)\n    self._add('dup3', 1, 2, 0)\n"
            "script._take_streams = swap",
            "its descriptor 2 is pipe",
        ),
    ],
    ids=["capabilities", "children", "descriptors", "streams"],
)
async def test_a_fork_that_is_not_what_was_ordered_gets_no_run(lab, warm, code, reason):
    poison = "if script:\n" + textwrap.indent(code, "    ")
    outcome = await lab.run(warm(lab.command(POISON + poison)))
    assert (outcome.value, outcome.isolation.start) == (1, "cold"), outcome.failure
    assert reason in outcome.isolation.start_reason


async def test_a_warm_cell_that_prints_without_end_is_ended(lab, warm):
    code = """
import threading
def chatter():
    while True:
        os.write(1, b"x" * 60_000)
threading.Thread(target=chatter, daemon=True).start()
import time; time.sleep(60)
"""
    pool = Pool(launcher=lab.sandbox.launcher, bounds=PoolBounds(spares=0))
    entry = pool._entry(_family(warm(lab.command(POISON + code))))
    async with asyncio.timeout(30):
        reason = await entry.started
    assert "ended while it imported" in reason.text
    await pool.close()


async def test_a_fork_that_the_kernel_refuses_is_one_lost_and_not_its_warm_cell(lab, warm):
    """A warm cell may have thirty-two times as many processes as a run: here that is too few."""
    code = """
    import os, time
    TOKEN = os.urandom(8).hex()
    def extract(*, job, **_):
        time.sleep(0.5)
        return TOKEN
    """
    command = warm(lab.command(code))
    command = dataclasses.replace(command, limits=dataclasses.replace(command.limits, processes=1))
    first = await lab.run(command)
    outcomes = await asyncio.gather(*(lab.run(command) for _ in range(40)))
    assert all(outcome.is_ok for outcome in outcomes), outcomes
    last = await lab.run(command)
    assert (last.isolation.start, last.value) == ("warm", first.value)
