"""Tickets on a Redis: whoever has no use for one holds up neither its own loop nor a free worker.

The reconciler, which finds in the end what nobody took, is kept away (`HOURLY`): with it a ticket that
went astray costs seconds, and here it costs the test. Tickets are counted by the group that reads them.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.bundles import bundle_files, manifest, zipped
from support.redis import Redis, redis_server

from ..conftest import Server, running
from ..conftest import zipped as example
from .conftest import working

JOBS = 12
HOURLY = {"reconcile_interval_s": "3600"}
SLOW = "import time\ndef extract(*, job, **_): time.sleep(600)\n"


@pytest.fixture
def redis() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@contextmanager
def appliance(folder: Path, redis: Redis, **settings: str) -> Iterator[Server]:
    """Offer an appliance on that queue with two packages: one that counts words, one that sleeps."""
    with running(folder / "home", docket_url=redis.url, **HOURLY, **settings) as server:
        assert server.activate(example("counts-words"))["state"] == "succeeded"
        slow = bundle_files({"manifest.json": manifest(name="slow"), "extract.py": SLOW})
        assert server.activate(zipped(slow).read())["state"] == "succeeded"
        yield server


def tickets(redis: Redis) -> int:
    """Return how many tickets for jobs have ever been taken from the queue."""
    told = redis.ask("XINFO", "GROUPS", "fumehood:stream")
    found = re.search(r"entries-read\n(\d+)", told)
    assert found, told
    return int(found[1])


def id_of(server: Server, pid: int) -> str:
    """Return the id of the worker that is this process."""
    page = server.until(
        "/v1/workers",
        lambda page: any(str(pid) in one["id"].split("-") for one in page["items"]),
    )
    return next(one["id"] for one in page["items"] if str(pid) in one["id"].split("-"))


def one_after_the_other(server: Server) -> list[str]:
    """Run jobs, each sent once the one before has ended; return who ran them."""
    order = {"package": "counts-words"}
    workers: list[str] = []
    for _ in range(JOBS):
        answer = server.http.post("/v1/jobs", json=order, headers={"Prefer": "wait=30"})
        job = answer.json()
        assert job["state"] == "succeeded", job
        workers.append(job["worker"])
    return workers


def test_who_waits_for_another_job_hears_of_it_without_a_ticket(
    tmp_path: Path, redis: Redis
) -> None:
    with appliance(tmp_path, redis) as server:
        one_after_the_other(server)  # the first of them find no warm cell
        before = tickets(redis)
        one_after_the_other(server)
        assert tickets(redis) - before < JOBS / 2


def test_a_drained_appliance_leaves_tickets_to_who_takes_jobs(tmp_path: Path, redis: Redis) -> None:
    settings = {"docket_url": redis.url, **HOURLY}
    with (
        appliance(tmp_path, redis) as server,
        working(tmp_path / "home", settings) as worker,
    ):
        here, there = (id_of(server, one.process.pid) for one in (server, worker))
        assert server.http.post(f"/v1/workers/{here}/drain").status_code == 200
        one_after_the_other(server)  # by the end of these it has heard of it
        before = tickets(redis)
        assert set(one_after_the_other(server)) == {there}
        assert tickets(redis) - before <= JOBS, "none went to and fro"
        assert server.http.post(f"/v1/workers/{here}/resume").status_code == 200
        assert server.http.post(f"/v1/workers/{there}/drain").status_code == 200
        assert one_after_the_other(server)[-1] == here


@pytest.mark.parametrize("who", ["the appliance", "the worker"])
def test_a_worker_whose_slots_are_taken_leaves_jobs_to_a_free_one(
    tmp_path: Path, redis: Redis, who: str
) -> None:
    settings = {"docket_url": redis.url, "slots": "1", **HOURLY}
    with (
        appliance(tmp_path, redis, slots="1") as server,
        working(tmp_path / "home", settings) as worker,
    ):
        here, there = (id_of(server, one.process.pid) for one in (server, worker))
        busy, free = (here, there) if who == "the appliance" else (there, here)
        assert server.http.post(f"/v1/workers/{free}/drain").status_code == 200
        one_after_the_other(server)
        sleeper = server.submit("slow").json()["id"]
        assert (
            server.until(f"/v1/jobs/{sleeper}", lambda job: job["state"] == "running")["worker"]
            == busy
        )
        assert server.http.post(f"/v1/workers/{free}/resume").status_code == 200
        assert set(one_after_the_other(server)) == {free}
        server.http.post(f"/v1/jobs/{sleeper}/cancel")
