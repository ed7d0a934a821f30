"""What a package made long is bounded where it is shown, and sent in pieces."""

import json
import threading

import pytest

from ..conftest import Server, zipped

LONG = """
import json, random

def extract(*, job, **_):
    kind = job.parameters["kind"]
    if kind == "keys":
        return {f"key{n}": n for n in range(45_000)}
    if kind == "text":
        return "x" * 4_000_000
    if kind == "lines":
        for number in range(4000):
            print("y" * 1000)
    if kind == "outputs":
        for number in range(3000):
            (job.output_dir / f"{number}.txt").write_text("z")
    return None
"""
MANIFEST = {
    "schema": 1,
    "name": "long-winded",
    "version": "1.0",
    "limits": {"log_kb": 8192, "log_lines": 10_000, "result_kb": 8192, "output_files": 5000},
}
PAGE_MOST_BYTES = 3 << 20


@pytest.fixture(scope="module")
def winded(server: Server) -> Server:
    changes = {"manifest.json": json.dumps(MANIFEST), "extract.py": LONG}
    assert server.activate(zipped("counts-words", changes=changes))["state"] == "succeeded"
    return server


@pytest.mark.parametrize("kind", ["keys", "text", "lines", "outputs"])
def test_a_page_has_a_bounded_length_and_the_rest_is_in_the_api(kind: str, winded: Server) -> None:
    job = winded.ended(winded.submit("long-winded", kind=kind).json()["id"])
    assert job["state"] == "succeeded", job
    page = winded.http.get(f"/jobs/{job['id']}")
    assert page.status_code == 200 and len(page.content) < PAGE_MOST_BYTES
    artifact = winded.http.get(f"/v1/jobs/{job['id']}/artifact")
    assert artifact.headers["content-type"] == "application/json" and artifact.json()["job"]
    if kind == "keys":
        assert len(artifact.json()["result"]) == 45_000 and "more of it is in the JSON" in page.text
    if kind == "outputs":
        assert "and 2000 more" in page.text
        paths = all_paths(winded, f"/v1/jobs/{job['id']}/outputs?limit=200")
        assert len(paths) == 3000 and paths == sorted(set(paths))


def all_paths(server: Server, place: str) -> list[str]:
    """Return the paths of a list of outputs, page by page as its links lead."""
    paths: list[str] = []
    while place:
        answer = server.http.get(place)
        told = answer.json()
        assert len(told["items"]) <= 200
        paths += [item["path"] for item in told["items"]]
        assert bool(told["next_cursor"]) == ("link" in answer.headers)
        place = answer.links["next"]["url"] if "link" in answer.headers else ""
    return paths


def test_the_page_of_a_job_reads_no_more_of_a_long_artifact_than_it_shows(winded: Server) -> None:
    job = winded.ended(winded.submit("long-winded", kind="text").json()["id"])
    folder = winded.home / "jobs" / job["id"] / "1"
    assert (folder / "artifact.json").stat().st_size > 4_000_000
    assert (folder / "shown.json").stat().st_size < 200_000
    whole = (folder / "artifact.json").read_bytes()
    (folder / "artifact.json").write_bytes(whole.replace(b'"schema"', b'"schemA', 1))
    page = winded.http.get(f"/jobs/{job['id']}")
    assert page.status_code == 200 and "more of it is in the JSON" in page.text
    (folder / "shown.json").unlink()
    page = winded.http.get(f"/jobs/{job['id']}")
    assert page.status_code == 200 and "/artifact?attempt=1" in page.text


def test_nobody_waits_for_who_reads_a_long_answer_slowly(winded: Server) -> None:
    job = winded.ended(winded.submit("long-winded", kind="text").json()["id"])
    begun, stop = threading.Event(), threading.Event()

    def read_slowly() -> None:
        with winded.http.stream("GET", f"/v1/jobs/{job['id']}/artifact") as answer:
            for _ in answer.iter_bytes(1024):
                begun.set()
                if stop.wait(0.05):
                    return

    reading = threading.Thread(target=read_slowly)
    reading.start()
    assert begun.wait(30)
    for _ in range(20):
        assert winded.http.get("/healthz").status_code == 200
    assert reading.is_alive(), "it is not read to its end yet"
    stop.set()
    reading.join()
