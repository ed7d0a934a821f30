"""A job whose package fails is tried again as its manifest or its caller asks, and by three verbs."""

import json
import shutil
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runtime.values.backoff import backoff, doubled, jitter_of
from runtime.values.retries import RetryCeiling, RetryPolicy, again_at, judge_retry

from ..conftest import NOON, Server, zipped

RAISES = 'def extract(*, job, **_):\n    raise ConnectionError("refused")\n'
SAYS = "def extract(*, job, **_):\n    return {!r}\n"


def package(server: Server, name: str, *, code: str = RAISES, **manifest: Any) -> None:
    told = {"schema": 1, "name": name, "version": "1.0", **manifest}
    changes = {"manifest.json": json.dumps(told), "extract.py": code}
    done = server.activate(zipped("extract-raises", changes=changes))
    assert done["state"] == "succeeded", done


def order(server: Server, name: str, **fields: Any) -> dict[str, Any]:
    answer = server.http.post("/v1/jobs", json={"package": name, **fields})
    assert answer.status_code == 202, answer.text
    return server.ended(answer.json()["id"])


@given(
    failures=st.integers(1, 50),
    jitter=st.floats(0, 1),
    attempts=st.integers(1, 50),
    backoff_s=st.floats(0, 86_400),
)
def test_a_retry_never_comes_early_nor_once_too_often(
    failures: int, jitter: float, attempts: int, backoff_s: float
) -> None:
    policy = RetryPolicy(attempts=attempts, backoff_s=backoff_s)
    due = again_at(policy, code="x", what="", failures=failures, ended_at=NOON, jitter=jitter)
    if failures >= attempts:
        assert due is None
        return
    least = doubled(backoff_s, times=failures - 1)
    assert due is not None
    assert timedelta(seconds=least) <= due - NOON <= timedelta(seconds=1.5 * least + 1e-3)


def test_jitter_spreads_what_failed_together_and_shortens_no_wait() -> None:
    tokens = [f"01a224f4-7775-7626-9db4-c17490{number:06x}" for number in range(0, 2**24, 2**20)]
    waits = {backoff(3, jitter=jitter_of(token)) for token in tokens}
    assert len(waits) == len(tokens)
    assert min(waits) >= backoff(3)


def test_every_wish_beyond_the_ceiling_is_told_with_its_place() -> None:
    wish = RetryPolicy(attempts=50, backoff_s=90_000)
    problems = list(judge_retry(wish, ceiling=RetryCeiling(attempts=5, backoff_s=60)))
    assert [one.where for one in problems] == ["job: /retry/attempts", "job: /retry/backoff_s"]
    assert all("ask for" in one.mend for one in problems)


def test_a_failure_is_final_unless_manifest_or_caller_asks_otherwise(server: Server) -> None:
    package(server, "final")
    assert order(server, "final")["attempt"] == 1
    asked = order(server, "final", retry={"attempts": 3, "backoff_s": 0.01})
    assert (asked["state"], asked["attempt"]) == ("failed", 3)
    assert [one["state"] for one in asked["attempts"]] == ["failed"] * 3
    assert all(one["artifact_digest"] for one in asked["attempts"])
    retried = [one for one in server.events(asked["id"]) if one["event"] == "job.retried"]
    assert [one["data"]["why"] for one in retried] == ["ConnectionError: refused"] * 2
    assert all(one["data"]["due_at"] for one in retried)
    package(server, "stubborn", retry={"attempts": 2, "backoff_s": 0})
    assert order(server, "stubborn")["attempt"] == 2
    assert order(server, "stubborn", retry={"attempts": 1})["attempt"] == 1


def test_only_the_errors_that_are_named_are_tried_again(server: Server) -> None:
    package(server, "choosy", retry={"attempts": 3, "backoff_s": 0, "on": ["ValueError"]})
    assert order(server, "choosy")["attempt"] == 1
    meant = {"attempts": 2, "backoff_s": 0, "on": ["package-raised"]}
    assert order(server, "choosy", retry=meant)["attempt"] == 2
    meant["on"] = ["ConnectionError"]
    assert order(server, "choosy", retry=meant)["attempt"] == 2


