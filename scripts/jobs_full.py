"""Jobs with Redis and PostgreSQL and two workers: how many a second, and how fast news crosses.

The servers are Debian's, started as the tests start them (`tests/support`).
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from figures import Figure, alone, shown, times
from jobs_baselines import NOOPS, Rate, docket_noops_per_s, in_turn
from redis.asyncio import Redis
from wire import FUMEHOOD, Client, Served, served

TESTS = Path(__file__).resolve().parent.parent / "tests"
CROSSINGS = 60
PINGS = 500
TELLS = (
    "import time\n\n\ndef extract(*, job, **_):\n"
    "    job.event('now', at=time.time())\n    time.sleep(60)\n"
)
TELLER = {
    "manifest.json": json.dumps({"schema": 1, "name": "teller", "version": "1"}),
    "extract.py": TELLS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """An appliance that serves and takes no job, its workers' settings, and its Redis."""

    appliance: Served
    redis: str


async def figures(hello: bytes, teller: bytes, *, jobs: int) -> list[Figure]:
    """Measure with an appliance and a worker beside it, which share a home."""
    async with _full() as full, AsyncExitStack() as stack:
        _, interval_ms = await docket_noops_per_s(tasks=NOOPS, concurrency=10, url=full.redis)
        clients = [
            await stack.enter_async_context(Client(full.appliance.socket)) for _ in range(10)
        ]
        await clients[0].activate(hello)
        free = list(clients)

        async def job_s() -> float:
            client, started = free.pop(), time.perf_counter()
            job = await client.json("POST", "/v1/jobs", {"package": "hello"}, Prefer="wait=120")
            free.append(client)
            if job["state"] != "succeeded":
                raise RuntimeError(json.dumps(job))
            return time.perf_counter() - started

        per_s, noops = await in_turn(
            job_s,
            count=jobs // 2,
            at_once=len(clients),
            interval_ms=interval_ms,
            url=full.redis,
        )
        await clients[0].activate(teller)
        await _drain_the_appliance(clients[0], pid=full.appliance.process.pid)
        news, cancels = await _crossings(clients[0])
        round_trip_ms = await _round_trip_ms(full.redis)
    baseline = f"Docket no-ops on Redis, every {interval_ms} ms"
    return [
        times("jobs_per_s_full", per_s, "/s", baseline=baseline, than=noops, least=0.12),
        *_crossed("event_p99", news.at(0.99), round_trip_ms),
        *_crossed("cancel_p99", cancels.at(0.99), round_trip_ms),
    ]


def _crossed(name: str, took_ms: float, round_trip_ms: float) -> Iterator[Figure]:
    yield alone(name, took_ms, "ms", most=100)
    yield shown(f"{name}_beside", took_ms, "ms", baseline="a Redis round trip", than=round_trip_ms)


@asynccontextmanager
async def _full() -> AsyncIterator[Full]:
    sys.path.insert(0, str(TESTS))
    postgres: Any = import_module("support.postgres")
    redis: Any = import_module("support.redis")
    with postgres.postgres_server() as database, redis.redis_server() as queue:
        settings = {"database_url": database.new_database(), "docket_url": queue.url}
        with (
            TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as folder,
            served(Path(folder) / "home", queue_limit=100_000, **settings) as appliance,
            _worker(Path(folder) / "home", settings),
        ):
            yield Full(appliance=appliance, redis=queue.url)


@contextmanager
def _worker(home: Path, settings: Mapping[str, str]) -> Iterator[None]:
    environ = {name: value for name, value in os.environ.items() if "FUMEHOOD_" not in name}
    environ |= {f"FUMEHOOD_{name.upper()}": value for name, value in settings.items()}
    worker = subprocess.Popen(
        [*FUMEHOOD, "worker", "--json", "--home", home],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        if worker.stdout is None or not worker.stdout.readline():
            raise RuntimeError("the worker did not start")
        yield
    finally:
        worker.terminate()
        worker.wait()


async def _drain_the_appliance(client: Client, *, pid: int) -> None:
    """Let all jobs run in the other process, so that their news has to cross."""
    while True:
        page = await client.json("GET", "/v1/workers")
        here = [one["id"] for one in page["items"] if str(pid) in one["id"].split("-")]
        if here and len(page["items"]) == 2:
            await client.json("POST", f"/v1/workers/{here[0]}/drain", {"reason": "the bench"})
            return
        await asyncio.sleep(0.1)


async def _crossings(client: Client) -> tuple[Rate, Rate]:
    """Return how long events took to a follower, and cancellations to the end of their job."""
    news: list[float] = []
    cancels: list[float] = []
    for _ in range(CROSSINGS):
        job = await client.json("POST", "/v1/jobs", {"package": "teller"})
        async with Client(client.socket) as follower:
            await follower.send("GET", f"/v1/jobs/{job['id']}/events?follow=true")
            told = await follower.line_with(b'"now"')
            news.append((time.time() - told["data"]["data"]["at"]) * 1000)
            started = time.perf_counter()
            await client.json("POST", f"/v1/jobs/{job['id']}/cancel")
            await follower.line_with(b'"job.finished"')
            cancels.append((time.perf_counter() - started) * 1000)
    return Rate(news, seconds=1), Rate(cancels, seconds=1)


async def _round_trip_ms(url: str) -> float:
    took: list[float] = []
    async with Redis.from_url(url) as redis:
        for _ in range(PINGS):
            started = time.perf_counter()
            await redis.ping()
            took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)
