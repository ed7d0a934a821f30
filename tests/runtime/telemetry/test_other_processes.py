"""A worker that is another process is in the numbers, the trace and a log of its own."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from support.otlp_receiver import receiver
from support.preloaded.starting import start
from support.redis import redis_server

from ..conftest import PATIENCE_S, Server, running, zipped


@contextmanager
def another_worker(home: Path, settings: dict[str, str]) -> Iterator[Path]:
    """Let another process work on `home` meanwhile; offer its log."""
    environ = {name: one for name, one in os.environ.items() if not name.startswith("FUMEHOOD_")}
    environ |= {f"FUMEHOOD_{name.upper()}": value for name, value in settings.items()}
    said = home.parent / "worker.log"
    with said.open("ab") as log:
        words = ["worker", "--home", home, "--log-format", "json"]
        process = start(words, environ=environ, stdout=log, stderr=log)
    try:
        yield said
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def number(server: Server, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(server.http.get("/metrics").text)
    found = (sample for family in families for sample in family.samples)
    return next(one.value for one in found if (one.name, one.labels) == (name, labels))


def test_what_another_process_ran_is_counted_and_goes_on_with_the_trace(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with redis_server() as redis, receiver() as received:
        settings = {
            "docket_url": redis.url,
            "telemetry__traces": "true",
            "telemetry__traces_url": received.url,
        }
        with running(home, **settings) as server, another_worker(home, settings) as log:
            server.activate(zipped("counts-words"))
            workers = server.until("/v1/workers", lambda told: len(told["items"]) == 2)["items"]
            mine = next(one["id"] for one in workers if f"-{server.process.pid}-" in one["id"])
            (other,) = (one["id"] for one in workers if one["id"] != mine)
            server.http.post(f"/v1/workers/{mine}/drain")
            assert number(server, "fumehood_workers", state="drained") == 1
            time.sleep(1.5)  # a worker hears with its heartbeat that it is drained
            job = server.submit("counts-words").json()["id"]
            ended = server.ended(job)
            assert (ended["state"], ended["worker"]) == ("succeeded", other)
            labels = {"package": "counts-words", "state": "succeeded"}
            assert number(server, "fumehood_jobs_total", **labels) == 1
            deadline = time.monotonic() + PATIENCE_S
            while number(server, "fumehood_job_seconds_count", phase="run") != 1:
                assert time.monotonic() < deadline, "its heartbeat does not write it down"
                time.sleep(0.05)
        spans = received.of(job)
        assert len({one.trace for one in spans.values()}) == 1
        assert spans["attempt"].parent == spans["submit"].id
        assert spans["submit"].resource["service.instance.id"] == mine
        for name in ("attempt", "cell", "publish"):
            assert spans[name].resource["service.instance.id"] == other
        for line in log.read_text().splitlines():
            assert json.loads(line)["level"]