def test_a_wish_beyond_the_ceiling_is_refused(server: Server) -> None:
    package(server, "modest")
    wish = {"retry": {"attempts": 11, "backoff_s": 3601}, "priority": 3}
    answer = server.http.post("/v1/jobs", json={"package": "modest", **wish})
    assert answer.status_code == 422
    assert "priority" in answer.text  # no priority at all
    answer = server.http.post("/v1/jobs", json={"package": "modest", **wish, "priority": 0})
    problems = answer.json()["problems"]
    assert [one["where"] for one in problems] == ["job: /retry/attempts", "job: /retry/backoff_s"]


def test_who_retries_a_job_gets_its_attempts_anew(server: Server) -> None:
    package(server, "again", retry={"attempts": 2, "backoff_s": 0})
    job = order(server, "again")
    assert server.http.post(f"/v1/jobs/{job['id']}/retry").status_code == 202
    assert server.ended(job["id"])["attempt"] == 4


def test_a_cancelled_job_is_not_tried_again_while_it_waits_for_that(server: Server) -> None:
    package(server, "slow-to-return", retry={"attempts": 9, "backoff_s": 3600})
    job = server.submit("slow-to-return").json()
    server.until(f"/v1/jobs/{job['id']}", lambda one: one["attempt"] == 2)
    assert server.http.post(f"/v1/jobs/{job['id']}/cancel").status_code == 200
    assert server.ended(job["id"])["state"] == "cancelled"


def test_a_job_in_backoff_holds_back_no_other(server: Server) -> None:
    package(server, "holds-back", retry={"attempts": 9, "backoff_s": 3600})
    waits = server.submit("holds-back").json()
    server.until(f"/v1/jobs/{waits['id']}", lambda one: one["attempt"] == 2)
    assert order(server, "holds-back", retry={"attempts": 1})["state"] == "failed"
    server.http.post(f"/v1/jobs/{waits['id']}/cancel")


def test_a_job_is_tried_again_as_it_was_on_what_is_active_or_on_a_version(server: Server) -> None:
    package(server, "versions", code=SAYS.format("one"))
    job = order(server, "versions")
    package(server, "versions", code=SAYS.format("two"), version="2.0")
    package(server, "versions", code=SAYS.format("three"), version="3.0")

    def said(*options: str) -> tuple[str, str]:
        done = server.command("job", "retry", job["id"], "--wait", "--json", *options)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        return told["version"], told["result"]

    assert said() == ("1.0", "one")
    assert said("--active") == ("3.0", "three")
    assert said("--version", "2.0") == ("2.0", "two")
    assert said() == ("2.0", "two")
    both = server.command("job", "retry", job["id"], "--active", "--version", "2.0")
    assert both.returncode == 3 and "contradiction" not in both.stdout
    assert "one of the two" in both.stderr
    first = server.http.get(f"/v1/jobs/{job['id']}/artifact", params={"attempt": 1}).json()
    assert first["package"]["version"] == "1.0"


def test_a_version_that_does_not_take_the_job_refuses_it(server: Server) -> None:
    package(server, "strict", code=SAYS.format("one"))
    job = order(server, "strict", parameters={"old": 1})
    schema = {"type": "object", "properties": {"new": {}}, "additionalProperties": False}
    package(server, "strict", code=SAYS.format("two"), version="2.0", parameters=schema)
    answer = server.http.post(f"/v1/jobs/{job['id']}/retry", json={"active": True})
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["code"] == "parameter"
    gone = server.http.post(f"/v1/jobs/{job['id']}/retry", json={"version": "9"})
    assert gone.status_code == 404
    assert server.ended(job["id"])["version"] == "1.0"


def test_an_environment_that_is_gone_is_built_again_for_a_retry(server: Server) -> None:
    package(server, "pruned", code=SAYS.format("here"))
    job = order(server, "pruned")
    artifact = server.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    folder = server.home / "environments" / artifact["environment"]["key"]
    folder.chmod(0o755)
    for one in folder.rglob("*"):
        if one.is_dir():
            one.chmod(0o755)
    shutil.rmtree(folder)
    assert server.http.post(f"/v1/jobs/{job['id']}/retry").status_code == 202
    assert server.ended(job["id"])["state"] == "succeeded"
    again = server.http.get(f"/v1/jobs/{job['id']}/artifact").json()
    assert (again["lock_digest"], again["install"]["reused"]) == (artifact["lock_digest"], False)
