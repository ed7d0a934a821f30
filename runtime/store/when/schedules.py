"""Schedules and their ticks. The row of a tick is the lock: whoever writes it runs the tick."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, or_, select, update

from runtime.faults.errors import NotFound, StateConflict
from runtime.store.schema.tables_when import pauses, schedules, ticks
from runtime.store.statements import upsert
from runtime.store.statements.cursor import page_of
from runtime.store.statements.in_sight import among
from runtime.store.statements.rows import SCHEDULE, TICK, plain, value_of
from runtime.values.access import EVERYTHING, Sight
from runtime.values.records import Page
from runtime.values.when.schedules import SCHEDULE as SUBJECT
from runtime.values.when.schedules import Schedule, Tick

DUE = (
    select(schedules)
    .where(schedules.c.next_at <= bindparam("now"))
    .where(~select(pauses.c.subject).where(pauses.c.subject == SUBJECT + schedules.c.id).exists())
    .order_by(schedules.c.next_at, schedules.c.id)
    .limit(bindparam("most"))
)
MOVE = (
    update(schedules)
    .where(schedules.c.id == bindparam("of_id"), schedules.c.next_at == bindparam("waited_for"))
    .values(next_at=bindparam("next"), last_job_id=bindparam("job_id"))
)


def add(connection: Connection, *, schedule: Schedule, most: int) -> Schedule:
    """Keep a schedule; raise StateConflict where its owner has one of that name, or `most`."""
    counted = select(func.count()).select_from(schedules)
    mine = connection.execute(counted.where(schedules.c.owner == schedule.owner)).scalar_one()
    if mine >= most:
        raise StateConflict(
            f"{schedule.owner} has {mine} schedules, and may have {most}",
            where="schedules",
            mend="remove some; the setting is `dispatch.schedules_most`",
        )
    named = select(schedules.c.id).where(
        schedules.c.owner == schedule.owner, schedules.c.name == schedule.name
    )
    if found := connection.execute(named).scalar():
        raise StateConflict(
            f"There is a schedule {schedule.name} already",
            where=found,
            mend=f"`fumehood schedule remove {schedule.name}` first, or take another name",
        )
    times = {"created_at": schedule.created_at, "next_at": schedule.next_at}
    connection.execute(schedules.insert().values(plain(schedule, SCHEDULE) | times))
    return schedule


def get(connection: Connection, *, schedule_id: str, sight: Sight = EVERYTHING) -> Schedule:
    """Return a schedule; raise NotFound, also for one that is out of `sight`."""
    row = connection.execute(select(schedules).where(schedules.c.id == schedule_id)).first()
    if not row or not sight.includes(owner=row.owner, package=row.package):
        raise NotFound(
            f"There is no schedule {schedule_id}",
            where=schedule_id,
            mend="`fumehood schedule list` shows the schedules",
        )
    return value_of(row, SCHEDULE)


def list_schedules(
    connection: Connection,
    *,
    limit: int,
    cursor: str | None = None,
    package: str | None = None,
    sight: Sight = EVERYTHING,
) -> Page[Schedule]:
    """Return the schedules in `sight`, the last made first."""
    query = select(schedules).order_by(schedules.c.id.desc()).limit(limit + 1)
    if sight.owner is not None:
        query = query.where(schedules.c.owner == sight.owner)
    if sight.packages:
        query = query.where(or_(*(among(schedules.c.package, one) for one in sight.packages)))
    if package:
        query = query.where(schedules.c.package == package)
    if cursor:
        query = query.where(schedules.c.id < cursor)
    found = [value_of(row, SCHEDULE) for row in connection.execute(query)]
    return page_of(found, limit=limit, key=lambda schedule: schedule.id)


def remove(connection: Connection, *, schedule_id: str) -> None:
    """Forget a schedule and its ticks; jobs that it made stay."""
    connection.execute(delete(ticks).where(ticks.c.schedule_id == schedule_id))
    connection.execute(delete(pauses).where(pauses.c.subject == SUBJECT + schedule_id))
    connection.execute(delete(schedules).where(schedules.c.id == schedule_id))


def due(connection: Connection, *, at: datetime, most: int) -> tuple[Schedule, ...]:
    """Return schedules whose tick has come and that are not paused, the longest due first."""
    found = connection.execute(DUE, {"now": at, "most": most})
    return tuple(value_of(row, SCHEDULE) for row in found)


def move_on(
    connection: Connection, schedule: Schedule, *, next_at: datetime | None, job_id: str | None
) -> bool:
    """Let a schedule wait for its next tick; return False where another worker has done so."""
    keys = {"of_id": schedule.id, "waited_for": schedule.next_at, "next": next_at}
    last = job_id or schedule.last_job_id
    return connection.execute(MOVE, keys | {"job_id": last}).rowcount > 0


def note(connection: Connection, *, tick: Tick) -> bool:
    """Write down what came of a tick; return False where that was written before."""
    key = {"schedule_id": tick.schedule_id, "at": tick.at}
    values = plain(tick, TICK) | key | {"noted_at": tick.noted_at}
    return upsert.add_once(connection, ticks, key=key, values=values)


def list_ticks(connection: Connection, *, schedule_id: str, limit: int = 20) -> tuple[Tick, ...]:
    """Return the last ticks of a schedule, the last first."""
    query = select(ticks).where(ticks.c.schedule_id == schedule_id)
    query = query.order_by(ticks.c.at.desc()).limit(limit)
    return tuple(value_of(row, TICK) for row in connection.execute(query))


def forget_ticks(connection: Connection, *, before: datetime) -> int:
    """Forget what came of ticks before then; return how many."""
    return connection.execute(delete(ticks).where(ticks.c.noted_at < before)).rowcount
