"""What the figures of jobs stand beside: Docket alone, a sandbox by hand, many processes."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from docket import Docket, Worker

from sandbox.isolation import this_interpreter

INTERVALS_MS = (2, 5, 10, 25)
UNTIL_STEADY, REST_S = 200, 1.0
"""How many jobs it takes until what is started for many is there, and how long that may take."""
ROUNDS, NOOPS = 5, 1000
FANOUT = "import numpy; print(numpy.zeros(5).tolist())"


async def docket_noops_per_s(
    *, tasks: int, concurrency: int, url: str = "memory://"
) -> tuple[float, int]:
    """Return how many no-ops a second Docket adds and runs in one process, and its best interval.

    All are added while the worker runs; its `minimum_check_interval` bounds it.
    """
    rates = [
        (await noops_per_s(tasks=tasks, concurrency=concurrency, interval_ms=one, url=url), one)
        for one in INTERVALS_MS
    ]
    return max(rates)


async def noops_per_s(
    *, tasks: int, concurrency: int, interval_ms: int, url: str = "memory://"
) -> float:
    """Return how many no-ops a second it does at one interval."""
    left = tasks
    is_done = asyncio.Event()

    async def noop(_: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            is_done.set()

    interval = timedelta(milliseconds=interval_ms)
    async with Docket(name=f"noops-{interval_ms}", url=url) as docket:
        docket.register(noop)
        async with Worker(
            docket, concurrency=concurrency, minimum_check_interval=interval
        ) as worker:
            running = asyncio.create_task(worker.run_forever())
            started = time.perf_counter()
            for number in range(tasks):
                await docket.add(noop, key=f"{interval_ms}-{number}")(number)
            await is_done.wait()
            took_s = time.perf_counter() - started
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    return tasks / took_s


def bubblewrapped_python_ms() -> float:
    """Return the milliseconds of `bwrap … python -I -c pass`, by hand."""
    interpreter = this_interpreter()
    seen = [
        word
        for path in ("/usr", "/lib", "/lib64", str(interpreter.prefix))
        for word in ("--ro-bind-try", path, path)
    ]
    python = [str(interpreter.executable), "-I", "-c", "pass"]
    argv = ["bwrap", *seen, "--proc", "/proc", "--dev", "/dev", "--unshare-all", "--", *python]
    return _timed_ms(lambda: subprocess.run(argv, check=True))


def starts_ms(code: str) -> float:
    """Return the milliseconds of `python -c code`."""
    return _timed_ms(lambda: subprocess.run([sys.executable, "-c", code], check=True))


def fresh_processes_s(python: str, *, count: int, cores: int) -> float:
    """Return the seconds of so many fresh processes that import numpy, on all cores."""

    def one(_: int) -> None:
        subprocess.run([python, "-c", FANOUT], check=True, stdout=subprocess.DEVNULL)

    started = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(one, range(count)))
    return time.perf_counter() - started


async def rate_of(act: Callable[[], Awaitable[float]], *, count: int, at_once: int) -> "Rate":
    """Return how fast `act`, which answers how long it took, goes when done `at_once`."""
    left, took_ms = count, list[float]()

    async def client() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            took_ms.append(await act() * 1000)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(at_once)))
    return Rate(took_ms, seconds=time.perf_counter() - started)


async def in_turn(
    job_s: Callable[[], Awaitable[float]],
    *,
    count: int,
    at_once: int,
    interval_ms: int,
    url: str = "memory://",
) -> tuple[float, float]:
    """Return how many jobs a second, and how many no-ops of Docket's beside them.

    Both are measured in turn, and the round counts whose ratio is the one in the middle: a machine
    has slow seconds, which one of the two has alone. Connections close that wait for five seconds,
    so the best interval is found before.
    """
    await rate_of(job_s, count=UNTIL_STEADY, at_once=at_once)
    await asyncio.sleep(REST_S)
    rounds: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        noops = await noops_per_s(
            tasks=NOOPS, concurrency=at_once, interval_ms=interval_ms, url=url
        )
        rate = await rate_of(job_s, count=count, at_once=at_once)
        rounds.append((rate.per_s, noops))
    rounds.sort(key=lambda one: one[0] / one[1])
    return rounds[ROUNDS // 2]


class Rate:
    """How long each of many took, and how many there were a second."""

    def __init__(self, took_ms: list[float], *, seconds: float) -> None:
        self._took_ms = sorted(took_ms)
        self.per_s = len(took_ms) / seconds

    def at(self, part: float) -> float:
        """Return the milliseconds below which so great a part of them stayed."""
        return self._took_ms[round(part * (len(self._took_ms) - 1))]


def _timed_ms(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1000
