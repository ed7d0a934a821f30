"""The commands of docs/dispatch.md, one by one, against an appliance that is served."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def tools() -> ModuleType:
    """Return what the tests of the runtime share: a real server, and bundles."""
    place = Path(__file__).parent.parent / "runtime/conftest.py"
    found = importlib.util.spec_from_file_location("tools_of_runtime", place)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


CODE = """
import time


def extract(*, job, **_):
    time.sleep(job.parameters.get("s", 0))
    if job.parameters.get("fail"):
        raise ConnectionError("refused")
    return "1.0"
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with tools_of.running(tmp_path_factory.mktemp("show") / "home", slots="1") as server:
        for version in ("1.0", "2.0"):
            told = {"schema": 1, "name": "shown", "version": version}
            changes = {
                "manifest.json": json.dumps(told),
                "extract.py": CODE.replace("1.0", version),
            }
            bundle = tools_of.zipped("extract-raises", changes=changes)
            assert server.activate(bundle)["state"] == "succeeded"
        server.http.post("/v1/packages/shown/versions/1.0/activate")
        server.until("/v1/packages/shown", lambda one: one["active_version"] == "1.0")
        yield server


tools_of = tools()


def run(served: Any, *words: str, code: int = 0) -> Any:
    """Run a command with --json; return what it printed."""
    done = served.command(*words, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_2_retries_of_a_package_and_the_three_verbs(served: Any) -> None:
    wish = ("--attempts", "2", "--backoff", "0", "--retry-on", "ConnectionError")
    job = run(served, "job", "submit", "shown", "-p", "fail=true", *wish, "--wait", code=1)
    assert job["attempt"] == 2
    done = run(served, "job", "submit", "shown", "--wait")
    assert run(served, "job", "retry", done["id"], "--wait")["version"] == "1.0"
    again = run(served, "job", "retry", done["id"], "--version", "2.0", "--wait")
    assert (again["version"], again["result"]) == ("2.0", "2.0")
    assert run(served, "job", "retry", done["id"], "--active", "--wait")["version"] == "1.0"


def test_3_dead_letters(served: Any) -> None:
    assert run(served, "job", "dead") == []
    assert run(served, "job", "dead", "replay", "--all")["replayed"] == []


def test_4_unique_jobs_and_priorities(served: Any) -> None:
    run(served, "queue", "pause", "-r", "to see who is first")
    first = run(served, "job", "submit", "shown", "--unique", "report")
    same = run(served, "job", "submit", "shown", "--unique", "report")
    newest = run(served, "job", "submit", "shown", "--unique", "report", "--newest")
    assert first["id"] == same["id"] != newest["id"]
    assert run(served, "job", "show", first["id"])["state"] == "cancelled"
    later = run(served, "job", "submit", "shown", "--priority", "2")
    run(served, "queue", "resume")
    ended = [served.ended(one["id"]) for one in (newest, later)]
    assert ended[1]["started_at"] < ended[0]["started_at"]


def test_5_times_and_schedules(served: Any) -> None:
    job = run(served, "job", "submit", "shown", "--not-before", "1d")
    assert run(served, "job", "why", job["id"])["waits"][0]["code"] == "not-before"
    run(served, "job", "cancel", job["id"])
    made = run(
        served, "schedule", "create", "nightly", "shown",
        "--cron", "30 6 * * 1-5", "--zone", "Europe/Berlin",
    )  # fmt: skip
    assert len(made["next_ticks"]) == 5
    run(served, "schedule", "create", "probe", "shown", "--every", "1s", "--missed", "once")
    place = f"/v1/schedules/{run(served, 'schedule', 'show', 'probe')['id']}"
    served.until(place, lambda one: any(tick["job_id"] for tick in one["ticks"]))
    assert run(served, "schedule", "pause", "probe", "-r", "holidays")["paused"]["reason"]
    assert run(served, "schedule", "resume", "probe")["paused"] is None
    assert {one["name"] for one in run(served, "schedule", "list")} == {"nightly", "probe"}
    for name in ("nightly", "probe"):
        assert served.command("schedule", "remove", name).returncode == 0
    wrong = served.command("schedule", "create", "never", "shown", "--cron", "0 0 30 2 *")
    assert wrong.returncode == 3 and "no such day" in wrong.stderr


def test_6_pauses_and_drained_workers(served: Any) -> None:
    run(served, "queue", "pause", "--package", "shown", "-r", "wrong results", "--for", "2h")
    job = run(served, "job", "submit", "shown")
    queue = run(served, "queue")
    assert queue["paused"][0]["reason"] == "wrong results"
    run(served, "queue", "resume", "--package", "shown")
    assert served.ended(job["id"])["state"] == "succeeded"
    (worker,) = run(served, "queue", "workers")
    assert run(served, "queue", "drain", worker["id"])["drained_at"]
    assert run(served, "queue", "worker-resume", worker["id"])["drained_at"] is None


def test_7_why_it_waits(served: Any) -> None:
    first = run(served, "job", "submit", "shown", "-p", "s=600")
    served.until(f"/v1/jobs/{first['id']}", lambda one: one["state"] == "running")
    second = run(served, "job", "submit", "shown")
    (wait,) = run(served, "job", "why", second["id"])["waits"]
    assert (wait["code"], wait["jobs"]) == ("slots", [first["id"]])
    assert wait["what"] in served.http.get(f"/jobs/{second['id']}").text
    run(served, "job", "cancel", first["id"])
    assert served.ended(second["id"])["state"] == "succeeded"
