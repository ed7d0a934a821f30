"""Files in plenty, taken or left: nothing else waits while they are looked at.

Nobody asserts it here: conftest.py fails each test in which a server's event loop was held.
"""

import json

import pytest

from ..conftest import Server, zipped

LEAVES = """
def leave(folder, count):
    for number in range(count):
        place = folder / str(number)
        place.mkdir()
        (place / "left.txt").write_text("z")

def extract(*, job, **_):
    leave(job.output_dir, job.parameters.get("extract", 0))
    return len(job.inputs)

def on_after_extract(*, job, **_):
    leave(job.output_dir, job.parameters.get("hook", 0))
"""
MANIFEST = {
    "schema": 1,
    "name": "leaves-files",
    "version": "1.0",
    "limits": {"output_files": 10_000},
}


@pytest.fixture(scope="module")
def leaving(server: Server) -> Server:
    changes = {"manifest.json": json.dumps(MANIFEST), "extract.py": LEAVES}
    assert server.activate(zipped("counts-words", changes=changes))["state"] == "succeeded"
    return server


@pytest.mark.parametrize("who", ["extract", "hook"])
def test_thousands_of_files_in_folders_hold_nobody_up(who: str, leaving: Server) -> None:
    job = leaving.ended(leaving.submit("leaves-files", **{who: 4_900}).json()["id"])
    assert job["state"] == "succeeded", job
    artifact = leaving.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    assert len(artifact["outputs"]) == (4_900 if who == "extract" else 0)


def test_a_thousand_inputs_hold_nobody_up(leaving: Server) -> None:
    files = {f"{number}.txt": f"{number}".encode() for number in range(1_000)}
    job = leaving.ended(leaving.submit("leaves-files", files=files).json()["id"])
    assert job["state"] == "succeeded", job
    assert leaving.http.get(f"/v1/jobs/{job['id']}/artifact").json()["result"] == 1_000
