"""A served appliance lets go of what was kept for its time; what is pinned or needed stays."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Server, running, zipped


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "home") as server:
        assert server.activate(zipped("counts-words"))["state"] == "succeeded"
        yield server


def ended(server: Server, text: bytes = b"one two", **around: Any) -> dict[str, Any]:
    order = json.dumps({"package": "counts-words", **around})
    files = [("input", ("a.txt", text))]
    answer = server.http.post("/v1/jobs", data={"job": order}, files=files)
    assert answer.status_code == 202, answer.text
    return server.ended(answer.json()["id"])


def rules(server: Server, *rules: dict[str, str], **more: Any) -> None:
    answer = server.http.put("/v1/retention", json={"rules": rules, **more})
    assert answer.status_code == 200, answer.text


def test_inputs_outputs_events_and_rows_go_each_after_their_time(served: Server) -> None:
    first, kept = ended(served), ended(served, b"kept")
    path = f"/v1/jobs/{first['id']}"
    pinned = served.command("job", "pin", kept["id"], "--reason", "evidence")
    assert pinned.returncode == 0, pinned.stderr

    rules(served, {"inputs": "0s", "outputs": "0s"})
    job = served.until(path, lambda job: job["outputs_gone_at"] and job["inputs_gone_at"])
    assert job["events_gone_at"] is None and job["inputs"][0]["sha256"]
    gone = served.http.get(f"{path}/outputs/tables/counts.json")
    assert (gone.status_code, gone.json()["code"]) == (410, "output-gone")
    again = served.http.post(f"{path}/retry")
    assert again.status_code == 409 and "inputs" in again.json()["detail"]
    assert served.http.get(f"{path}/events").text

    rules(served, {"events": "0s"})
    served.until(path, lambda job: job["events_gone_at"])
    assert served.http.get(f"{path}/events").text == ""

    rules(served, {"rows": "0s"})
    served.until("/v1/jobs", lambda page: [job["id"] for job in page["items"]] == [kept["id"]])
    artifact = served.http.get(f"{path}/artifact")
    assert artifact.status_code == 200, "the artifact outlives all of them"
    assert artifact.json()["state"] == "succeeded"
    assert served.http.get(path).status_code == 404
    with served.as_(served.token_for("client")) as other:
        assert other.get(f"{path}/artifact").status_code == 404
    still = served.http.get(f"/v1/jobs/{kept['id']}").json()
    assert still["inputs_gone_at"] is still["outputs_gone_at"] is None
    told = served.command("retention")
    assert "2 inputs" not in told.stdout and "1 rows" in told.stdout, told.stdout
    shown = served.http.get(f"/v1/jobs/{kept['id']}/pin").json()
    assert shown["reason"] == "evidence"
    assert served.command("job", "unpin", kept["id"]).returncode == 0
    rules(served, {"rows": "0s"}, quotas=[])
    served.until("/v1/jobs", lambda page: page["items"] == [])


def test_a_job_is_deleted_with_its_bytes_and_the_audit_log_says_so(served: Server) -> None:
    job = ended(served, b"a customer's secret")
    assert served.http.put(f"/v1/jobs/{job['id']}/pin", json={"reason": "x"}).status_code == 200
    refused = served.command("job", "delete", job["id"])
    assert refused.returncode == 6 and "kept by" in refused.stderr
    assert served.http.delete(f"/v1/jobs/{job['id']}/pin").status_code == 204
    assert served.http.get(f"/v1/jobs/{job['id']}/pin").status_code == 404
    deleted = served.command("job", "delete", job["id"], "--reason", "they asked for it")
    assert deleted.returncode == 0, deleted.stderr
    for place in ("", "/artifact", "/events", "/outputs"):
        assert served.http.get(f"/v1/jobs/{job['id']}{place}").status_code == 404
    assert not (served.home / "jobs" / job["id"]).exists()
    (entry,) = [
        one for one in served.http.get("/v1/audit").json()["items"] if one["action"] == "job.delete"
    ]
    assert entry["subject"] == job["id"]
    assert entry["details"]["reason"] == "they asked for it"
    assert entry["details"]["artifacts"] == [job["attempts"][0]["artifact_digest"]]
    assert served.command("job", "delete", job["id"]).returncode == 4


def test_a_version_goes_when_nothing_needs_it(served: Server) -> None:
    job = ended(served)
    manifest = {"schema": 1, "name": "counts-words", "version": "2.0"}
    newer = zipped("counts-words", changes={"manifest.json": json.dumps(manifest)})
    before = served.http.get("/v1/packages/counts-words/versions").json()["items"][0]
    refused = served.http.delete(f"/v1/packages/counts-words/versions/{before['version']}")
    assert refused.status_code == 409
    said = [one["what"] for one in refused.json()["problems"]]
    assert said == ["it is the active version", "1 jobs were run with it, or will be"]
    served.activate(newer)
    assert served.command("job", "delete", job["id"]).returncode == 0
    bundle = served.home / "bundles" / before["digest"].removeprefix("sha256:")
    assert bundle.exists()
    removed = served.command("package", "remove", "counts-words", before["version"])
    assert removed.returncode == 0, removed.stderr
    assert not bundle.exists()
    left = served.http.get("/v1/packages/counts-words/versions").json()["items"]
    assert [one["version"] for one in left] == ["2.0"]
    assert ended(served)["version"] == "2.0"


def test_a_quota_refuses_what_goes_beyond_it_and_says_what_to_do(served: Server) -> None:
    ended(served)
    rules(served, quotas=[{"package": "counts-*", "jobs": 1}])
    served.until("/v1/retention", lambda _: is_refused(served))
    refused = served.submit("counts-words")
    assert (refused.status_code, refused.json()["code"]) == (429, "quota-exceeded")
    assert "1 may be" in refused.json()["problems"][0]["what"]
    rules(served)
    served.until("/v1/retention", lambda _: not is_refused(served))


def is_refused(server: Server) -> bool:
    return server.submit("counts-words").status_code == 429


def test_an_artifact_that_was_in_the_events_only_is_saved_before_they_go(served: Server) -> None:
    """A worker that is killed leaves no artifact file of its attempt."""
    served.activate(zipped("extract-hangs"))
    job_id = served.submit("extract-hangs").json()["id"]
    served.until(f"/v1/jobs/{job_id}", lambda job: job["state"] == "running")
    served.process.kill()
    served.process.wait()
    with running(served.home) as again:
        again.http.post(f"/v1/jobs/{job_id}/cancel")
        job = again.ended(job_id)
        assert job["attempts"][0]["artifact_digest"] is None
        before = again.http.get(f"/v1/jobs/{job_id}/artifact", params={"attempt": 1}).json()
        rules(again, {"rows": "0s"})
        again.until("/v1/jobs", lambda page: page["items"] == [])
        after = again.http.get(f"/v1/jobs/{job_id}/artifact", params={"attempt": 1})
        assert after.status_code == 200, after.text
        assert after.json()["worker"] == before["worker"]
