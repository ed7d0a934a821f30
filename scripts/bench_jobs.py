"""Measures jobs: from the order to the published artifact, through the appliance's own door.

Each figure stands beside a baseline that was measured in the same run.
"""

import argparse
import asyncio
import io
import json
import statistics
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import jobs_at_scale
import jobs_attribution
import jobs_full
import jobs_waiting
from figures import Figure, against, alone, shown, tell, times
from jobs_baselines import (
    NOOPS,
    REST_S,
    UNTIL_STEADY,
    bubblewrapped_python_ms,
    docket_noops_per_s,
    in_turn,
    rate_of,
    starts_ms,
)
from wire import FUMEHOOD, Client, Served, served

HELLO = Path(__file__).resolve().parent.parent / "packages" / "examples" / "hello"
HOOK = {"hooks": {"on_after_extract": {"target": "after:run"}}}
AFTER = "def run(*, context, outcome, **_):\n    return outcome['state']\n"
SLEEPER = {
    "manifest.json": json.dumps({"schema": 1, "name": "sleeper", "version": "1"}),
    "extract.py": "import time\n\n\ndef extract(**_):\n    time.sleep(60)\n",
}
CONCURRENCY = 10
FOLLOWERS = 50
IDLE_S = 5.0
WARMING = 20


def main() -> int:
    """Measure and print; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench jobs", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--jobs", type=int, default=400, help="how many jobs a figure runs")
    parser.add_argument("--only", default="", help="only figures whose group has this in it")
    parser.add_argument("--finished", type=int, default=1_000_000, help="jobs of the long list")
    parser.add_argument("--attribute", action="store_true", help="where the time of a job goes")
    told = parser.parse_args()
    if told.attribute:
        return asyncio.run(jobs_attribution.attribute(hello(), jobs=told.jobs))
    groups = {
        "rate": lambda: _rate(told.jobs),
        "latency": lambda: _latency(told.jobs // 2),
        "submit": lambda: _submit(told.jobs),
        "lists": lambda: jobs_at_scale.lists(hello(), finished=told.finished),
        "memory": lambda: jobs_at_scale.memory(hello(), jobs=10 * told.jobs),
        "waiting": lambda: jobs_waiting.idle(hello()),
        "dispatch": jobs_waiting.dispatch,
        "full": lambda: jobs_full.figures(hello(), packed(jobs_full.TELLER), jobs=told.jobs),
        "idle": _idle,
        "start": _start,
    }
    figures = [
        figure
        for name, measure in groups.items()
        if told.only in name
        for figure in asyncio.run(measure())
    ]
    return 0 if tell(f"jobs, {CONCURRENCY} clients", figures, as_json=told.json) else 1


def hello(*, hook: bool = False) -> bytes:
    """Return the bundle of the example, with a hook after each job if it shall have one."""
    manifest = json.loads((HELLO / "manifest.json").read_text()) | (HOOK if hook else {})
    if hook:
        manifest["version"] = "1.0.1"
    files = {
        "manifest.json": json.dumps(manifest),
        "extract.py": (HELLO / "extract.py").read_text(),
    }
    return packed(files | ({"after.py": AFTER} if hook else {}))


def packed(files: Mapping[str, str]) -> bytes:
    """Return files as a zip."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


class Clients:
    """Connections that are handed around."""

    def __init__(self, clients: list[Client]) -> None:
        self._free = list(clients)

    async def job_s(self, *, wait: bool = True) -> float:
        """Return the seconds from the order of a job to its end, or to its being accepted."""
        client = self._free.pop()
        started = time.perf_counter()
        headers = {"Prefer": "wait=120"} if wait else {}
        job = await client.json("POST", "/v1/jobs", {"package": "hello"}, **headers)
        took_s = time.perf_counter() - started
        if wait and job["state"] != "succeeded":
            raise RuntimeError(json.dumps(job))
        self._free.append(client)
        return took_s

    async def constant_s(self) -> float:
        """Return the seconds that the same appliance takes to answer what never changes."""
        client = self._free.pop()
        started = time.perf_counter()
        await client.json("GET", "/v1/version")
        self._free.append(client)
        return time.perf_counter() - started


@asynccontextmanager
async def ready(
    bundle: bytes, *, clients: int = CONCURRENCY, **settings: object
) -> AsyncIterator[tuple[Served, Clients]]:
    """Offer an appliance that has run a few jobs of the bundle, and connections to it."""
    async with AsyncExitStack() as stack:
        appliance = stack.enter_context(served(**({"queue_limit": 100_000} | settings)))
        made = [await stack.enter_async_context(Client(appliance.socket)) for _ in range(clients)]
        await made[0].activate(bundle)
        connected = Clients(made)
        await rate_of(connected.job_s, count=WARMING, at_once=min(clients, 4))
        yield appliance, connected


