"""A package that does wrong fails its own job, with a code, a place and a mend; no more.

Each bundle is a folder below `bundles` that is named after its fault.
"""

import json

import pytest

from ..conftest import Server, zipped

FAULTS = [
    ("extract-raises", "the third column is empty"),
    ("extract-exits", "3"),
    ("extract-over-wall-limit", "wall"),
    ("extract-returns-nan", ""),
    ("extract-returns-a-set", ""),
]


@pytest.mark.parametrize(("name", "told"), FAULTS, ids=[name for name, _ in FAULTS])
def test_a_fault_of_the_package_is_a_recorded_failure(server: Server, name: str, told: str) -> None:
    assert server.activate(zipped(name))["state"] == "succeeded"
    job = server.ended(server.submit(name).json()["id"])

    assert (job["state"], job["attempt"]) == ("failed", 1), "a package's own failure is final"
    error = job["error"]
    assert error["kind"] == "package"
    assert error["code"] and error["what"] and error["mend"]
    assert told in json.dumps(error)

    artifact = server.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    assert artifact["state"] == "failed"
    assert artifact["error"]["code"] == error["code"]
    assert artifact["isolation"]["level"]
    assert server.events(job["id"])[-1]["event"] == "job.finished"
    assert server.http.get("/readyz").status_code == 200


def test_what_does_not_import_never_becomes_active_and_the_former_version_stays(
    server: Server,
) -> None:
    manifest = {"schema": 1, "name": "extract-does-not-import", "version": "0.9"}
    assert (
        server.activate(zipped("counts-words", changes={"manifest.json": json.dumps(manifest)}))[
            "state"
        ]
        == "succeeded"
    )
    activation = server.activate(zipped("extract-does-not-import"))
    assert activation["state"] == "failed"
    (problem,) = activation["problems"]
    assert problem["code"] == "import-failed"
    assert "a_module_that_is_not_there" in problem["what"]
    assert 'File "/bundle/extract.py"' in activation["traceback"]
    package = server.http.get("/v1/packages/extract-does-not-import").json()
    assert package["active_version"] == "0.9"


def test_a_gigabyte_on_stdout_is_cut_and_said_to_be(server: Server) -> None:
    server.activate(zipped("extract-prints-without-end"))
    job = server.ended(server.submit("extract-prints-without-end").json()["id"])
    assert job["state"] in {"succeeded", "failed"}
    stored = server.http.get(f"/v1/jobs/{job['id']}/events").content
    assert len(stored) < 8 * 1024 * 1024
    artifact = server.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    assert artifact["dropped_log_bytes"] > 0 or artifact["error"]["limit"]


def test_links_and_fifos_among_outputs_are_left_out_and_named(server: Server) -> None:
    server.activate(zipped("extract-leaves-links-and-fifos"))
    job = server.ended(server.submit("extract-leaves-links-and-fifos").json()["id"])
    outputs = server.http.get(f"/v1/jobs/{job['id']}/outputs").json()["items"]
    assert [one["path"] for one in outputs] == ["good.txt"]
    artifact = server.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    assert {"passwd", "loop", "pipe"} <= {one["path"] for one in artifact["refusals"]}
    assert not (server.home / "jobs" / job["id"] / "1" / "outputs").exists()


def test_the_hook_after_a_failure_is_told_of_it(server: Server) -> None:
    manifest = {"schema": 1, "name": "told-of-failure", "version": "1.0"}
    changes = {
        "manifest.json": json.dumps(manifest),
        "extract.py": "def extract(*, job, **_):\n    raise KeyError('x')\n",
    }
    server.activate(zipped("counts-words", changes=changes))
    job = server.ended(server.submit("told-of-failure").json()["id"])
    artifact = server.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    assert artifact["notes"] == ["hook saw failed"]
    assert [one["state"] for one in artifact["hooks"]] == ["succeeded"]
