"""A job asks, leaves its slot, waits for the answer over anything, and runs again with it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Server, running, zipped


def bundle(name: str, code: str) -> bytes:
    manifest = {"schema": 1, "name": name, "version": "1.0"}
    changes = {"manifest.json": json.dumps(manifest), "extract.py": code}
    return zipped("asks-twice", changes=changes)


@pytest.fixture(scope="module")
def asking(server: Server) -> Iterator[Server]:
    assert server.activate(zipped("asks-twice"))["state"] == "succeeded"
    yield server


def waiting(server: Server, package: str = "asks-twice") -> dict[str, Any]:
    job_id = server.submit(package).json()["id"]
    return server.until(f"/v1/jobs/{job_id}", lambda job: job["state"] in ("waiting", "failed"))


def answer(server: Server, job_id: str, key: str, value: Any) -> Any:
    order = {"key": key, "answer": value}
    return server.http.post(f"/v1/jobs/{job_id}/response", json=order)


def next_question(server: Server, job_id: str, key: str) -> Any:
    path = f"/v1/jobs/{job_id}/prompt"
    return server.until(path, lambda one: one.get("key") == key)


def test_a_job_asks_twice_and_comes_to_its_end_with_both_answers(asking: Server) -> None:
    job = waiting(asking)
    assert job["state"] == "waiting", job
    prompt = asking.http.get(f"/v1/jobs/{job['id']}/prompt").json()
    assert prompt["key"] == "currency" and prompt["answer_schema"] == {"enum": ["EUR", "USD"]}
    assert prompt["expires_at"] > prompt["asked_at"]
    assert asking.http.get(f"/v1/jobs/{job['id']}/outputs").json()["items"] == []

    wrong = answer(asking, job["id"], "currency", "GBP")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "input-refused")
    other = answer(asking, job["id"], "rate", 1)
    assert (other.status_code, other.json()["code"]) == (409, "state-conflict")
    first = answer(asking, job["id"], "currency", "EUR")
    assert first.status_code == 202, first.text

    next_question(asking, job["id"], "rate")
    done = asking.command("job", "answer", job["id"], "1.5", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["result"] == {"currency": "EUR", "rate": 1.5}
    assert [one["state"] for one in told["attempts"]] == ["waiting", "waiting", "succeeded"]
    outputs = asking.http.get(f"/v1/jobs/{job['id']}/outputs/done.txt")
    assert outputs.text == "EUR 1.5"
    late = answer(asking, job["id"], "rate", 2)
    assert late.status_code == 404, "nothing is asked any more"

    events = asking.events(job["id"])
    names = [one["event"] for one in events]
    assert names.count("job.asked") == names.count("job.answered") == 2
    by = next(one["data"]["by"] for one in events if one["event"] == "job.answered")
    assert by == asking.http.get("/v1/me").json()["principal"]
    hooks = [one for one in events if one["data"].get("line", "").startswith("hook saw")]
    assert [one["data"]["line"] for one in hooks] == ["hook saw succeeded"], "once, at the end"


def test_the_page_shows_the_question_and_takes_the_answer(asking: Server) -> None:
    job = waiting(asking)
    page = asking.http.get(f"/jobs/{job['id']}").text
    assert "Which &lt;b&gt;currency&lt;/b&gt;?" in page and "<b>currency</b>" not in page
    shown = asking.command("job", "prompt", job["id"])
    assert "currency" in shown.stdout and "EUR" in shown.stdout
    form = {"key": "currency", "answer": "USD"}
    sent = asking.http.post(f"/jobs/{job['id']}/response", data=form, follow_redirects=False)
    assert sent.status_code == 303, sent.text
    next_question(asking, job["id"], "rate")
    asking.http.post(f"/v1/jobs/{job['id']}/cancel")
    ended = asking.ended(job["id"])
    assert ended["state"] == "cancelled"
    assert asking.http.get(f"/v1/jobs/{job['id']}/prompt").status_code == 404


def test_a_waiting_job_holds_no_slot_and_a_client_answers_its_own_only(asking: Server) -> None:
    stuck = [waiting(asking) for _ in range(5)]
    asking.activate(zipped("counts-words"))
    free = asking.submit("counts-words").json()["id"]
    assert asking.ended(free)["state"] == "succeeded"
    with asking.as_(asking.token_for("client")) as client:
        order = {"key": "currency", "answer": "EUR"}
        path = f"/v1/jobs/{stuck[0]['id']}"
        assert client.get(f"{path}/prompt").status_code == 404
        assert client.post(f"{path}/response", json=order).status_code == 404
    for job in stuck:
        asking.http.post(f"/v1/jobs/{job['id']}/cancel")


FALLS_BACK = """
def extract(*, job, **_):
    return job.ask("k", "?", within_s=0.1, fallback=None)
