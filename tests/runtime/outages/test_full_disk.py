"""The disk is full: it is said so, nothing is lost, and all goes on by itself once there is room."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.lacking import lacking

from ..conftest import Server, running, zipped

SLOW = {
    "manifest.json": '{"schema": 1, "name": "slow", "version": "1.0"}',
    "extract.py": (
        "import time\n\n\ndef extract(*, job, **_):\n    print('begun', flush=True)\n"
        "    time.sleep(job.parameters['s'])\n"
        "    if job.parameters.get('leaves'):\n"
        "        (job.output_dir / 'a.txt').write_text('a')\n"
        "    return 'slept'\n"
    ),
}


@contextmanager
def small_disk(folder: Path, *, mb: int = 48) -> Iterator[Path]:
    """Offer a home on a file system of its own (tmpfs(5)), of `mb` megabytes."""
    if os.geteuid() != 0:
        lacking("root, which may mount a small file system")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mb}m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        lacking("the right to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def full(home: Path) -> Iterator[None]:
    """Let there be no byte left, meanwhile."""
    filler = home / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    try:
        yield
    finally:
        filler.unlink()


def begun(server: Server, job_id: str) -> None:
    path = f"/v1/jobs/{job_id}/events"
    with server.http.stream("GET", f"{path}?follow=true") as lines:
        assert any('"begun"' in line for line in lines.iter_lines())


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("disk")
    folder.chmod(0o755)
    with small_disk(folder / "home") as home, running(home) as server:
        assert server.activate(zipped("counts-words", changes=SLOW))["state"] == "succeeded"
        assert server.ended(server.submit("slow", s=0).json()["id"])["state"] == "succeeded"
        yield server


def until_refused(server: Server) -> dict[str, object]:
    """Submit until it is refused: what the log of the database has room for is taken."""
    for _ in range(3000):
        answer = server.submit("slow", s=0, much="x" * 20_000)
        if answer.status_code != 202:
            return {"status": answer.status_code, "retry": answer.headers.get("retry-after")} | (
                answer.json()
            )
    raise AssertionError("the disk is not full")


def test_a_job_that_ends_while_the_disk_is_full_is_told_of_once_there_is_room(
    serving: Server,
) -> None:
    job_id = serving.submit("slow", s=4).json()["id"]
    begun(serving, job_id)
    with full(serving.home):
        refused = until_refused(serving)
        assert (refused["status"], refused["code"]) == (507, "disk-full"), refused
        assert refused["retry"], "it says when to come again"
        ready = serving.http.get("/readyz")
        assert ready.status_code == 503
        assert "disk-full" in [one["code"] for one in ready.json()["problems"]]
        asked = serving.command("job", "submit", "slow", "-p", "s=0")
        assert asked.returncode == 75 and "disk-full" in asked.stderr, asked.stderr
        assert serving.http.post(f"/v1/jobs/{job_id}/cancel").status_code == 507
        time.sleep(5)  # it has ended, and cannot be written down
        assert serving.http.get(f"/v1/jobs/{job_id}").json()["state"] == "running"
    job = serving.ended(job_id)
    assert (job["state"], job["attempt"]) == ("succeeded", 1), job
    assert serving.http.get(f"/v1/jobs/{job_id}/artifact").status_code == 200
    serving.until("/readyz", lambda told: told.get("status") == "ok")


def test_a_job_whose_outputs_found_no_room_is_tried_again_by_itself(serving: Server) -> None:
    job_id = serving.submit("slow", s=3, leaves=True).json()["id"]
    begun(serving, job_id)
    with full(serving.home):
        until_refused(serving)
        time.sleep(4)
    job = serving.ended(job_id)
    assert job["state"] == "succeeded", job
    codes = {one["error"]["code"] for one in job["attempts"] if one["error"]}
    assert codes <= {"disk-full"}, "whose fault it was is named"
    outputs = serving.http.get(f"/v1/jobs/{job_id}/outputs").json()["items"]
    assert [one["path"] for one in outputs] == ["a.txt"]


def test_a_full_disk_is_logged_once_and_its_end_too(serving: Server) -> None:
    log = serving.home.parent / "home.log"
    before = len(log.read_text().splitlines())
    with full(serving.home):
        until_refused(serving)
        time.sleep(5)
        said = log.read_text().splitlines()[before:]
        assert len(said) <= 5, said
    serving.until("/readyz", lambda told: told.get("status") == "ok")
    assert "Traceback" not in log.read_text()
