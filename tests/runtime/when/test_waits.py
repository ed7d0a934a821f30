"""Why a job waits: the complete list, the same by the API, the command line and the page."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from runtime.values.ids import new_id
from runtime.values.records import Activation, Job, RequestContext, Worker
from runtime.values.states import State
from runtime.values.when.schedules import Pause
from runtime.values.when.waits import Facts, WorkerSeen, waits_for

from ..conftest import NOON, Server, running, worker_named, zipped

SLOW = "import time\n\n\ndef extract(*, job, **_):\n    time.sleep(job.parameters['s'])\n"


def job(**given: Any) -> Job:
    activation = Activation(
        id="a",
        package="hello",
        version="1.0",
        digest="sha256:1",
        state=State.SUCCEEDED,  # type: ignore[arg-type]
        who="ana",
        reason="",
        requested_at=NOON,
    )
    fields = {
        "id": new_id(),
        "package": activation.package,
        "version": activation.version,
        "digest": activation.digest,
        "activation_id": activation.id,
        "platform": "x86_64-linux-gnu",
        "state": State.QUEUED,
        "attempt": 1,
        "parameters": {},
        "inputs": (),
        "request": RequestContext(),
        "submitted_at": NOON,
        "queued_at": NOON,
        "due_at": NOON,
    }
    return Job(**fields | given)


def seen(*, running: int = 0, **given: Any) -> WorkerSeen:
    one: Worker = replace(worker_named("w"), platform="x86_64-linux-gnu")
    return WorkerSeen(worker=replace(one, **given), running=running)


def codes(facts: Facts) -> list[str]:
    return [one.code for one in waits_for(facts)]


LATER = NOON + timedelta(hours=1)
PAUSE = Pause(subject="all", who="ana", reason="the mill is down", at=NOON, until=LATER)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(job=job(), at=NOON, workers=(seen(),)), ["next"]),
        (Facts(job=job(), at=NOON), ["no-worker"]),
        (Facts(job=job(), at=NOON, workers=(seen(platform="aarch64"),)), ["no-such-worker"]),
        (Facts(job=job(), at=NOON, workers=(seen(drained_at=NOON),)), ["drained"]),
        (Facts(job=job(), at=NOON, workers=(seen(running=1),)), ["slots"]),
        (Facts(job=job(), at=NOON, workers=(seen(),), before=3), ["turn"]),
        (
            Facts(job=job(due_at=LATER, due_why="not-before"), at=NOON, workers=(seen(),)),
            ["not-before"],
        ),
        (
            Facts(job=job(due_at=LATER, due_why="backoff", attempt=2), at=NOON, workers=(seen(),)),
            ["backoff"],
        ),
        (Facts(job=job(state=State.WAITING), at=NOON), ["answer"]),
        (Facts(job=job(state=State.RUNNING), at=NOON, phase="extract"), ["running"]),
        (Facts(job=job(state=State.RUNNING, cancel_requested_at=NOON), at=NOON), ["stopping"]),
        (Facts(job=job(state=State.SUCCEEDED), at=NOON), []),
    ],
)
def test_each_rule_is_told_by_its_code(facts: Facts, expected: list[str]) -> None:
    assert codes(facts) == expected


def test_every_rule_is_told_not_only_the_first() -> None:
    waits = waits_for(
        Facts(
            job=job(
                due_at=LATER,
                due_why="not-before",
                slot_key="k",
                slot_most=1,
                rate_key="r",
                rate_between_s=6.0,
            ),
            at=NOON,
            before=7,
            all_paused=PAUSE,
            package_paused=replace(PAUSE, subject="package:hello", until=None),
            with_key=1,
            seen_with_key=("other",),
            with_rate=2,
            workers=(seen(running=1),),
        )
    )
    assert [one.code for one in waits] == [
        "not-before",
        "paused",
        "paused-package",
        "key",
        "rate",
        "slots",
        "turn",
    ]
    assert all(one.what and (one.clears_at or one.mend) for one in waits)
    assert waits[1].clears_at == LATER and "ana" in waits[1].what
    assert waits[3].jobs == ("other",)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one slot, and a package that sleeps with one job of a customer at a time."""
    with running(tmp_path_factory.mktemp("narrow") / "home", slots="1") as server:
        told = {"schema": 1, "name": "slow", "version": "1.0"}
        told["concurrency"] = {"key": "parameters.customer", "most": 1}  # type: ignore[assignment]
        changes = {"manifest.json": json.dumps(told), "extract.py": SLOW}
        assert server.activate(zipped("extract-raises", changes=changes))["state"] == "succeeded"
        yield server


def waits_of(server: Server, job_id: str) -> list[dict[str, Any]]:
    return server.http.get(f"/v1/jobs/{job_id}/waits").json()["waits"]