"""
EXPIRES = """
def extract(*, job, **_):
    return job.ask("k", "?", within_s=0.1)
"""
BAD_SCHEMA = """
def extract(*, job, **_):
    return job.ask("k", "?", {"type": 12})
"""
BAD_KEY = """
def extract(*, job, **_):
    return job.ask("k" * 300, "?")
"""


def test_a_question_that_nobody_answers_in_time_has_its_fallback_or_fails(server: Server) -> None:
    server.activate(bundle("falls-back", FALLS_BACK))
    server.activate(bundle("expires", EXPIRES))
    one = server.ended(server.submit("falls-back").json()["id"])
    assert one["state"] == "succeeded", one
    answered = [e for e in server.events(one["id"]) if e["event"] == "job.answered"]
    assert answered[0]["data"]["by"].startswith("nobody")
    other = server.ended(server.submit("expires").json()["id"])
    assert (other["state"], other["error"]["code"]) == ("failed", "question-expired")
    server.http.post(f"/v1/jobs/{other['id']}/retry")
    again = server.until(f"/v1/jobs/{other['id']}", lambda job: job["attempt"] == 2)
    assert server.ended(again["id"])["error"]["code"] == "question-expired", "it is asked anew"


def test_a_question_that_nobody_could_answer_is_the_packages_fault(server: Server) -> None:
    server.activate(bundle("bad-schema", BAD_SCHEMA))
    job = waiting(server, "bad-schema")
    refused = answer(server, job["id"], "k", 1)
    assert refused.status_code == 422
    assert "schema" in refused.json()["problems"][0]["what"]
    server.http.post(f"/v1/jobs/{job['id']}/cancel")
    server.activate(bundle("bad-key", BAD_KEY))
    failed = server.ended(server.submit("bad-key").json()["id"])
    assert failed["error"]["code"] == "bad-question"


def test_a_question_outlives_the_appliance_that_was_asked(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home) as server:
        server.activate(zipped("asks-twice"))
        job = waiting(server)
        server.process.kill()
        server.process.wait()
    with running(home) as server:
        prompt = server.http.get(f"/v1/jobs/{job['id']}/prompt").json()
        assert prompt["key"] == "currency"
        assert answer(server, job["id"], "currency", "EUR").status_code == 202
        next_question(server, job["id"], "rate")
        assert answer(server, job["id"], "rate", 2).status_code == 202
        assert server.ended(job["id"])["state"] == "succeeded"


def test_a_job_that_was_cancelled_while_it_asked_is_asked_again_when_it_is_retried(
    server: Server,
) -> None:
    code = "def extract(*, job, **_):\n    return job.ask('unit', 'Which?', within_s=0.2)\n"
    assert server.activate(bundle("asks-shortly", code))["state"] == "succeeded"
    job_id = server.submit("asks-shortly").json()["id"]
    path = f"/v1/jobs/{job_id}"
    server.until(path, lambda job: job["state"] in ("waiting", "failed"))
    server.http.post(f"{path}/cancel")
    time.sleep(2)  # nobody answers in time, and nobody has to
    server.http.post(f"{path}/retry")
    job = server.until(path, lambda job: job["attempt"] == 2 and job["state"] == "failed")
    assert job["error"]["code"] == "question-expired", "it was asked again"
