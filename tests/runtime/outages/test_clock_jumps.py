"""The clock of the machine is set by a day while an appliance works: nobody is lost by that.

libfaketime sets it for the process only, and leaves CLOCK_MONOTONIC alone, as the kernel does.
"""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from support.lacking import lacking

from ..conftest import Server, running, zipped
from .test_full_disk import SLOW, begun

PLACES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64")


@contextmanager
def with_own_clock(folder: Path, **settings: str) -> Iterator[tuple[Server, Callable[[str], None]]]:
    """Offer a server with a clock of its own, and what sets that, by `+1d` or the like."""
    libraries = [Path(one) / "faketime/libfaketimeMT.so.1" for one in PLACES]
    library = next((one for one in libraries if one.exists()), None)
    if library is None or not shutil.which("env"):
        lacking("libfaketime (apt-get install faketime)")
    offset = folder / "offset"

    def set_by(days: str) -> None:
        offset.write_text(f"{days}\n")

    set_by("+0d")
    within = (
        "env",
        "--unset=LOOP_WATCH_FOLDER",  # it would see a jump as a loop that was held for a day
        f"LD_PRELOAD={library}",
        f"FAKETIME_TIMESTAMP_FILE={offset}",
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
    )
    with running(folder / "home", within=within, **settings) as server:
        yield server, set_by


def test_no_worker_is_lost_by_a_clock_that_is_set_by_a_day(tmp_path: Path) -> None:
    with with_own_clock(tmp_path, reconcile_interval_s="0.2") as (server, set_by):
        assert server.activate(zipped("counts-words", changes=SLOW))["state"] == "succeeded"
        for days in ("+1d", "-1d", "+2d"):
            job_id = server.submit("slow", s=2).json()["id"]
            begun(server, job_id)
            set_by(days)
            time.sleep(1)
            assert server.http.get("/readyz").status_code == 200
            job = server.ended(job_id)
            assert (job["state"], job["attempt"]) == ("succeeded", 1), (days, job["attempts"])


def test_a_gate_is_open_for_as_long_as_was_said_though_the_clock_is_set_back(
    tmp_path: Path,
) -> None:
    with with_own_clock(tmp_path, reconcile_interval_s="0.5") as (server, set_by):
        order = {"is_open": True, "minutes": 0.05, "reason": "first install"}
        assert server.http.put("/v1/gate", json=order).json()["is_open"]
        set_by("-1d")
        path = "/v1/audit?action=gate.close"
        entries = server.until(path, lambda page: page["items"])["items"]
        assert entries[0]["who"] == "fumehood", "nobody asked: the reconciler closed it"
        assert not server.http.get("/v1/gate").json()["is_open"]


def test_what_is_lost_is_looked_for_though_the_clock_is_set_back(tmp_path: Path) -> None:
    # Four seconds: a worker of a busy machine was late by more than one, and its activation lost.
    with with_own_clock(tmp_path, reconcile_interval_s="0.3", worker_lost_after_s="4") as (
        server,
        set_by,
    ):
        activation = server.activate(zipped("counts-words", changes=SLOW))
        assert activation["state"] == "succeeded", activation["error"]
        set_by("-1d")
        time.sleep(1)
        job_id = server.submit("slow", s=60).json()["id"]
        begun(server, job_id)
        with closing(sqlite3.connect(server.home / "fumehood.db", timeout=10)) as database:
            database.execute("UPDATE jobs SET worker = 'gone' WHERE id = ?", (job_id,))
            database.commit()
        job = server.until(f"/v1/jobs/{job_id}", lambda one: one["attempt"] == 2)
        assert job["attempts"][0]["error"]["code"] == "worker-lost"
        server.http.post(f"/v1/jobs/{job_id}/cancel")
