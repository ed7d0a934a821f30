"""Runs that cannot be ended, whose end or watching the worker pays for, and what they leave behind."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from sandbox.cells import started
from sandbox.runs import disk_usage

LEVELS = pytest.mark.parametrize("level", ["namespaced", "unprivileged"])
NAMESPACED = pytest.mark.parametrize("level", ["namespaced"])
SIGKILL_BIT = 1 << 8
OVERDRAWN = """
import os, threading
def burn():
    os.readv(os.open("/dev/urandom", os.O_RDONLY), [bytearray(2 << 20)] * 800)
def extract(*, job, **_):
    threads = [threading.Thread(target=burn) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""
FILES = """
import os, time
def extract(*, job, count, sleep_s=0, **_):
    for number in range(count):
        if number % 2000 == 0:
            folder = f"{job.scratch_dir}/{number}"
            os.mkdir(folder)
        os.close(os.open(f"{folder}/{number}", os.O_CREAT))
    time.sleep(sleep_s)
"""
MISSES = """
import os
def extract(*, job, count, **_):
    for number in range(count):
        try: os.stat(f"/bundle/{'x' * 180}{number}")
        except OSError: pass
"""


def killed_and_not_dead() -> list[str]:
    """Return the processes in cgroups of this worker to which SIGKILL is on its way."""
    lists = Path("/sys/fs/cgroup").rglob(f"fumehood-{os.getpid()}-*/leaf-*/cgroup.procs")
    statuses = [
        Path(f"/proc/{pid}/status").read_text()
        for path in lists
        for pid in path.read_text().split()
    ]
    pending = [status.partition("ShdPnd:")[2].split()[0] for status in statuses]
    return [one for one in pending if int(one, 16) & SIGKILL_BIT]


@LEVELS
@pytest.mark.parametrize("is_warm", [False, True])
async def test_whoever_has_overdrawn_its_processors_dies_with_its_run(attack, is_warm):
    """In a long call it takes more than its share, and is held back afterwards, dead or not."""
    limits = {"cpus": 0.02, "wall_s": 5, "cpu_s": 60}
    async with asyncio.timeout(60):
        outcome = await attack(OVERDRAWN, is_warm=is_warm, limits=limits)
    assert not outcome.is_ok
    assert not killed_and_not_dead()


@NAMESPACED
@pytest.mark.parametrize("is_warm", [False, True])
async def test_files_that_a_run_leaves_are_given_back_beside_the_event_loop(
    attack, is_warm, monkeypatch: pytest.MonkeyPatch
):
    """1.4 s for 260,000 of them, in which all other runs of the worker waited."""
    closers: list[threading.Thread] = []
    close = started._close_all

    def noted(fds: list[int]) -> None:
        if any(map(started._holds_much, fds)):
            closers.append(threading.current_thread())
        close(fds)

    monkeypatch.setattr(started, "_close_all", noted)
    limits = {"scratch_mb": 512, "output_mb": 1, "memory_mb": 512, "wall_s": 60, "cpu_s": 60}
    outcome = await attack(FILES, is_warm=is_warm, limits=limits, count=20_000)
    assert outcome.is_ok, outcome
    assert threading.main_thread() not in closers and len(closers) == 1


@NAMESPACED
async def test_a_sleeping_runs_files_are_summed_up_for_a_small_part_of_the_time(
    attack, monkeypatch: pytest.MonkeyPatch
):
    """200,000 files took half of a processor of the worker's for as long as the run slept."""
    took_s: list[float] = []
    crossed = disk_usage.crossed

    def timed(*args):
        began = time.monotonic()
        try:
            return crossed(*args)
        finally:
            took_s.append(time.monotonic() - began)

    monkeypatch.setattr(disk_usage, "crossed", timed)
    limits = {"scratch_mb": 512, "output_mb": 1, "memory_mb": 512, "wall_s": 60, "cpu_s": 60}
    outcome = await attack(FILES, is_warm=False, limits=limits, count=20_000, sleep_s=3)
    assert outcome.is_ok, outcome
    assert took_s, "they were never summed up"
    assert sum(took_s) < outcome.usage.wall_ms / 1000 / 5


@NAMESPACED
async def test_what_one_package_has_read_is_no_part_of_anothers_peak(attack):
    """A cgroup that is used again began with what was still charged to it: 122 MB of 9."""
    limits = {"memory_mb": 161, "wall_s": 30, "cpu_s": 30}
    before = await attack("def extract(**_): return 1", is_warm=False, limits=limits)
    await attack(MISSES, is_warm=False, limits=limits, count=150_000)
    for _ in range(3):
        after = await attack("def extract(**_): return 1", is_warm=False, limits=limits)
        assert after.usage.peak_rss_bytes < 2 * before.usage.peak_rss_bytes
