"""Looks each second for what time has brought: ticks, jobs due or too late, pauses over."""

import asyncio
import logging
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select

from frozen.values import frozen
from runtime.jobs.schedules import Schedules
from runtime.queue.dispatch import Dispatch
from runtime.queue.notifier import Notifier, ended
from runtime.store.access import audit
from runtime.store.databases.store import Store
from runtime.store.jobs import jobs as job_store
from runtime.store.schema import tables
from runtime.store.schema import tables_when as when_tables
from runtime.store.when import pauses
from runtime.store.when import schedules as schedule_store
from runtime.values.clock import Clock
from runtime.values.states import State
from runtime.values.when.line import NOT_DUE, turn_when_due
from runtime.values.when.schedules import Pause

EVERY_S = 1.0
TIDY_EVERY = 3600
"""Of so many looks one also forgets what is old."""
WHOLE_EVERY = 10
TICKS_LIVE = timedelta(days=30)
MOST_AT_ONCE = 100

log = logging.getLogger("fumehood.timekeeper")

# Made once, since they are asked each second: to build one anew costs more than running it.
_IS_QUEUED = tables.jobs.c.state == State.QUEUED
_TICK = (
    select(when_tables.schedules.c.id)
    .where(when_tables.schedules.c.next_at <= bindparam("at"))
    .limit(1)
)
_DUE = (
    select(tables.jobs.c.id)
    .where(_IS_QUEUED, tables.jobs.c.turn.between(NOT_DUE, bindparam("turn")))
    .limit(1)
)
_LATE = (
    select(tables.jobs.c.id)
    .where(
        tables.jobs.c.expires_at.is_not(None),
        tables.jobs.c.expires_at <= bindparam("at"),
        _IS_QUEUED,
    )
    .limit(MOST_AT_ONCE)
)
_HELD = select(tables.jobs.c.id).where(tables.jobs.c.held_by.is_not(None)).limit(1)


@frozen
class Found:
    """What there is to do now."""

    are_schedules_due: bool
    is_job_due: bool
    released: tuple[str, ...]
    late: tuple[str, ...]
    over: tuple[Pause, ...]


@frozen
class Timekeeper:
    """Does what is due. Any number of workers may: each act is one transaction that checks anew."""

    store: Store
    schedules: Schedules
    dispatch: Dispatch
    notifier: Notifier
    clock: Clock

    async def keep(self) -> None:
        """Look each second, for ever."""
        looks = 0
        while True:
            try:
                await self.look(is_whole=looks % WHOLE_EVERY == 0)
                looks += 1
                if looks % TIDY_EVERY == 1:
                    before = self.clock() - TICKS_LIVE
                    await self.store.run(schedule_store.forget_ticks, before=before)
            except Exception:
                log.exception("a look at the time failed")
            await asyncio.sleep(EVERY_S)

    async def look(self, *, is_whole: bool = True) -> None:
        """Do once what is to do now."""
        now = self.clock()
        found = await self.store.read(look_for, at=now, is_whole=is_whole)
        for pause in found.over:
            await self.store.run(_end, pause=pause, at=now)
        for job_id in found.late:
            await self.store.run(job_store.expire, job_id=job_id, at=now)
            self.notifier.notify(job_id)
            self.notifier.notify(ended(job_id))
        if found.are_schedules_due:
            await self.schedules.run_due()
        if found.released:
            await self.store.run(pauses.let_go, held_by=found.released, at=now)
        if found.is_job_due or found.released or found.over:
            await self.dispatch.ticket()


def look_for(connection: Connection, *, at: datetime, is_whole: bool = True) -> Found:
    """Return what there is to do, by one look into an index each."""
    due = {"turn": turn_when_due(at)}
    return Found(
        are_schedules_due=connection.execute(_TICK, {"at": at}).first() is not None,
        is_job_due=connection.execute(_DUE, due).first() is not None,
        released=_released(connection, is_whole=is_whole),
        late=tuple(connection.execute(_LATE, {"at": at}).scalars()),
        over=pauses.over(connection, at=at),
    )


def _released(connection: Connection, *, is_whole: bool) -> tuple[str, ...]:
    """Return what holds jobs and should not: now and then (`is_whole`) by a look at all of them."""
    if connection.execute(_HELD).first() is None:
        return ()
    return pauses.resumed(connection) + (pauses.forgotten(connection) if is_whole else ())


def _end(connection: Connection, *, pause: Pause, at: datetime) -> None:
    """End a pause that is over, unless somebody has changed it meanwhile."""
    if pauses.get(connection, subject=pause.subject) != pause:
        return
    pauses.remove(connection, subject=pause.subject, at=at)
    audit.append(
        connection,
        at=at,
        who="fumehood",
        action="pause.over",
        subject=pause.subject,
        details={"paused_by": pause.who, "reason": pause.reason},
    )
