"""What is recorded as running, and runs nowhere, is found: whoever's name stands there."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ..conftest import Server, running, zipped
from .test_shutdown_and_recovery import SLOW, begun


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("held") / "home"
    with running(home, reconcile_interval_s="0.3", worker_lost_after_s="2") as server:
        server.activate(zipped("counts-words", changes=SLOW))
        yield server


def write(home: Path, statement: str, *values: str) -> None:
    """Change a row, as a fault of ours would leave it."""
    with closing(sqlite3.connect(home / "fumehood.db", timeout=10)) as database:
        database.execute(statement, values)
        database.commit()


def test_an_attempt_that_its_living_worker_lost_hold_of_is_tried_again(serving: Server) -> None:
    job_id = serving.submit("slow", s=1).json()["id"]
    begun(serving, job_id)
    write(serving.home, "UPDATE jobs SET token = 'nobodys' WHERE id = ?", job_id)
    job = serving.until(f"/v1/jobs/{job_id}", lambda job: job["attempt"] == 2)
    assert job["attempts"][0]["error"]["code"] == "attempt-lost"
    assert serving.ended(job_id)["state"] == "succeeded", "what the first one did is not published"


def test_a_worker_whose_name_is_used_again_hides_no_orphan(serving: Server) -> None:
    """An orphan of a process that died, and whose name another one has now."""
    worker = serving.http.get("/v1/workers").json()["items"][0]["id"]
    job_id = serving.submit("slow", s=30).json()["id"]
    begun(serving, job_id)
    write(
        serving.home,
        "UPDATE jobs SET token = 'of-who-died', worker = ? WHERE id = ?",
        worker,
        job_id,
    )
    serving.until(f"/v1/jobs/{job_id}", lambda job: job["attempt"] == 2)
    serving.http.post(f"/v1/jobs/{job_id}/cancel")
    assert serving.ended(job_id)["state"] == "cancelled"


def test_what_a_worker_runs_for_long_is_left_to_it(serving: Server) -> None:
    """Looks, signs of life and tickets come many times while a long job runs."""
    ids = [serving.submit("slow", s=5).json()["id"] for _ in range(2)]
    for job_id in ids:
        job = serving.ended(job_id)
        assert (job["state"], job["attempt"]) == ("succeeded", 1), job["attempts"]