async def _rate(jobs: int) -> list[Figure]:
    figures: list[Figure] = []
    _, interval_ms = await docket_noops_per_s(tasks=NOOPS, concurrency=CONCURRENCY)
    told = f"Docket no-ops, every {interval_ms} ms"
    for name, bundle, least in (
        ("jobs_per_s_embedded", hello(), 0.25),
        ("jobs_per_s_with_hook", hello(hook=True), 0.15),
    ):
        async with ready(bundle) as (_, clients):
            per_s, noops = await in_turn(
                clients.job_s, count=jobs // 2, at_once=CONCURRENCY, interval_ms=interval_ms
            )
        figures.append(times(name, per_s, "/s", baseline=told, than=noops, least=least))
    return figures


async def _latency(jobs: int) -> list[Figure]:
    by_hand = statistics.median(bubblewrapped_python_ms() for _ in range(20))
    async with ready(hello(), clients=1) as (_, clients):
        await rate_of(clients.job_s, count=UNTIL_STEADY, at_once=1)
        await asyncio.sleep(REST_S)
        rate = await rate_of(clients.job_s, count=jobs, at_once=1)
    baseline = "bwrap python -I -c pass"
    p50, p99 = rate.at(0.5), rate.at(0.99)
    return [
        against("latency_p50", p50, "ms", baseline=baseline, than=by_hand, most=0.6),
        against("latency_p99", p99, "ms", baseline=baseline, than=by_hand, most=1.5),
    ]


async def _submit(jobs: int) -> list[Figure]:
    async with ready(hello()) as (_, clients):
        constant = await rate_of(clients.constant_s, count=4 * jobs, at_once=CONCURRENCY)
        submits = await rate_of(lambda: clients.job_s(wait=False), count=jobs, at_once=CONCURRENCY)
    baseline = "a constant answer"
    p99, than = submits.at(0.99), constant.at(0.99)
    return [
        times(
            "submit_per_s", submits.per_s, "/s", baseline=baseline, than=constant.per_s, least=0.3
        ),
        against("submit_p99", p99, "ms", baseline=baseline, than=than, most=5),
    ]


async def _idle() -> list[Figure]:
    async with ready(hello()) as (appliance, _):
        alone_at = await _share_of_core(appliance)
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(Client(appliance.socket))
            await client.activate(packed(SLEEPER))
            job = await client.json("POST", "/v1/jobs", {"package": "sleeper"})
            for _ in range(FOLLOWERS):
                follower = await stack.enter_async_context(Client(appliance.socket))
                await follower.send("GET", f"/v1/jobs/{job['id']}/events?follow=true")
            stack.callback(asyncio.ensure_future(_look_on(client)).cancel)
            watched_at = await _share_of_core(appliance)
    return [
        alone("idle_cpu", alone_at, "cores", most=0.02),
        alone(f"idle_cpu_{FOLLOWERS}_followers", watched_at, "cores", most=0.04),
    ]


async def _share_of_core(appliance: Served) -> float:
    await asyncio.sleep(1)
    before = appliance.cpu_s()
    await asyncio.sleep(IDLE_S)
    return (appliance.cpu_s() - before) / IDLE_S


async def _look_on(client: Client) -> None:
    """Do what an open page does: ask for itself every three seconds."""
    while True:
        await client.ask("GET", "/")
        await asyncio.sleep(3)


async def _start() -> list[Figure]:
    imports = "import docket, fastapi, sqlalchemy"
    starts, versions, baselines = zip(*_starts(imports), strict=True)
    than = statistics.median(baselines)
    start, version = statistics.median(starts), statistics.median(versions)
    baseline = f"python -c '{imports}'"
    return [
        against("start", start, "ms", baseline=baseline, than=than, most=1.3),
        against("version", version, "ms", baseline=baseline, than=than, most=0.3),
        shown("a_second_start_of_python", starts_ms("pass"), "ms", baseline=baseline, than=than),
    ]


def _starts(imports: str) -> Iterator[tuple[float, float, float]]:
    code = f"import subprocess; subprocess.run({[*FUMEHOOD, '--version']!r}, stdout=-3)"
    with TemporaryDirectory(dir="/var/tmp") as folder:
        home = Path(folder) / "home"
        with served(home):
            pass  # the first start makes the home, and what Python keeps of its imports
        for _ in range(5):
            started = time.perf_counter()
            with served(home):
                took_ms = (time.perf_counter() - started) * 1000
            yield took_ms, starts_ms(code) - starts_ms("import subprocess"), starts_ms(imports)


if __name__ == "__main__":
    sys.exit(main())
