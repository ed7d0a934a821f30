"""Bugs that the suite plants in the functions of the store, to see that schedules find them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, update

from runtime.store.jobs import admission, claims, job_lists, jobs, turns
from runtime.store.schema import tables
from runtime.values.records import Claim, Job
from runtime.values.states import State

type Plant = Callable[[pytest.MonkeyPatch], None]


def finish_ignores_the_token(patch: pytest.MonkeyPatch) -> None:
    """Whoever ran an attempt once publishes, whether another one has taken its place or not."""

    def held(connection: Connection, job_id: str, *, token: str) -> Job:
        return jobs.get(connection, job_id=job_id)

    patch.setattr(claims, "held", held)


def give_back_does_not_count_the_job_as_waiting(patch: pytest.MonkeyPatch) -> None:
    """The bound of the queue is not kept any more."""

    def readmit(connection: Connection) -> None:
        """Count nothing."""

    patch.setattr(admission, "readmit", readmit)


def cancel_forgets_who_waits(patch: pytest.MonkeyPatch) -> None:
    """A job that waits is told to be cancelled, and waits on."""
    cancel = jobs.cancel

    def forgetful(connection: Connection, *, job_id: str, **given: Any) -> Job:
        job = jobs.get(connection, job_id=job_id)
        if job.state is State.QUEUED:
            return replace(job, state=State.CANCELLED)
        return cancel(connection, job_id=job_id, **given)

    patch.setattr(jobs, "cancel", forgetful)


def the_reconciler_takes_back_what_a_living_worker_runs(patch: pytest.MonkeyPatch) -> None:
    """Signs of life count for nothing."""
    running_elsewhere = job_lists.running_elsewhere

    def everywhere(connection: Connection, **_: object) -> tuple[Job, ...]:
        return running_elsewhere(connection, alive=())

    patch.setattr(job_lists, "running_elsewhere", everywhere)


def a_ticket_that_comes_twice_takes_a_running_job(patch: pytest.MonkeyPatch) -> None:
    """Where nothing waits, what runs is taken once more (Docket's redelivery of a long task)."""
    claim_next = claims.claim_next

    def greedy(connection: Connection, *, token: str, **given: Any) -> Claim | None:
        if found := claim_next(connection, token=token, **given):
            return found
        runs = tables.jobs.c.state == State.RUNNING
        connection.execute(update(tables.jobs).where(runs).values(token=token))
        return None

    patch.setattr(claims, "claim_next", greedy)


def nobody_follows_who_leaves_a_key(patch: pytest.MonkeyPatch) -> None:
    """Whom a running job kept waiting by its key waits for ever."""

    def left_slot(connection: Connection, job: Job, **_: object) -> None:
        """Let nobody go."""

    patch.setattr(turns, "left_slot", left_slot)


def a_retry_keeps_the_counter_of_ended_jobs(patch: pytest.MonkeyPatch) -> None:
    """A job that is tried again is counted as ended, too."""

    def reopened(connection: Connection, *, state: State) -> None:
        """Count nothing."""

    patch.setattr("runtime.store.jobs.job_counts.reopened", reopened)


ALL: tuple[Plant, ...] = (
    finish_ignores_the_token,
    give_back_does_not_count_the_job_as_waiting,
    cancel_forgets_who_waits,
    the_reconciler_takes_back_what_a_living_worker_runs,
    a_ticket_that_comes_twice_takes_a_running_job,
    nobody_follows_who_leaves_a_key,
    a_retry_keeps_the_counter_of_ended_jobs,
)
