"""Jobs are claimed ahead of their cells while runs are short, and nobody is kept waiting by that."""

from collections.abc import Iterator
from typing import Any

import pytest

from ..conftest import Server, running, zipped

SLOTS = 2
STAYS = """
import time

def extract(*, job, **_):
    began = time.monotonic()
    time.sleep(job.parameters.get("s", 0))
    return [began, time.monotonic()]
"""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("ahead") / "home", slots=str(SLOTS)) as server:
        server.activate(zipped("counts-words", changes={"extract.py": STAYS}))
        yield server


def submitted(server: Server, *seconds: float) -> list[str]:
    """Order jobs that take so long; return their ids."""
    return [server.submit("counts-words", s=one).json()["id"] for one in seconds]


def told(server: Server, job_id: str) -> list[str]:
    return [one["event"] for one in server.events(job_id)]


def result_of(server: Server, job_id: str) -> Any:
    return server.http.get(f"/v1/jobs/{job_id}/artifact").json()["result"]


def test_behind_long_runs_what_was_claimed_ahead_waits_again_and_runs_once(
    narrow: Server,
) -> None:
    ids = list[str]()
    again = list[str]()
    for _ in range(4):
        for job_id in (quick := submitted(narrow, *[0] * 30)):
            narrow.ended(job_id)
        slow = submitted(narrow, *[0] * 6, 3, 3, *[0] * 6)
        jobs = [narrow.ended(job_id) for job_id in slow]
        assert {(job["state"], job["attempt"]) for job in jobs} == {("succeeded", 1)}, jobs
        ids += quick + slow
        again = [job_id for job_id in slow if "job.unclaimed" in told(narrow, job_id)]
        if again:
            break
    runs = sorted(result_of(narrow, job_id) for job_id in ids)
    for began, _ in runs:
        assert sum(start <= began < end for start, end in runs) <= SLOTS
    for events in (told(narrow, job_id) for job_id in ids):
        assert events.count("job.finished") == 1
        assert events.count("job.started") == 1 + events.count("job.unclaimed")
    if not again:
        pytest.skip("runs take more than 0.05 s here, so nothing is claimed ahead of them")
    artifact = narrow.http.get(f"/v1/jobs/{again[0]}/artifact").json()
    assert [one["phase"] for one in artifact["timeline"]].count("environment") == 1
    assert "waits again" in narrow.http.get(f"/jobs/{again[0]}").text
