"""What grows with the number of jobs: lists, submissions and memory."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, against
from jobs_baselines import Rate, rate_of
from wire import Client, Served, served

FEW = 1000
QUEUED = 10_000
ROUNDS = 60
LATER = "2999-01-01 00:00:00.000000"
COLUMNS = (
    "id, package, version, digest, activation_id, platform, state, attempt, parameters, inputs, "
    "request, owner, submitted_at, queued_at, due_at"
)
FILTERS = ("", "state=succeeded", "state=queued", "package=hello", "package=hello&state=failed")


async def lists(bundle: bytes, *, finished: int) -> list[Figure]:
    """Return how submissions, lists and pages do beside so many jobs, and beside a thousand."""
    few, many = [await _measured(bundle, finished=count) for count in (FEW, finished)]
    baseline = f"beside {FEW} jobs"
    return [
        against(name, many[name].at(0.99), "ms", baseline=baseline, than=one.at(0.99), most=2)
        for name, one in few.items()
    ]


async def _measured(bundle: bytes, *, finished: int) -> dict[str, Rate]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        home = Path(folder) / "home"
        with served(home) as appliance:
            async with Client(appliance.socket) as client:
                await client.activate(bundle)
        await asyncio.to_thread(_fill, home / "fumehood.db", finished=finished)
        with served(home, queue_limit=10 * QUEUED) as appliance:
            return await _asked(appliance)


async def _asked(appliance: Served) -> dict[str, Rate]:
    paths = {"page": "/", **{f"list {one or 'all'}": f"/v1/jobs?limit=50&{one}" for one in FILTERS}}
    async with Client(appliance.socket) as client:

        async def job_s() -> float:
            started = time.perf_counter()
            await client.json("POST", "/v1/jobs", {"package": "hello"}, Prefer="wait=60")
            return time.perf_counter() - started

        async def get_s(path: str) -> float:
            started = time.perf_counter()
            status, _ = await client.ask("GET", path)
            if status != 200:
                raise RuntimeError(f"{path}: {status}")
            return time.perf_counter() - started

        await rate_of(job_s, count=10, at_once=1)
        rates = {"submit": await rate_of(job_s, count=ROUNDS, at_once=1)}
        for name, path in paths.items():
            rates[name] = await rate_of(lambda path=path: get_s(path), count=ROUNDS, at_once=1)
        return rates


def _fill(database: Path, *, finished: int) -> None:
    """Put jobs into the store of a stopped appliance: so many ended, and some that are not due."""
    with sqlite3.connect(database) as connection:
        (activation,) = connection.execute("SELECT id FROM activations").fetchone()
        marks = ", ".join("?" * 15)
        rows = _rows(activation, finished=finished)
        connection.executemany(f"INSERT INTO jobs ({COLUMNS}) VALUES ({marks})", rows)
        connection.execute(
            "UPDATE counters SET value = (SELECT count(*) FROM jobs WHERE 'jobs-' || state = name)"
        )
    connection.close()


def _rows(activation: str, *, finished: int) -> Iterator[tuple[object, ...]]:
    for number in range(finished + QUEUED):
        state = "succeeded" if number % 10 else "failed"
        is_over = number < finished
        at = "2026-01-01 00:00:00.000000"
        owner = f"token:t{number % 7}"
        yield (
            *(f"0190-{number:012d}", "hello", "1.0.0", "sha256:0", activation, ""),
            *(state if is_over else "queued", 1, '{"name": "x"}', "[]"),
            *(f'{{"principal": "{owner}"}}', owner, at, at, at if is_over else LATER),
        )


async def memory(bundle: bytes, *, jobs: int) -> list[Figure]:
    """Return what an appliance weighs after so many jobs, beside what it did after a thousand."""
    with served(queue_limit=10 * QUEUED) as appliance:
        async with Client(appliance.socket) as first:
            await first.activate(bundle)
        clients = [await Client(appliance.socket).__aenter__() for _ in range(8)]

        async def job_s() -> float:
            client = clients.pop()
            started = time.perf_counter()
            await client.json("POST", "/v1/jobs", {"package": "hello"}, Prefer="wait=60")
            clients.append(client)
            return time.perf_counter() - started

        await rate_of(job_s, count=FEW, at_once=8)
        before = appliance.rss_bytes()
        await rate_of(job_s, count=jobs - FEW, at_once=8)
        mib, than = appliance.rss_bytes() / 2**20, before / 2**20
    name = f"rss_after_{jobs}_jobs"
    return [against(name, mib, "MiB", baseline=f"after {FEW}", than=than, most=1.1)]
