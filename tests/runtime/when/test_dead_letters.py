"""What is given up, for what, and how it comes back; and cancelling in every window."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.faults.errors import AttemptStuck
from runtime.jobs.attempts.cancellations import unless
from runtime.store.databases.store import Store
from runtime.store.jobs import claims, dead_letters, events
from runtime.store.jobs import jobs as job_store
from runtime.store.packages import activations
from runtime.values.access import Sight
from runtime.values.ids import new_id
from runtime.values.records import Activation, Claim, Job, JobError, RequestContext
from runtime.values.records import ActivationState as Stands
from runtime.values.states import State
from runtime.values.when.line import Ability
from runtime.values.when.verdicts import verdict
from runtime.worker.attempt_task import _our_fault  # type: ignore[reportPrivateUsage]

from ..conftest import NOON, activate, running, version_of, worker_named, zipped

HERE = Ability(platform="x86_64-linux-gnu")


def error(code: str) -> JobError:
    return JobError(code=code, what=f"it was {code}", mend="look", kind="appliance")


@pytest.mark.parametrize(
    ("codes", "named"),
    [
        (["worker-lost"] * 3, "ended-its-worker"),
        (["attempt-stuck"] * 2, "no-sign-of-life"),
        (["worker-lost"], "worker-lost"),
        (["worker-lost", "environment-failed"], "environment-failed"),
        (["environment-failed"] * 3, "environment-failed"),
    ],
)
def test_what_is_given_up_is_called_what_it_is(codes: list[str], named: str) -> None:
    found = verdict([error(code) for code in codes], phase="collect")
    assert found.code == named and found.mend
    assert len(codes) == 1 or "collect" in found.what


async def lose(store: Store, *, phase: str, with_error: str, times: int) -> Job:
    job = None
    for number in range(times):
        claim = await store.run(
            claims.claim_next,
            ability=HERE,
            token=new_id(),
            worker=worker_named("w"),
            at=NOON.replace(hour=13 + number),
        )
        assert claim is not None
        await store.run(tell, claim=claim, phase=phase)
        job = await store.run(
            claims.give_back,
            job_id=claim.job.id,
            token=claim.job.token or "",
            error=error(with_error),
            at=NOON.replace(hour=13 + number),
            most_attempts=3,
        )
    assert job is not None
    return job


def tell(connection: Any, *, claim: Claim, phase: str) -> None:
    told = (NOON, "job.phase", {"phase": phase, "state": "started"})
    events.append(connection, job_id=claim.job.id, attempt=claim.job.attempt, happenings=[told])


@pytest.mark.parametrize("phase", ["environment", "extract", "collect", "on_after_extract"])
async def test_a_job_that_ends_its_worker_in_any_phase_is_given_up_and_comes_back(
    phase: str, store: Store, make_job: Callable[[], Job]
) -> None:
    await store.run(job_store.submit, job=make_job(), queue_limit=9)
    job = await lose(store, phase=phase, with_error="worker-lost", times=3)
    assert job.state is State.FAILED and job.error is not None
    assert job.error.code == "ended-its-worker" and phase in job.error.what
    (letter,) = (await store.read(dead_letters.list_letters, limit=9)).items
    assert (letter.job.id, letter.phase, letter.attempts) == (job.id, phase, 3)
    again = await store.run(job_store.retry, job_id=job.id, at=NOON, queue_limit=9)
    assert again.state is State.QUEUED
    assert (await store.read(dead_letters.list_letters, limit=9)).items == ()
    once = await lose(store, phase=phase, with_error="worker-lost", times=1)
    assert once.state is State.QUEUED, "who replays it gets all its attempts anew"


async def test_a_client_sees_its_own_dead_letters_only(
    store: Store, make_job: Callable[[], Job]
) -> None:
    hers = replace(make_job(), request=RequestContext(principal="token:ana"))
    await store.run(job_store.submit, job=hers, queue_limit=9)
    await lose(store, phase="extract", with_error="worker-lost", times=3)
    for owner, number in (("token:ana", 1), ("token:bob", 0)):
        page = await store.read(dead_letters.list_letters, limit=9, sight=Sight(owner=owner))
        assert len(page.items) == number


async def test_an_activation_that_ends_its_worker_is_given_up(store: Store) -> None:
    await activate(store, version_of())
    asked = await store.run(
        activations.request,
        activation_id=new_id(),
        version=version_of(),
        who="ana",
        reason="",
        at=NOON,
    )
    for _ in range(5):  # stopped in order: that counts for nothing
        await store.run(activations.start, activation_id=asked.id, worker="w", at=NOON)
        await store.run(activations.requeue, activation_id=asked.id)
    states: list[str] = []
    for _ in range(3):
        await store.run(activations.start, activation_id=asked.id, worker="w", at=NOON)
        await store.run(activations.put_back, activation_id=asked.id, most=3, at=NOON)
        found: Activation = await store.read(activations.get, activation_id=asked.id)
        states.append(found.state)
    assert states == [Stands.QUEUED, Stands.QUEUED, Stands.FAILED]
    assert found.problems[0]["code"] == "ended-its-worker"


def test_a_phase_that_comes_to_no_end_is_an_error_of_ours_by_its_name() -> None:
    assert _our_fault(AttemptStuck("it hangs")).code == "attempt-stuck"


async def test_work_stops_once_it_is_cancelled_and_is_waited_for() -> None:
    cancelled, stopped = asyncio.Event(), []

    async def work() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append("yes")
        return 1

    async def quick() -> int:
        return 2

    asyncio.get_running_loop().call_later(0.01, cancelled.set)
    assert await unless(cancelled, work()) is None
    assert stopped == ["yes"]
    assert await unless(asyncio.Event(), quick()) == 2


STUCK = {"dispatch__phase_s": "0.0000001", "most_attempts": "2"}


def test_dead_letters_through_the_door_and_the_command_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home, **STUCK) as server:
        assert server.activate(zipped("counts-words"))["state"] == "succeeded"
        ids = [server.submit("counts-words").json()["id"] for _ in range(3)]
        for job_id in ids:
            ended = server.ended(job_id)
            assert ended["error"]["code"] == "no-sign-of-life", ended
            assert "environment" in ended["error"]["what"]
        listed = server.http.get("/v1/dead-letters", params={"package": "counts-words"}).json()
        assert {one["job"]["id"] for one in listed["items"]} == set(ids)
        assert {one["phase"] for one in listed["items"]} == {"environment"}
        assert ids[0] in server.command("job", "dead").stdout
        nothing = server.http.post("/v1/dead-letters/replay", json={})
        assert nothing.status_code == 422
        twice = {"all": True, "jobs": ids}
        assert server.http.post("/v1/dead-letters/replay", json=twice).status_code == 422
    with running(home) as server:
        one = server.command("job", "dead", "replay", ids[0])
        assert one.returncode == 0, one.stderr
        assert server.ended(ids[0])["state"] == "succeeded"
        again = server.http.post("/v1/dead-letters/replay", json={"jobs": [ids[0]]}).json()
        assert again["refused"][0]["code"] == "not-found"
        all_of_them = server.command("job", "dead", "replay", "--all", "--json")
        assert all_of_them.returncode == 0 and ids[1] in all_of_them.stdout
        for job_id in ids[1:]:
            assert server.ended(job_id)["state"] == "succeeded"
        assert server.http.get("/v1/dead-letters").json()["items"] == []
        acts = [one["action"] for one in server.http.get("/v1/audit").json()["items"]]
        assert acts.count("dead-letters.replay") == 3
