"""Answers that wait for the end of a job, and bodies that nobody wants."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from ..conftest import Server, running, zipped

MIB = 1024 * 1024
WAIT = {"Prefer": "wait=60"}
STRICT = {
    "manifest.json": json.dumps(
        {"schema": 1, "name": "strict", "version": "1", "accepts": ["text/csv"]}
    ),
    "extract.py": "def extract(*, job, **_):\n    (job.output_dir / 'n').write_text(job.id)\n",
}

ENDING = {
    "manifest.json": json.dumps({"schema": 1, "name": "ending", "version": "1"}),
    "extract.py": """
import time
def extract(*, job, **_):
    how = job.parameters["how"]
    job.progress(1, 2)
    if how == "with an output":
        (job.output_dir / "n").write_text("n")
    if how == "cancelled":
        time.sleep(60)
    return 1 / (how != "badly")
""",
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Its memory is measured, and a fork has in common what it has not written to.
    with running(tmp_path_factory.mktemp("own") / "home", is_real=True) as server:
        server.activate(zipped("counts-words"))
        server.activate(zipped("counts-words", changes=STRICT))
        yield server


def order(server: Server, package: str, *, prefer: str = "wait=60") -> httpx2.Response:
    headers = {"Prefer": prefer}
    return server.http.post("/v1/jobs", json={"package": package}, headers=headers, timeout=90)


def test_an_answer_waits_for_the_end_of_a_job(own: Server) -> None:
    answer = order(own, "counts-words")
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=60"
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    assert answer.json()["state"] == answer.json()["attempts"][0]["state"] == "succeeded"
    again = own.http.post(f"{answer.headers['location']}/retry", headers=WAIT, timeout=90)
    assert (again.status_code, again.json()["attempt"]) == (200, 2)
    assert again.json()["state"] == "succeeded"


@pytest.mark.parametrize("ends", ["well", "badly", "with an output", "cancelled"])
def test_who_waited_is_told_what_whoever_asks_later_reads(own: Server, ends: str) -> None:
    own.activate(zipped("counts-words", changes=ENDING))
    with ThreadPoolExecutor(1) as pool:
        order = {"package": "ending", "parameters": {"how": ends}, "labels": {"of": "waiting"}}
        asked = pool.submit(own.http.post, "/v1/jobs", json=order, headers=WAIT, timeout=90)
        if ends == "cancelled":
            job = own.until("/v1/jobs?state=running", lambda page: page["items"])["items"][0]
            own.http.post(f"/v1/jobs/{job['id']}/cancel")
        answer = asked.result()
    assert answer.status_code == 200
    told = answer.json()
    assert told["state"] == {"badly": "failed", "cancelled": "cancelled"}.get(ends, "succeeded")
    assert told["attempts"][0]["artifact_digest"].startswith("sha256:")
    assert told == own.http.get(f"/v1/jobs/{told['id']}").json()


def test_many_answers_wait_beside_each_other(own: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: order(own, "counts-words"), range(40)))
    assert {(one.status_code, one.json()["state"]) for one in answers} == {(200, "succeeded")}
    assert len({one.json()["id"] for one in answers}) == 40


def test_an_answer_waits_no_longer_than_it_was_asked_to(own: Server) -> None:
    own.activate(zipped("extract-hangs"))
    answer = order(own, "extract-hangs", prefer="respond-async, wait=1; foo")
    assert answer.status_code == 202
    assert answer.json()["state"] in {"queued", "running"}
    cancelled = own.http.post(f"/v1/jobs/{answer.json()['id']}/cancel")
    assert cancelled.status_code in {200, 202}
    for prefer in ("wait", "wait=", "wait=-1", "wait=x", "", "return=minimal"):
        assert order(own, "counts-words", prefer=prefer).status_code == 202, prefer


def test_an_activation_is_waited_for_as_well(own: Server) -> None:
    made = own.http.post("/v1/packages", content=zipped("counts-words")).json()
    path = f"/v1/packages/counts-words/versions/{made['version']}/activate"
    answer = own.http.post(path, headers=WAIT, timeout=90)
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")


def test_an_output_has_an_address_that_never_has_other_bytes(own: Server) -> None:
    files = [("input", ("a.csv", b"x", "text/csv"))]
    sent = {"job": json.dumps({"package": "strict"})}
    job = own.http.post("/v1/jobs", data=sent, files=files, headers=WAIT, timeout=90).json()
    path = f"/v1/jobs/{job['id']}/outputs/n"
    first = own.http.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    lasting = first.headers["content-location"]
    assert lasting == f"/v1/jobs/{job['id']}/attempts/1/outputs/n"
    assert "immutable" in own.http.get(lasting).headers["cache-control"]
    own.http.post(f"/v1/jobs/{job['id']}/retry", headers=WAIT, timeout=90)
    assert own.http.get(path).headers["content-location"].endswith("/attempts/2/outputs/n")
    assert own.http.get(lasting).content == first.content
    assert own.http.get(f"/v1/jobs/{job['id']}/attempts/9/outputs/n").status_code == 404


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "application/json", ""])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/jobs"), ("PUT", "/v1/gate"), ("POST", "/v1/tokens"), ("POST", "/login")],
)
def test_a_long_body_is_refused_whatever_it_says_it_is(
    own: Server, method: str, path: str, kind: str
) -> None:
    before = memory_of(own)

    def much() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * MIB

    headers = {"Content-Type": kind} if kind else {}
    try:
        answer = own.http.request(method, path, content=much(), headers=headers)
    except httpx2.TransportError:
        pass  # it hung up while we were sending: as good a refusal
    else:
        assert answer.status_code == 413
    assert memory_of(own) - before < 24 * MIB


def memory_of(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def blobs_of(server: Server) -> set[str]:
    return {path.name for path in (server.home / "blobs").rglob("*") if path.is_file()}


def test_a_job_that_is_refused_leaves_no_bytes(own: Server) -> None:
    before = blobs_of(own)
    files = [("input", ("a.txt", b"never to be kept", "text/plain"))]
    sent = {"job": json.dumps({"package": "strict"})}
    assert own.http.post("/v1/jobs", data=sent, files=files).status_code == 422
    assert blobs_of(own) == before


def test_a_client_that_leaves_midway_leaves_no_bytes(own: Server) -> None:
    before = blobs_of(own)
    head = b'--b\r\nContent-Disposition: form-data; name="job"\r\n\r\n{"package": "strict"}\r\n'
    part = (
        b'--b\r\nContent-Disposition: form-data; name="input"; filename="%d.csv"\r\n'
        b"Content-Type: text/csv\r\n\r\nwhole, and never to be kept\r\n"
    )

    def broken_off() -> Iterator[bytes]:
        yield head + part % 1 + part % 2
        raise KeyboardInterrupt

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with pytest.raises(KeyboardInterrupt):
        own.http.post("/v1/jobs", content=broken_off(), headers=headers)
    own.until("/v1/queue", lambda _: blobs_of(own) == before)


def test_a_cancelled_hook_ends_the_job_as_cancelled_with_its_outputs(own: Server) -> None:
    manifest = {"schema": 1, "name": "hooked", "version": "1"}
    hooks = {"on_after_extract": {"target": "after:run"}}
    extract = "def extract(*, job, **_):\n    (job.output_dir / 'kept').write_text('x')\n"
    after = "import time\n\n\ndef run(*, context, **_):\n    time.sleep(60)\n"
    changes = {
        "manifest.json": json.dumps(manifest | {"hooks": hooks}),
        "extract.py": extract,
        "after.py": after,
    }
    own.activate(zipped("counts-words", changes=changes))
    job_id = own.submit("hooked").json()["id"]

    def is_in_hook(_: object) -> bool:
        told = [one["data"] for one in own.events(job_id) if one["event"] == "job.phase"]
        return {"phase": "on_after_extract", "state": "started"} in told

    own.until(f"/v1/jobs/{job_id}", is_in_hook)
    own.http.post(f"/v1/jobs/{job_id}/cancel")
    assert own.ended(job_id)["state"] == "cancelled"
    assert own.http.get(f"/v1/jobs/{job_id}/outputs/kept").content == b"x"


def test_the_artifact_of_a_killed_attempt_tells_how_far_it_came(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        server.activate(zipped("extract-hangs"))
        job_id = server.submit("extract-hangs").json()["id"]
        path = f"/v1/jobs/{job_id}/artifact"
        server.until(path, lambda told: [one["phase"] for one in told.get("timeline", ())])
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with running(tmp_path / "home") as server:
        server.until(f"/v1/jobs/{job_id}", lambda job: job["attempt"] == 2)
        lost = server.http.get(path, params={"attempt": 1}).json()
        server.http.post(f"/v1/jobs/{job_id}/cancel")
    assert (lost["state"], lost["error"]["code"]) == ("failed", "worker-lost")
    assert [one["phase"] for one in lost["timeline"]] == ["environment"]
    assert lost["environment"]["python"].startswith("3.")
    assert lost["worker"]["host"] and lost["worker"]["version"]
