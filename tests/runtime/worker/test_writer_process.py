"""While jobs are many a second process writes; whoever kills it loses and doubles nothing."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import pytest
from support.redis import redis_server
from support.writers import writers_of

from ..conftest import PATIENCE_S, Server, running, zipped

MANY = 200


def order(server: Server, number: int) -> list[str]:
    """Order so many jobs, eight at a time; return their ids."""
    headers = dict(server.http.headers)

    def one(_: int) -> str:
        answer = client.post("/v1/jobs", json={"package": "counts-words"}, headers=headers)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    with (
        httpx2.Client(base_url=server.url, timeout=PATIENCE_S, trust_env=False) as client,
        ThreadPoolExecutor(8) as several,
    ):
        return list(several.map(one, range(number)))


def until_written_apart(server: Server) -> psutil.Process:
    for _ in range(100):
        order(server, 20)
        if found := writers_of(server.process.pid):
            return found[0]
        time.sleep(0.05)
    pytest.fail("no process writes")


def test_killed_again_and_again_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "home", slots="2") as server:
        server.activate(zipped("counts-words"))
        until_written_apart(server).kill()
        ids = order(server, MANY // 2)
        deadline = time.monotonic() + 30
        while not (found := writers_of(server.process.pid)) and time.monotonic() < deadline:
            ids += order(server, 20)
        assert found, "there is no second one"
        found[0].kill()
        ids += order(server, MANY // 2)
        assert len(set(ids)) == len(ids)
        for job_id in ids:
            job = server.ended(job_id)
            assert job["state"] == "succeeded", job
            assert job["attempt"] == 1
            numbers = [event["seq"] for event in server.events(job_id)]
            assert numbers == list(range(1, len(numbers) + 1))


def test_who_wants_one_process_has_one(tmp_path: Path) -> None:
    with running(tmp_path / "home", slots="2", writer_process="false") as server:
        server.activate(zipped("counts-words"))
        order(server, MANY)
        time.sleep(0.5)
        assert not writers_of(server.process.pid)


def test_those_who_share_a_file_write_by_themselves(tmp_path: Path) -> None:
    """One tells whether a dead process had committed by its mark, which is the last one's."""
    with (
        redis_server() as redis,
        running(tmp_path / "home", slots="2", docket_url=redis.url) as server,
    ):
        server.activate(zipped("counts-words"))
        order(server, MANY)
        time.sleep(0.5)
        assert not writers_of(server.process.pid)


def test_it_ends_with_an_appliance_that_is_killed(tmp_path: Path) -> None:
    with running(tmp_path / "home", slots="2") as server:
        server.activate(zipped("counts-words"))
        process = until_written_apart(server)
        server.process.kill()
        assert process.wait(timeout=10) is None or not process.is_running()
