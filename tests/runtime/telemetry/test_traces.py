"""One trace from the submission to what is published, over processes; none where it is off."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.otlp_receiver import Received, Span, receiver

from ..conftest import Server, running, zipped

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
ORDER = ["submit", "dispatch", "attempt", "environment", "cell", "collect", "hook", "publish"]


@pytest.fixture
def received() -> Iterator[Received]:
    with receiver() as one:
        yield one


def submit(server: Server, package: str, headers: dict[str, str] | None = None) -> str:
    answer = server.http.post("/v1/jobs", json={"package": package}, headers=headers or {})
    return answer.json()["id"]


def told_of(spans: dict[str, Span]) -> list[str]:
    return sorted(spans, key=ORDER.index)


def test_a_job_is_one_trace_from_its_caller_to_what_is_published(
    received: Received, tmp_path: Path
) -> None:
    settings = {
        "telemetry__traces": "true",
        "telemetry__traces_url": received.url,
        "telemetry__traces_headers": json.dumps({"x-tenant": "ours"}),
    }
    with running(tmp_path / "home", **settings) as server:
        server.activate(zipped("counts-words"))
        job_id = submit(server, "counts-words", PARENT)
        job = server.ended(job_id)
        failed = submit(server, server.activate(zipped("extract-raises"))["package"])
        server.ended(failed)
        worker = server.http.get("/v1/workers").json()["items"][0]["id"]
    spans = received.of(job_id)
    assert told_of(spans) == ORDER
    assert {one.trace for one in spans.values()} == {TRACE}
    assert spans["submit"].parent == CALLER
    assert spans["dispatch"].parent == spans["attempt"].parent == spans["submit"].id
    for name in ORDER[3:]:
        assert spans[name].parent == spans["attempt"].id, name
    for one in spans.values():
        assert one.begun <= one.ended
        told = {name: one.attributes[f"fumehood.{name}"] for name in ("package", "version")}
        assert told == {"package": "counts-words", "version": job["version"]}
        assert one.attributes["fumehood.attempt"] == 1
        assert one.resource["service.instance.id"] == worker
    assert spans["attempt"].attributes["fumehood.state"] == "succeeded"
    assert received.headers[0]["x-tenant"] == "ours"
    again = received.of(failed)
    assert len({one.trace for one in again.values()} - {TRACE}) == 1
    assert again["submit"].parent == "" and again["attempt"].is_error


def test_another_process_goes_on_with_the_trace(received: Received, tmp_path: Path) -> None:
    settings = {"telemetry__traces": "true", "telemetry__traces_url": received.url}
    home = tmp_path / "home"
    with running(home, **settings) as server:
        server.activate(zipped("counts-words"))
        server.http.post("/v1/pauses", json={"subject": "all", "reason": "to see it"})
        job_id = submit(server, "counts-words", PARENT)
    assert told_of(received.of(job_id)) == ["submit"]
    with running(home, **settings) as server:
        server.http.delete("/v1/pauses/all")
        server.ended(job_id)
    spans = received.of(job_id)
    assert told_of(spans) == ORDER
    assert {one.trace for one in spans.values()} == {TRACE}
    assert spans["attempt"].parent == spans["submit"].id
    processes = {one.resource["service.instance.id"] for one in spans.values()}
    assert len(processes) == 2


def test_docket_tells_of_itself_where_it_was_asked_to(received: Received, tmp_path: Path) -> None:
    settings = {"telemetry__traces": "true", "telemetry__traces_url": received.url}
    with running(tmp_path / "a", **settings) as server:
        server.activate(zipped("counts-words"))
    assert not [one for one in received.spans if "docket" in one.name]
    with running(tmp_path / "b", telemetry__docket_spans="true", **settings) as server:
        server.activate(zipped("counts-words"))
        code = server.login.partition("code=")[2]
        server.http.get("/login", params={"code": code})
    assert [one for one in received.spans if "docket" in one.name]
    told = repr(received.spans)
    assert code not in told and "/login" not in told, "FastAPI told of a request itself"


def test_a_collector_that_is_away_holds_up_no_job(tmp_path: Path) -> None:
    settings = {
        "telemetry__traces": "true",
        "telemetry__traces_url": "http://127.0.0.1:9/v1/traces",
    }
    with running(tmp_path / "home", **settings) as server:
        server.activate(zipped("counts-words"))
        assert server.ended(submit(server, "counts-words"))["state"] == "succeeded"
    assert server.process.returncode == 0


def test_what_the_caller_did_not_sample_is_not_sent(received: Received, tmp_path: Path) -> None:
    settings = {"telemetry__traces": "true", "telemetry__traces_url": received.url}
    with running(tmp_path / "home", **settings) as server:
        server.activate(zipped("counts-words"))
        unsampled = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
        server.ended(submit(server, "counts-words", unsampled))
        last = submit(server, "counts-words")
        server.ended(last)
    assert told_of(received.of(last)) == ORDER
    assert TRACE not in {one.trace for one in received.spans}


def test_nothing_of_it_is_imported_where_it_is_off(received: Received, tmp_path: Path) -> None:
    with running(tmp_path / "home", telemetry__traces_url=received.url) as server:
        server.activate(zipped("counts-words"))
        job = submit(server, "counts-words", PARENT)
        server.ended(job)
        request = server.http.get(f"/v1/jobs/{job}/artifact").json()["request"]
        assert request["traceparent"] == PARENT["traceparent"]
    assert received.spans == []
    program = (
        "import sys, runtime.appliance.serve\n"
        "from runtime.settings.settings import Settings\n"
        "from runtime.telemetry.traces import traces_of\n"
        "traces_of(Settings(), worker='w')\n"
        # redis-py itself imports the metrics of the SDK, where that is installed.
        "late = ('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'structlog', 'prometheus')\n"
        "print([one for one in sys.modules if one.startswith(late)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
