"""Docket may deliver a task twice, or a retry beside it (its issues 245, 246, 248): one job runs.

A task is a ticket that names no job, so a second delivery finds nothing to take; and whoever was
overtaken publishes nothing, since it does not hold the current token.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from runtime.faults.errors import Superseded
from runtime.store.databases.store import Store
from runtime.store.jobs import claims
from runtime.store.jobs import jobs as job_store
from runtime.values.records import Claim, Finish, Job, JobError
from runtime.values.states import State
from runtime.values.when.line import Ability

from ..conftest import NOON, worker_named

LOST = JobError(code="worker-lost", what="gone", mend="none", kind="appliance")


async def ticket(store: Store, *, token: str, after_s: float = 0) -> Claim | None:
    """Take what there is, as whoever has a ticket does."""
    return await store.run(
        claims.claim_next,
        ability=Ability(platform="x86_64-linux-gnu"),
        token=token,
        worker=worker_named("w"),
        at=NOON + timedelta(seconds=after_s),
    )


async def publish(store: Store, job: Job, *, token: str) -> None:
    finish = Finish(state=State.SUCCEEDED)
    await store.run(claims.finish, job_id=job.id, token=token, finish=finish, at=NOON)


async def test_a_ticket_that_comes_again_while_a_long_job_runs_takes_nothing(
    store: Store, make_job: Callable[[], Job]
) -> None:
    job = await store.run(job_store.submit, job=make_job(), queue_limit=10)
    first = await ticket(store, token="first")
    assert first and first.job.id == job.id
    assert await ticket(store, token="second", after_s=3600) is None
    await publish(store, job, token="first")


async def test_a_retry_beside_a_redelivery_publishes_once(
    store: Store, make_job: Callable[[], Job]
) -> None:
    job = await store.run(job_store.submit, job=make_job(), queue_limit=10)
    await ticket(store, token="first")
    given = {"job_id": job.id, "token": "first", "error": LOST, "at": NOON, "most_attempts": 3}
    await store.run(claims.give_back, **given)  # taken for dead, and it wakes up later
    taken = [await ticket(store, token=f"again-{n}", after_s=60) for n in range(2)]
    assert [one.job.attempt for one in taken if one] == [2]
    with pytest.raises(Superseded):
        await publish(store, job, token="first")
    await publish(store, job, token="again-0")
    with pytest.raises(Superseded):
        await publish(store, job, token="again-0")
    now = await store.read(job_store.get, job_id=job.id)
    assert (now.state, now.attempt) == (State.SUCCEEDED, 2)
