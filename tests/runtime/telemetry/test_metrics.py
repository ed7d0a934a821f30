"""Every number on /metrics moves when the thing is done through the front door."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, event
from support.wheels import make_wheel

from runtime.store import telemetry
from runtime.store.databases.store import Store
from runtime.telemetry.names import METRICS

from ..conftest import NOON, Server, running, zipped

type Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(server: Server) -> Numbers:
    """Return every sample by its name and labels."""
    answer = server.http.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(numbers: Numbers, name: str, **labels: str) -> float:
    return numbers.get((f"fumehood_{name}", tuple(sorted(labels.items()))), 0.0)


def moved(server: Server, before: Numbers, name: str, **labels: str) -> float:
    return value(scraped(server), name, **labels) - value(before, name, **labels)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of which nobody else moves the numbers: one slot, and two jobs may wait."""
    home = tmp_path_factory.mktemp("metrics") / "home"
    with running(home, queue_limit="2", slots="1", worker_lost_after_s="5") as server:
        assert server.activate(zipped("counts-words"))["state"] == "succeeded"
        yield server


def test_the_page_is_valid_and_each_metric_says_what_it_means(alone: Server) -> None:
    answer = alone.http.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {one.name: one for one in text_string_to_metric_families(answer.text)}
    assert set(families) == {f"fumehood_{name}" for name in METRICS}
    for name, metric in METRICS.items():
        family = families[f"fumehood_{name}"]
        assert (family.type, family.documentation) == (metric.kind, metric.meaning)
        told = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert told <= set(metric.labels)
        assert not family.samples or told == set(metric.labels)


def test_a_job_that_succeeds_moves_what_it_went_through(alone: Server) -> None:
    before = scraped(alone)
    job = alone.submit("counts-words", files={"a.txt": b"one two"}).json()["id"]
    assert alone.ended(job)["state"] == "succeeded"
    after = scraped(alone)

    def rise(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert rise("jobs_total", package="counts-words", state="succeeded") == 1
    for phase in ("queue", "environment", "run", "collect", "hook"):
        assert rise("job_seconds_count", phase=phase) == 1, phase
        assert rise("job_seconds_bucket", phase=phase, le="+Inf") == 1
        assert rise("job_seconds_sum", phase=phase) > 0
    starts = sum(rise("cell_start_seconds_count", kind=kind) for kind in ("cold", "warm"))
    assert starts == 2  # the job, and its hook


def test_buckets_hold_all_that_is_below_them(alone: Server) -> None:
    alone.ended(alone.submit("counts-words").json()["id"])
    numbers = scraped(alone)
    bounds = [*(f"{one:g}" for one in METRICS["job_seconds"].buckets), "+Inf"]
    held = [value(numbers, "job_seconds_bucket", phase="run", le=bound) for bound in bounds]
    assert held == sorted(held)
    assert held[-1] == value(numbers, "job_seconds_count", phase="run") > 0


def test_a_job_that_fails_or_is_cancelled_is_counted_as_that(alone: Server) -> None:
    alone.activate(zipped("extract-raises"))
    alone.activate(zipped("extract-hangs"))
    before = scraped(alone)
    alone.ended(alone.submit("extract-raises").json()["id"])
    hanging = alone.submit("extract-hangs").json()["id"]
    alone.http.post(f"/v1/jobs/{hanging}/cancel")
    alone.ended(hanging)
    assert moved(alone, before, "jobs_total", package="extract-raises", state="failed") == 1
    assert moved(alone, before, "jobs_total", package="extract-hangs", state="cancelled") == 1


def test_a_full_queue_shows_its_depth_its_age_and_whom_it_refused(alone: Server) -> None:
    alone.activate(zipped("extract-hangs"))
    first = alone.submit("extract-hangs").json()["id"]
    alone.until(f"/v1/jobs/{first}", lambda job: job["state"] == "running")
    before = scraped(alone)
    waiting = [alone.submit("extract-hangs").json()["id"] for _ in range(2)]
    assert alone.submit("extract-hangs").status_code == 429
    lines = '{"package": "extract-hangs"}\n' * 2
    alone.http.post("/v1/submissions", content=lines)
    after = scraped(alone)
    refused = value(after, "admission_rejected_total", reason="queue-full")
    assert refused - value(before, "admission_rejected_total", reason="queue-full") == 3
    assert (value(after, "queue_depth"), value(after, "queue_limit")) == (2, 2)
    assert value(after, "queue_oldest_seconds") > 0
    assert value(after, "jobs_running") == 1
    for job in (*waiting, first):
        alone.http.post(f"/v1/jobs/{job}/cancel")
        alone.ended(job)
    assert value(scraped(alone), "queue_depth") == 0
    assert value(scraped(alone), "queue_oldest_seconds") == 0


def test_a_job_that_is_not_due_yet_is_no_old_one(alone: Server) -> None:
    order = {"package": "counts-words", "not_before": "2030-01-01T00:00:00Z"}
    job = alone.http.post("/v1/jobs", json=order).json()["id"]
    numbers = scraped(alone)
    assert (value(numbers, "queue_depth"), value(numbers, "queue_oldest_seconds")) == (1, 0)
    alone.http.post(f"/v1/jobs/{job}/cancel")


def test_cells_are_counted_while_something_runs_in_them(alone: Server) -> None:
    alone.activate(zipped("extract-hangs"))
    job = alone.submit("extract-hangs").json()["id"]
    alone.until(f"/v1/jobs/{job}", lambda one: one["state"] == "running")
    for _ in range(200):
        if value(scraped(alone), "cells_running") == 1:
            break
    else:
        raise AssertionError("no cell was counted")
    alone.http.post(f"/v1/jobs/{job}/cancel")
    alone.ended(job)
    assert value(scraped(alone), "cells_running") == 0


def test_the_gate_is_one_while_it_is_open(alone: Server) -> None:
    assert value(scraped(alone), "gate_open") == 0
    alone.http.put("/v1/gate", json={"is_open": True, "minutes": 5, "reason": "to see it"})
    assert value(scraped(alone), "gate_open") == 1
    alone.http.put("/v1/gate", json={"is_open": False})
    assert value(scraped(alone), "gate_open") == 0


def test_environments_are_counted_as_they_are_built_and_as_they_fail(
    alone: Server, tmp_path: Path
) -> None:
    before = scraped(alone)
    wheel = make_wheel(tmp_path, "sound")
    assert alone.command("wheelhouse", "add", wheel).returncode == 0
    manifest = json.dumps({"schema": 1, "name": "needs-sound", "version": "1.0"})
    changes = {"manifest.json": manifest, "requirements.txt": "sound\n"}
    assert alone.activate(zipped("counts-words", changes=changes))["state"] == "succeeded"
    assert moved(alone, before, "env_builds_total", result="built") == 1

    for path in (*alone.home.glob("environments/*"), *alone.home.glob("wheelhouse/*/sound")):
        shutil.rmtree(path, ignore_errors=True)
    alone.ended(alone.submit("needs-sound").json()["id"])
    assert moved(alone, before, "env_builds_total", result="failed") >= 1


def test_walls_are_missing_as_the_artifact_says(alone: Server) -> None:
    job = alone.submit("counts-words").json()["id"]
    alone.ended(job)
    layers = alone.http.get(f"/v1/jobs/{job}/artifact").json()["isolation"]["layers"]
    numbers = scraped(alone)
    told = {
        labels[0][1]: bool(number)
        for (name, labels), number in numbers.items()
        if name == "fumehood_wall_missing"
    }
    assert told == {layer["name"]: not layer["in_force"] for layer in layers}


def test_workers_slots_and_the_build_are_there(alone: Server) -> None:
    numbers = scraped(alone)
    assert value(numbers, "workers", state="alive") == 1
    assert value(numbers, "slots") == 1
    assert 0 <= value(numbers, "worker_heartbeat_age_seconds") < 60
    version = alone.http.get("/v1/version").json()["version"]
    told = [dict(labels) for name, labels in numbers if name == "fumehood_build_info"]
    assert [one["version"] for one in told] == [version]
    worker = alone.http.get("/v1/workers").json()["items"][0]["id"]
    alone.http.post(f"/v1/workers/{worker}/drain")
    assert value(scraped(alone), "workers", state="drained") == 1
    assert value(scraped(alone), "slots") == 0
    alone.http.post(f"/v1/workers/{worker}/resume")


def test_no_counter_falls_when_the_appliance_is_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home) as server:
        server.activate(zipped("counts-words"))
        server.ended(server.submit("counts-words").json()["id"])
        before = scraped(server)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    with running(home) as server:
        after = scraped(server)
        fallen = [
            key
            for key, number in before.items()
            if key[0].endswith(("_total", "_bucket", "_sum", "_count")) and after[key] < number
        ]
        assert fallen == []
        assert value(after, "jobs_total", package="counts-words", state="succeeded") == 1


