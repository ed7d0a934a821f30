"""Two hosts with nothing in common but three addresses; one is cut off for a while, and back."""

import os
import time
from pathlib import Path

from support.bundles import bundle_files, manifest, zipped
from support.hosts import two_hosts

from ..conftest import Server, running
from .conftest import places, working

CUT_OFF_S = float(os.environ.get("CUT_OFF_S", "12"))
"""Longer than until a worker counts as dead; a minute on demand."""
SLOW = """
import time
def extract(*, job, **_):
    time.sleep(job.parameters["s"])
    (job.output_dir / "done.txt").write_text("done")
    return {"done": True}
"""


def worker_on(server: Server, *, pid: int) -> str:
    found = server.until(
        "/v1/workers", lambda page: any(str(pid) in one["id"] for one in page["items"])
    )
    return next(one["id"] for one in found["items"] if str(pid) in one["id"])


def test_a_host_that_was_cut_off_loses_nothing_and_publishes_nothing_late(tmp_path: Path) -> None:
    with (
        two_hosts() as (here, there),
        places(on=here) as shared,
        running(tmp_path / "home", within=here.within, **shared.settings) as server,
        working(tmp_path / "elsewhere", shared.settings, within=there.within) as worker,
    ):
        files = {"manifest.json": manifest(name="slow"), "extract.py": SLOW}
        assert server.activate(zipped(bundle_files(files)).read())["state"] == "succeeded"
        far = worker_on(server, pid=worker.process.pid)
        jobs = [server.submit("slow", s=1).json()["id"] for _ in range(6)]
        long = [server.submit("slow", s=4).json()["id"] for _ in range(4)]
        server.until(
            "/v1/workers", lambda page: any(w["id"] == far and w["jobs"] for w in page["items"])
        )
        there.unplug()
        until = time.monotonic() + CUT_OFF_S
        ended = [server.ended(job) for job in jobs + long]
        time.sleep(max(0.0, until - time.monotonic()))
        there.plug_in()
        assert {one["state"] for one in ended} == {"succeeded"}
        lost = [one for one in ended if one["attempt"] > 1]
        assert lost and all(one["worker"] != far for one in lost)
        for job in jobs + long:
            assert [e["event"] for e in server.events(job)].count("job.finished") == 1
        worker_on(server, pid=worker.process.pid)
        again = [server.submit("slow", s=0.5).json()["id"] for _ in range(12)]
        assert far in {server.ended(job)["worker"] for job in again}, "it works again"
