"""What callers may do with schedules, and what comes of them as time goes on."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from frozen.values import frozen
from runtime.faults.errors import InputRefused, NotFound, QueueFull, RuntimeFault, Superseded
from runtime.jobs.orders.orders import Sender, Target
from runtime.jobs.orders.rules import Wish, judge_wish
from runtime.jobs.orders.submission import Submissions
from runtime.store import webhooks
from runtime.store.access import audit, tokens
from runtime.store.databases.store import Store
from runtime.store.jobs import admission
from runtime.store.jobs import jobs as job_store
from runtime.store.when import schedules as schedule_store
from runtime.values.clock import Clock
from runtime.values.ids import new_id
from runtime.values.records import Job, JobInput, JsonObject, RequestContext
from runtime.values.retries import RetryPolicy
from runtime.values.when.schedules import Schedule, Tick
from runtime.values.when.ticks import Due, Missed, Outcome, Overlap, due_ticks
from runtime.values.when.timetable import Timetable, judge_timetable, next_tick

MOST_AT_ONCE = 100
"""How many schedules one look runs."""
TOKEN = "token:"  # noqa: S105  (how the names of principals begin)

log = logging.getLogger("fumehood.schedules")


@frozen
class ScheduleWish:
    """What a caller orders for times to come."""

    name: str
    package: str
    version: str | None
    parameters: JsonObject
    cron: str
    every_s: int | None
    zone: str
    missed: Missed
    overlap: Overlap
    priority: int
    retry: RetryPolicy | None


@frozen
class Schedules:
    """Makes schedules, and runs their ticks; any number of workers may do so at the same time."""

    store: Store
    submissions: Submissions
    clock: Clock
    most: int

    async def create(
        self,
        wish: ScheduleWish,
        *,
        inputs: Sequence[JobInput],
        caller: RequestContext,
        keep: Callable[[], Awaitable[None]],
        origin: JsonObject,
    ) -> Schedule:
        """Keep a schedule; raise InputRefused with every fault, NotActive or StateConflict."""
        target = await self.submissions.target_for(wish.package, version=wish.version)
        at = self.clock()
        schedule = _schedule_of(wish, inputs=inputs, caller=caller, at=at)
        problems = list(judge_timetable(schedule.timetable, at=at))
        asked = Wish(retry=wish.retry, priority=wish.priority)
        problems += judge_wish(asked, policy=self.submissions.policy, at=at)
        problems += await self.submissions.judged(target, parameters=wish.parameters, inputs=inputs)
        if problems:
            raise InputRefused("The schedule cannot be kept as it is", problems=problems)
        await keep()
        return await self.store.run(_create, schedule=schedule, most=self.most, origin=origin)

    async def run_due(self) -> None:
        """Run what has become due; what another worker has run meanwhile is left alone."""
        for schedule in await self.store.read(
            schedule_store.due, at=self.clock(), most=MOST_AT_ONCE
        ):
            try:
                await self._run(schedule)
            except Exception:
                log.exception("the schedule %s could not be run", schedule.id)

    async def _run(self, schedule: Schedule) -> None:
        now = self.clock()
        if schedule.next_at is None:
            return
        due = due_ticks(
            schedule.timetable, waits_for=schedule.next_at, now=now, missed=schedule.missed
        )
        jobs: list[Job] = []
        refused = ""
        try:
            jobs = await self._jobs_of(schedule, number=len(due.run)) if due.run else []
        except QueueFull:
            return  # it waits for room, and is missed if there is none for a minute
        except RuntimeFault as fault:
            refused = "; ".join(problem.what for problem in fault.problems) or fault.what
        try:
            accepted = await self.store.run(
                _fire,
                schedule=schedule,
                due=due,
                jobs=jobs,
                refused=refused,
                queue_limit=self.submissions.queue_limit,
                at=now,
            )
        except Superseded:
            return
        for job in accepted:
            await self.submissions.dispatch.attempt(job)

    async def _jobs_of(self, schedule: Schedule, *, number: int) -> list[Job]:
        """Return jobs of a schedule as if sent now; raise where they would be refused."""
        target = await self.submissions.target_for(schedule.package, version=schedule.version)
        await self.submissions.refuse_unfit(
            target, parameters=schedule.parameters, inputs=schedule.inputs
        )
        return [self._job_of(schedule, target=target) for _ in range(number)]

    def _job_of(self, schedule: Schedule, *, target: Target) -> Job:
        return self.submissions.job_of(
            target,
            parameters=schedule.parameters,
            inputs=schedule.inputs,
            sender=Sender(request=schedule.request),
            wish=Wish(retry=schedule.retry, priority=schedule.priority, schedule_id=schedule.id),
        )


def _schedule_of(
    wish: ScheduleWish, *, inputs: Sequence[JobInput], caller: RequestContext, at: datetime
) -> Schedule:
    start = at.replace(microsecond=0)
    timetable = Timetable(start=start, cron=wish.cron, every_s=wish.every_s, zone=wish.zone)
    is_right = not any(judge_timetable(timetable, at=at))
    return Schedule(
        id=new_id(),
        name=wish.name,
        owner=caller.principal,
        package=wish.package,
        version=wish.version,
        parameters=wish.parameters,
        inputs=tuple(inputs),
        request=caller,
        cron=wish.cron,
        every_s=wish.every_s,
        zone=wish.zone,
        missed=wish.missed,
        overlap=wish.overlap,
        created_at=start,
        next_at=next_tick(timetable, after=at) if is_right else None,
        priority=wish.priority,
        retry=wish.retry,
    )


def _create(
    connection: Connection, *, schedule: Schedule, most: int, origin: JsonObject
) -> Schedule:
    kept = schedule_store.add(connection, schedule=schedule, most=most)
    audit.append(
        connection,
        at=schedule.created_at,
        who=schedule.owner,
        action="schedule.create",
        subject=schedule.name,
        details={"schedule": schedule.id, "package": schedule.package, **origin},
    )
    return kept


def remove(
    connection: Connection, *, schedule_id: str, who: str, at: datetime, origin: JsonObject
) -> None:
    """Forget a schedule, and write down who did; raise NotFound."""
    schedule = schedule_store.get(connection, schedule_id=schedule_id)
    schedule_store.remove(connection, schedule_id=schedule_id)
    audit.append(
        connection,
        at=at,
        who=who,
        action="schedule.remove",
        subject=schedule.name,
        details={"schedule": schedule.id, "package": schedule.package, **origin},
    )


def _fire(
    connection: Connection,
    *,
    schedule: Schedule,
    due: Due,
    jobs: Sequence[Job],
    refused: str,
    queue_limit: int,
    at: datetime,
) -> list[Job]:
    """Run the ticks that are due, and let the schedule wait for the next one, all or nothing.

    Raises Superseded where another worker has done so.
    """
    refused = refused or _why_not(connection, schedule, at=at)
    _note_missed(connection, schedule, due=due, at=at)
    accepted: list[Job] = []
    next_at, last = due.next_at, schedule.last_job_id
    for number, tick_at in enumerate(due.run):
        if not refused and admission.depth(connection) >= queue_limit:
            next_at = tick_at
            break
        job = None if refused else jobs[number]
        outcome, told = _outcome(connection, schedule, last=last, refused=refused, at=at)
        tick = Tick(
            schedule_id=schedule.id,
            at=tick_at,
            outcome=outcome,
            told=told,
            noted_at=at,
            job_id=job.id if job and outcome is Outcome.RUN else None,
        )
        if schedule_store.note(connection, tick=tick) and job and outcome is Outcome.RUN:
            job = webhooks.awaited(connection, job=job)
            accepted.append(job_store.submit(connection, job=job, queue_limit=queue_limit))
            last = job.id
    if not schedule_store.move_on(connection, schedule, next_at=next_at, job_id=last):
        raise Superseded(f"Another worker has run the schedule {schedule.id}", where=schedule.id)
    return accepted


def _note_missed(connection: Connection, schedule: Schedule, *, due: Due, at: datetime) -> None:
    if due.left_out is not None:
        told = "nobody was there to run it, nor those after it up to now"
        tick = Tick(
            schedule_id=schedule.id, at=due.left_out, outcome=Outcome.MISSED, told=told, noted_at=at
        )
        schedule_store.note(connection, tick=tick)


def _outcome(
    connection: Connection, schedule: Schedule, *, last: str | None, refused: str, at: datetime
) -> tuple[Outcome, str]:
    """Return what is to come of a tick, and why; ends the job of the last one if need be."""
    if refused:
        return Outcome.REFUSED, refused
    if schedule.overlap is Overlap.ALLOW or last is None or not _goes_on(connection, last):
        return Outcome.RUN, ""
    if schedule.overlap is Overlap.SKIP:
        return Outcome.OVERLAPPED, f"the job {last} of the tick before had not ended"
    job_store.cancel(connection, job_id=last, at=at)
    return Outcome.RUN, f"the job {last} of the tick before was cancelled"


def _goes_on(connection: Connection, job_id: str) -> bool:
    try:
        return not job_store.get(connection, job_id=job_id).state.is_final
    except NotFound:  # removed since
        return False


def _why_not(connection: Connection, schedule: Schedule, *, at: datetime) -> str:
    """Return why the owner of a schedule may not order jobs any more; empty where it may."""
    if not schedule.owner.startswith(TOKEN):
        return ""
    try:
        token = tokens.get(connection, name=schedule.owner.removeprefix(TOKEN))
    except NotFound:
        return ""
    if token.revoked_at is not None:
        return f"the token {token.name}, which made the schedule, was revoked"
    if token.expires_at is not None and token.expires_at <= at:
        return f"the token {token.name}, which made the schedule, has expired"
    return ""