def test_packages_beyond_the_bound_are_one(tmp_path: Path) -> None:
    with running(tmp_path / "home", telemetry__packages_most="1") as server:
        server.activate(zipped("counts-words"))
        server.activate(zipped("extract-raises"))
        for package in ("counts-words", "extract-raises", "extract-raises"):
            server.ended(server.submit(package).json()["id"])
        numbers = scraped(server)
        shown = {dict(labels)["package"] for name, labels in numbers if name.endswith("jobs_total")}
        assert shown == {"counts-words", "_other"}
        assert value(numbers, "jobs_total", package="_other", state="failed") == 2


def test_who_may_scrape(server: Server) -> None:
    for scope in ("viewer", "operator", "admin"):
        with server.as_(server.token_for(scope)) as client:
            assert client.get("/metrics").status_code == 200
    with server.as_(server.token_for("viewer", packages=["hello*"])) as client:
        assert client.get("/metrics").status_code == 403, "it names the packages of others"
    with server.as_(server.token_for("client")) as client:
        assert client.get("/metrics").status_code == 403
    with server.as_(None) as nobody:
        assert nobody.get("/metrics").status_code == 401


def test_the_admin_may_open_the_metrics_and_nothing_else(tmp_path: Path) -> None:
    with (
        running(tmp_path / "home", telemetry__metrics="open") as server,
        server.as_(None) as nobody,
    ):
        assert nobody.get("/metrics").status_code == 200
        assert nobody.get("/v1/jobs").status_code == 401
        assert nobody.get("/metrics/").status_code != 200
        assert nobody.post("/metrics").status_code in {401, 405}


MANY = {"jobs", "attempts", "events", "outputs", "audit", "submissions"}
"""The tables that grow with the jobs."""


async def test_a_scrape_scans_nothing_that_grows_with_the_jobs(in_sqlite: Store) -> None:
    def plans(connection: Connection) -> list[str]:
        said: list[tuple[str, Any]] = []

        def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
            said.append((statement, parameters))

        event.listen(connection, "before_cursor_execute", note)
        telemetry.read(connection, at=NOON, since=NOON, packages_most=200)
        event.remove(connection, "before_cursor_execute", note)
        return [
            row[3]
            for statement, parameters in said
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]

    told = await in_sqlite.read(plans)
    assert told
    assert not [one for one in told if one.startswith("SCAN") and one.split()[1] in MANY], told
    assert not [one for one in told if "TEMP B-TREE" in one and "jobs" in one], told
