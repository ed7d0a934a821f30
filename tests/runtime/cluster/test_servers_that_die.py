"""Redis forgets everything, PostgreSQL is restarted, the bucket is away: no job is lost."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bundles import bundle_files, manifest
from support.bundles import zipped as packed

from ..conftest import Server, running, zipped
from ..outages.test_full_disk import SLOW, begun
from .conftest import Places, Working, places, working

SLOW_HOOK = "import time\ndef run(**_):\n    time.sleep(3)\n"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Places, Server, Working]]:
    with (
        places() as shared,
        running(tmp_path / "home", **shared.settings) as server,
        working(tmp_path / "elsewhere", shared.settings) as worker,
    ):
        assert server.activate(zipped("counts-words"))["state"] == "succeeded"
        yield shared, server, worker


def submit(server: Server, *, tries: int = 100) -> str:
    """Submit a job as a client that tries again while it is told to."""
    for _ in range(tries):
        answer = server.submit("counts-words", files={"a.txt": b"one two"})
        if answer.status_code == 202:
            return answer.json()["id"]
        assert answer.status_code == 503, answer.text
        assert answer.headers["retry-after"] and answer.json()["code"].endswith("-away")
        time.sleep(0.2)
    raise AssertionError("it was never accepted")


def all_end(server: Server, jobs: list[str]) -> None:
    ended = [server.ended(job) for job in jobs]
    assert [one["state"] for one in ended] == ["succeeded"] * len(jobs)
    for job in jobs:
        told = [event["event"] for event in server.events(job)]
        assert told.count("job.finished") == 1


def test_a_queue_that_forgets_everything_loses_no_job(
    pair: tuple[Places, Server, Working],
) -> None:
    shared, server, _ = pair
    jobs = [submit(server) for _ in range(5)]
    assert shared.redis.ask("FLUSHALL") == "OK"
    jobs += [submit(server) for _ in range(5)]
    shared.redis.kill()
    jobs += [submit(server) for _ in range(5)]
    shared.redis.start()
    jobs += [submit(server) for _ in range(5)]
    all_end(server, jobs)


def test_a_database_that_is_restarted_loses_no_job(pair: tuple[Places, Server, Working]) -> None:
    shared, server, worker = pair
    jobs = [submit(server) for _ in range(10)]
    shared.postgres.kill()
    away = server.http.post("/v1/jobs", json={"package": "counts-words"})
    assert (away.status_code, away.json()["code"]) == (503, "store-away")
    assert server.http.get("/readyz").status_code == 503
    shared.postgres.start()
    jobs += [submit(server) for _ in range(10)]
    all_end(server, jobs)
    for log in (worker.log, server.home.with_name("home.log").read_text()):
        assert "bug of ours" not in log


def test_jobs_that_wait_while_the_bucket_is_away_end_when_it_is_back(
    pair: tuple[Places, Server, Working],
) -> None:
    """Each attempt fails meanwhile, and none of them counts."""
    shared, server, _ = pair
    jobs = [submit(server) for _ in range(6)]
    shared.s3.be_away()
    jobs.append(server.http.post("/v1/jobs", json={"package": "counts-words"}).json()["id"])
    time.sleep(8)
    shared.s3.be_back()
    all_end(server, jobs)


def test_an_activation_that_the_database_left_alone_ends_when_it_is_back(
    pair: tuple[Places, Server, Working],
) -> None:
    shared, server, _ = pair
    held = bundle_files({"manifest.json": manifest(name="slow"), "hooks/on_activate.py": SLOW_HOOK})
    assert server.http.post("/v1/packages", content=packed(held).read()).status_code == 201
    place = server.http.post("/v1/packages/slow/versions/1.0/activate").headers["location"]
    server.until(place, lambda one: one["state"] == "running")
    shared.postgres.kill()
    time.sleep(5)
    shared.postgres.start()
    ended = server.until(place, lambda one: one.get("state") in ("succeeded", "failed"))
    assert ended["state"] == "succeeded"


def test_a_queue_that_stands_still_holds_up_no_submission(
    pair: tuple[Places, Server, Working],
) -> None:
    shared, server, _ = pair
    assert shared.redis.process
    shared.redis.process.send_signal(signal.SIGSTOP)
    try:
        jobs = [submit(server)]  # answered while it stands still
    finally:
        shared.redis.process.send_signal(signal.SIGCONT)
    all_end(server, jobs)


def all_hear(shared: Places) -> None:
    """Wait until both processes listen to news."""
    while shared.redis.ask("PUBSUB", "NUMSUB", "fumehood:news").split()[-1] != "2":
        time.sleep(0.05)


def test_what_is_no_news_ends_no_listener(pair: tuple[Places, Server, Working]) -> None:
    shared, server, worker = pair
    all_hear(shared)
    for message in ("not json", '{"from": 1}', "[]"):
        assert shared.redis.ask("PUBLISH", "fumehood:news", message) == "2"
    all_end(server, [submit(server)])
    assert shared.redis.ask("PUBSUB", "NUMSUB", "fumehood:news").split()[-1] == "2"
    assert "is no news" in worker.log


def test_a_bucket_that_is_away_is_named_and_what_came_before_ends(
    pair: tuple[Places, Server, Working],
) -> None:
    shared, server, _ = pair
    job = submit(server)
    all_end(server, [job])
    shared.s3.kill()
    away = server.submit("counts-words", files={"a.txt": b"new bytes"})
    assert (away.status_code, away.json()["code"]) == (503, "blobs-away")
    assert server.http.get(f"/v1/jobs/{job}").json()["state"] == "succeeded"
    assert server.http.get(f"/v1/jobs/{job}/outputs/tables/counts.json").status_code == 200


def test_an_old_wish_to_stop_ends_no_attempt_that_came_after_it(
    pair: tuple[Places, Server, Working],
) -> None:
    """News of a cancellation may come late: what it was about has ended, and is tried again."""
    shared, server, _ = pair
    assert server.activate(zipped("counts-words", changes=SLOW))["state"] == "succeeded"
    job = server.submit("slow", s=600).json()["id"]
    begun(server, job)
    assert server.http.post(f"/v1/jobs/{job}/cancel").status_code == 202
    assert server.ended(job)["state"] == "cancelled"
    assert server.http.post(f"/v1/jobs/{job}/retry").status_code == 202
    server.until(f"/v1/jobs/{job}", lambda one: (one["state"], one["attempt"]) == ("running", 2))
    late = json.dumps({"sender": "another", "topics": [f"stop {job}"]})
    all_hear(shared)
    for _ in range(10):
        assert shared.redis.ask("PUBLISH", "fumehood:news", late) == "2"
        time.sleep(0.1)
    told = server.http.get(f"/v1/jobs/{job}").json()
    assert (told["state"], told["attempt"]) == ("running", 2), "nobody asked for that"
    assert server.http.post(f"/v1/jobs/{job}/cancel").status_code == 202
    assert server.ended(job)["state"] == "cancelled"
