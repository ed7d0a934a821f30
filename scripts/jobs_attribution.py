"""Where the time of a job goes: transactions, statements, flushes, hops, processor time by part."""

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from jobs_baselines import rate_of
from rich.console import Console
from rich.table import Table
from wire import Client, served

COUNTED = str(Path(__file__).with_name("counted_appliance.py"))
AFTER_WRITING_S = 0.5


async def attribute(bundle: bytes, *, jobs: int) -> int:
    """Run jobs in an appliance that counts, and print what each of them cost."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        os.environ["BENCH_COUNTS"] = file.name
        counted = served(
            command=(sys.executable, COUNTED), queue_limit=100_000, writer_process=False
        )
        with counted as appliance:
            async with Client(appliance.socket) as client:
                await client.activate(bundle)

                async def job_s() -> float:
                    started = time.perf_counter()
                    await client.json("POST", "/v1/jobs", {"package": "hello"}, Prefer="wait=60")
                    return time.perf_counter() - started

                await rate_of(job_s, count=20, at_once=1)
                before = await _counts(file.name)
                rate = await rate_of(job_s, count=jobs, at_once=1)
                after = await _counts(file.name)
    _tell({name: (after[name] - before.get(name, 0)) / jobs for name in after}, p50=rate.at(0.5))
    return 0


async def _counts(name: str) -> dict[str, float]:
    await asyncio.sleep(AFTER_WRITING_S)
    return json.loads(await asyncio.to_thread(Path(name).read_text))


def _tell(each: dict[str, float], *, p50: float) -> None:
    table = Table(title=f"each job of {p50:.1f} ms (p50, one at a time)")
    table.add_column("what")
    table.add_column("a job", justify="right")
    for name, value in sorted(each.items()):
        if value >= 0.005:
            table.add_row(name, f"{value:.2f}")
    Console().print(table)
