"""A worker with nothing but three addresses runs jobs as the appliance does itself."""

import asyncio
import json
import threading
import time
from pathlib import Path

from support.bundles import bundle_files, manifest, zipped
from support.wheels import make_wheel

from runtime.blobs.objects import Objects

from ..conftest import zipped as example
from .conftest import Cluster, working

REMEMBERS = """
from pathlib import Path
def on_activate(*, context, **_):
    (context.output_dir / "learnt").mkdir()
    (context.output_dir / "learnt" / "words.txt").write_text("prepared once")
def extract(*, job, **_):
    import greeting
    said = (job.data / "learnt" / "words.txt").read_text()
    (job.output_dir / "out.bin").write_bytes(b"x" * 3_000_000)
    long = "x" * 100_000  # such an artifact is no part of the database
    return {"said": said, "by": greeting.NAME, "read": job.inputs[0].read_text(), "long": long}
"""
SLOW = """
import time
def extract(*, job, **_):
    print("begun", flush=True)
    time.sleep(600)
"""


def artifacts_of(job_id: str) -> list[str]:
    """Return which artifacts of a job are in the bucket."""
    bucket = Objects("s3://bucket/cluster")
    return asyncio.run(bucket.names(f"artifacts/{job_id}/"))


def remembering(folder: Path) -> bytes:
    files = {
        "manifest.json": manifest(
            name="remembers",
            entrypoint="remembers:extract",
            hooks={"on_activate": "remembers:on_activate"},
        ),
        "remembers.py": REMEMBERS,
        "requirements.txt": "greeting==1.0\n",
    }
    held = bundle_files(files)
    del held["extract.py"]
    return zipped(held).read()


def test_bundle_wheels_data_inputs_and_outputs_come_and_go_by_digest(
    cluster: Cluster, tmp_path: Path
) -> None:
    server = cluster.server
    wheel = make_wheel(tmp_path, "greeting", files={"greeting.py": b"NAME = 'a wheel'\n"})
    kept = server.http.post(
        f"/v1/wheelhouse/wheels?filename={wheel.name}", content=wheel.read_bytes()
    )
    assert kept.status_code in (200, 201), kept.text
    activation = server.activate(remembering(tmp_path))
    assert activation["state"] == "succeeded", activation
    with cluster.all_work_elsewhere():
        job = server.submit("remembers", files={"a.txt": b"an input"}).json()
        ended = server.ended(job["id"])
    assert ended["state"] == "succeeded", ended
    assert ended["worker"] == cluster.worker_id(of=cluster.worker)
    artifact = server.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    assert len(artifact["result"].pop("long")) == 100_000
    assert artifact["result"] == {"said": "prepared once", "by": "a wheel", "read": "an input"}
    assert [one["name"] for one in artifact["environment"]["installed"]] == ["greeting"]
    assert artifact["worker"]["id"] == ended["worker"]
    got = server.http.get(f"/v1/jobs/{job['id']}/outputs/out.bin")
    assert got.content == b"x" * 3_000_000
    for one in (cluster.server.home, cluster.worker.home):
        assert [path.name for path in (one / "bundles").iterdir()], one
    assert not list((cluster.worker.home / "jobs").rglob("artifact.json")), "a worker keeps none"
    assert artifacts_of(job["id"]) == ["1"]
    assert server.http.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert artifacts_of(job["id"]) == [], "it goes with its job"


def test_events_and_a_cancellation_cross_from_process_to_process(cluster: Cluster) -> None:
    server = cluster.server
    files = {"manifest.json": manifest(name="slow"), "extract.py": SLOW}
    assert server.activate(zipped(bundle_files(files)).read())["state"] == "succeeded"
    with cluster.all_work_elsewhere():
        job = server.submit("slow").json()["id"]
        seen: list[tuple[str, float]] = []

        def follow() -> None:
            path = f"/v1/jobs/{job}/events?follow=true"
            headers = {"Accept": "application/x-ndjson"}
            with server.http.stream("GET", path, headers=headers) as lines:
                for line in lines.iter_lines():
                    if line:
                        seen.append((json.loads(line)["event"], time.monotonic()))

        following = threading.Thread(target=follow)
        following.start()
        while not any(event == "job.log" for event, _ in seen):
            time.sleep(0.01)
        assert server.http.post(f"/v1/jobs/{job}/cancel").status_code == 202
        following.join(60)
    assert not following.is_alive()
    assert [event for event, _ in seen][-1] == "job.finished"
    ended = server.ended(job)
    assert ended["state"] == "cancelled" and ended["worker"] == cluster.worker_id(of=cluster.worker)


def test_an_activation_is_made_where_the_wheels_are(cluster: Cluster) -> None:
    for n in range(6):
        bundle = zipped(bundle_files({"manifest.json": manifest(name=f"made-{n}")}))
        activation = cluster.server.activate(bundle.read())
        assert activation["state"] == "succeeded"
    places = cluster.places
    made_by = places.postgres.sql(places.database_url, "SELECT DISTINCT worker FROM activations")
    assert made_by.split() == [cluster.worker_id(of=cluster.server)]


def test_both_take_their_share_and_nothing_is_done_twice(cluster: Cluster) -> None:
    server = cluster.server
    assert server.activate(example("counts-words"))["state"] == "succeeded"
    jobs = [server.submit("counts-words", files={"a.txt": b"a b c"}).json() for _ in range(40)]
    ended = [server.ended(job["id"]) for job in jobs]
    assert {one["state"] for one in ended} == {"succeeded"}
    assert {one["attempt"] for one in ended} == {1}


def test_a_job_goes_only_where_there_is_what_it_needs(cluster: Cluster, tmp_path: Path) -> None:
    server = cluster.server
    needs = manifest(name="computes", needs=["gpu"])
    assert server.activate(zipped(bundle_files({"manifest.json": needs})).read())["state"] == (
        "succeeded"
    )
    job = server.submit("computes").json()["id"]
    waits = server.http.get(f"/v1/jobs/{job}/waits").json()
    assert [(one["code"], one["what"]) for one in waits["waits"]] == [
        ("no-such-worker", "no worker has gpu, which it needs")
    ]
    settings = cluster.places.settings | {"labels": "gpu fast"}
    with working(tmp_path / "with-gpu", settings) as able:
        ended = server.ended(job)
        assert ended["worker"] == cluster.worker_id(of=able)
        there = server.http.get("/v1/workers").json()["items"]
        (offers,) = [one["offers"] for one in there if one["id"] == ended["worker"]]
    assert {"gpu", "fast"} < set(offers) and any(one.startswith("cpython-3") for one in offers)
    assert ended["state"] == "succeeded"


def test_whose_ticket_a_drained_worker_took_waits_for_no_reconciler(cluster: Cluster) -> None:
    """With one that looks for lost work every hour, nobody else would hand it out again."""
    server = cluster.server
    assert server.activate(example("counts-words"))["state"] == "succeeded"
    with cluster.all_work_elsewhere():
        for _ in range(8):
            job = server.submit("counts-words", files={"a.txt": b"a b"}).json()["id"]
            ended = server.ended(job)
            assert ended["worker"] == cluster.worker_id(of=cluster.worker)
