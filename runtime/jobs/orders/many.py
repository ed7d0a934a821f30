"""Many orders sent at once: each for itself, or all of them or none."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from sqlalchemy import Connection

from frozen.values import frozen
from runtime.faults.errors import InputRefused
from runtime.jobs.orders.orders import Around, Ordered, Sender
from runtime.jobs.orders.rules import Wish
from runtime.jobs.orders.submission import Submissions
from runtime.problem_table import Fault, fault_of
from runtime.store.jobs import jobs as job_store
from runtime.values.records import Job, JsonObject
from wheelhouse.problem import Problem

MOST = 1000
AT_ONCE = 8
"""How many orders are looked at together: they are committed in groups anyway."""


@frozen
class Line:
    """One order, and the number of its line."""

    number: int
    package: str
    version: str | None
    parameters: JsonObject
    around: Around
    wish: Wish
    sender: Sender


@frozen
class Told:
    """What came of a line: a job, or the fault that refused it."""

    number: int
    job: Job | None = None
    fault: Fault | None = None


async def submit_each(submissions: Submissions, lines: Sequence[Line]) -> list[Told]:
    """Submit each order for itself; return what came of each, in their order."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def submit(line: Line) -> Told:
        async with gate:
            try:
                job = await submissions.accept(await _ordered(submissions, line))
            except Exception as error:
                fault = fault_of(error)
                submissions.telemetry.tally.refused(fault.code)
                return Told(number=line.number, fault=fault)
            return Told(number=line.number, job=job)

    return await asyncio.gather(*(submit(line) for line in lines))


async def submit_all(submissions: Submissions, lines: Sequence[Line]) -> list[Told]:
    """Submit all orders in one transaction; raise InputRefused, and take none, if one is bad.

    Raises QueueFull where there is no room for all of them.
    """
    ordered: list[Ordered] = []
    problems: list[Problem] = []
    for line in lines:
        try:
            ordered.append(await _ordered(submissions, line))
        except Exception as error:
            problems += _at_line(fault_of(error), number=line.number)
    if problems:
        raise InputRefused("None was taken, since some cannot be", problems=problems)
    with ExitStack() as stack:
        begin = submissions.telemetry.traces.submission
        traced = [replace(one, job=stack.enter_context(begin(one.job))) for one in ordered]
        jobs = await submissions.store.run(
            _store_all, ordered=traced, queue_limit=submissions.queue_limit
        )
    await submissions.dispatch.ticket()
    numbers = [line.number for line in lines]
    return [Told(number=number, job=job) for number, job in zip(numbers, jobs, strict=True)]


def _at_line(fault: Fault, *, number: int) -> list[Problem]:
    """Return the problems of a fault, each with the line that it is in."""
    return [
        Problem(code=one.code, what=one.what, where=f"line {number}: {one.where}", mend=one.mend)
        for one in fault.problems
    ]


async def _ordered(submissions: Submissions, line: Line) -> Ordered:
    target = await submissions.target_for(line.package, version=line.version)
    return await submissions.ordered(
        target,
        parameters=line.parameters,
        inputs=(),
        sender=line.sender,
        wish=line.wish,
        around=line.around,
    )


def _store_all(
    connection: Connection, *, ordered: Sequence[Ordered], queue_limit: int
) -> list[Job]:
    return [
        job_store.submit(
            connection, job=one.job, queue_limit=queue_limit, sent=one.sent, keep=one.keep
        )
        for one in ordered
    ]