def test_the_api_the_command_line_and_the_page_say_the_same(narrow: Server) -> None:
    first = narrow.submit("slow", s=600, customer="ana").json()["id"]
    narrow.until(f"/v1/jobs/{first}", lambda one: one["state"] == "running")
    second = narrow.submit("slow", s=0, customer="ana").json()["id"]
    paused = narrow.command("queue", "pause", "--package", "slow", "-r", "<b>wrong</b> results")
    assert paused.returncode == 0, paused.stderr
    waits = waits_of(narrow, second)
    assert [one["code"] for one in waits] == ["paused-package", "key", "slots"]
    assert waits[1]["jobs"] == waits[2]["jobs"] == [first]
    told = narrow.command("job", "why", second).stdout
    page = narrow.http.get(f"/jobs/{second}").text
    for one in waits:
        assert f"{one['code']}: {one['what']}" in told
        assert f"<b>{one['code']}</b>" in page
    assert "&lt;b&gt;wrong&lt;/b&gt; results" in page and "<b>wrong</b>" not in page
    assert [one["code"] for one in waits_of(narrow, first)] == ["running"]
    narrow.until(
        f"/v1/jobs/{first}/waits",
        lambda one: "in the phase extract" in one["waits"][0]["what"],
    )
    queue = narrow.command("queue", "--json")
    assert {one["why"] for one in json.loads(queue.stdout)["waiting"]} <= {"paused-package", "key"}
    assert json.loads(queue.stdout)["paused"][0]["reason"] == "<b>wrong</b> results"
    assert "&lt;b&gt;wrong" in narrow.http.get("/").text
    assert narrow.command("queue", "resume", "--package", "slow").returncode == 0
    assert [one["code"] for one in waits_of(narrow, second)] == ["key", "slots"]
    narrow.http.post(f"/v1/jobs/{first}/cancel")
    assert narrow.ended(second)["state"] == "succeeded"
    assert waits_of(narrow, second) == []


def test_nobody_is_told_of_jobs_that_are_not_theirs(narrow: Server) -> None:
    mine = narrow.submit("slow", s=600, customer="ben").json()["id"]
    narrow.until(f"/v1/jobs/{mine}", lambda one: one["state"] == "running")
    with narrow.as_(narrow.token_for("client")) as ana:
        order = {"package": "slow", "parameters": {"s": 0, "customer": "ben"}}
        hers = ana.post("/v1/jobs", json=order).json()["id"]
        waits = ana.get(f"/v1/jobs/{hers}/waits").json()["waits"]
        assert [one["code"] for one in waits] == ["key", "slots"]
        assert all(one["jobs"] == [] for one in waits)
        assert ana.get(f"/v1/jobs/{mine}/waits").status_code == 404
        groups = ana.get("/v1/queue").json()["waiting"]
        assert sum(one["jobs"] for one in groups) == 1
        assert ana.get("/v1/workers").status_code == 403
        assert ana.post("/v1/pauses", json={"subject": "all", "reason": "x"}).status_code == 403
    narrow.http.post(f"/v1/jobs/{mine}/cancel")
    narrow.ended(hers)


def test_a_drained_worker_shows_what_it_waits_for_and_takes_no_more(narrow: Server) -> None:
    mine = narrow.submit("slow", s=600, customer="eve").json()["id"]
    narrow.until(f"/v1/jobs/{mine}", lambda one: one["state"] == "running")
    (worker,) = narrow.http.get("/v1/workers").json()["items"]
    drained = json.loads(narrow.command("queue", "drain", worker["id"], "--json").stdout)
    assert [one["id"] for one in drained["jobs"]] == [mine] and drained["drained_by"]
    waits = narrow.submit("slow", s=0, customer="kim").json()["id"]
    assert [one["code"] for one in waits_of(narrow, waits)] == ["drained"]
    narrow.http.post(f"/v1/jobs/{mine}/cancel")
    narrow.ended(mine)
    assert narrow.http.get(f"/v1/jobs/{waits}").json()["state"] == "queued"
    assert narrow.command("queue", "worker-resume", worker["id"]).returncode == 0
    assert narrow.ended(waits)["state"] == "succeeded"
    assert narrow.command("queue", "drain", "nobody").returncode == 4


def test_a_pause_of_all_ends_by_itself_and_is_told_meanwhile(narrow: Server) -> None:
    order = {"subject": "all", "reason": "a new disk", "minutes": 0.05}
    assert narrow.http.post("/v1/pauses", json=order).status_code == 201
    job_id = narrow.submit("slow", s=0, customer="zoe").json()["id"]
    assert waits_of(narrow, job_id)[0]["code"] == "paused"
    assert narrow.ended(job_id)["state"] == "succeeded"
    actions = [one["action"] for one in narrow.http.get("/v1/audit").json()["items"]]
    assert "pause.over" in actions
    past = {"subject": "all", "reason": "x", "until": "2020-01-01T00:00:00Z"}
    assert narrow.http.post("/v1/pauses", json=past).status_code == 422
    unknown = {"subject": "package:nothing", "reason": "x"}
    assert narrow.http.post("/v1/pauses", json=unknown).status_code == 404
    assert narrow.http.delete("/v1/pauses/all").status_code == 404


def test_a_delayed_job_says_when_and_a_late_one_is_given_up(narrow: Server) -> None:
    order = {"package": "slow", "parameters": {"s": 0, "customer": "tim"}}
    delayed = narrow.command("job", "submit", "slow", "-p", "s=0", "--not-before", "2s", "--json")
    job_id = json.loads(delayed.stdout)["id"]
    (wait,) = [one for one in waits_of(narrow, job_id) if one["clears_at"]]
    assert wait["code"] == "not-before"
    assert narrow.ended(job_id)["state"] == "succeeded"
    narrow.http.post("/v1/pauses", json={"subject": "all", "reason": "x"})
    late = narrow.command("job", "submit", "slow", "-p", "s=0", "--expires", "1s", "--json")
    ended = narrow.ended(json.loads(late.stdout)["id"])
    narrow.http.delete("/v1/pauses/all")
    assert (ended["state"], ended["error"]["code"]) == ("cancelled", "expired")
    past = order | {"expires_at": "2020-01-01T00:00:00Z"}
    assert narrow.http.post("/v1/jobs", json=past).json()["problems"][0]["code"] == "past"
