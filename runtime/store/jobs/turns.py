"""The lines of waiting jobs: each job's place, given as it joins and looked at as one is claimed.

What holds a job takes it out of its line, so that to look who is next costs the same however many
are held. Whoever lets go of what held others calls `release`.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    String,
    bindparam,
    func,
    literal,
    or_,
    select,
    update,
)

from runtime.store.schema import tables
from runtime.store.schema.tables_when import pauses, rates
from runtime.store.statements import upsert
from runtime.store.statements.prepared import Prepared
from runtime.values.records import Job
from runtime.values.states import State
from runtime.values.when.line import (
    KEY,
    NOT_DUE,
    PACKAGE,
    RATE,
    Joining,
    Place,
    Standing,
    Waiting,
    next_start,
    place_of,
    turn_when_due,
    turn_when_held,
)

WINDOW = 16
"""How many of those who wait are looked at together."""
MOST_WOKEN = 100
"""How many that have become due join their lines at once; the others with the next claim."""
ALL = "all"

jobs = tables.jobs
others = tables.jobs.alias("others")
IS_WAITING = (jobs.c.state == State.QUEUED, jobs.c.turn < NOT_DUE)
TURN = others.c.turn + 0
"""The turn, and no index of it: what has a key is found by its key, of all that waits."""
STANDS = (others.c.state == State.QUEUED, others.c.held_by.is_(None))


def _count(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(others).where(*conditions).scalar_subquery()


def with_slot(key: ColumnElement[str], *, but: ColumnElement[str]) -> ColumnElement[int]:
    """Return how many jobs with `key` run, or stand in a line; each found by the index of keys."""
    runs = (others.c.slot_key == key, others.c.state == State.RUNNING, others.c.id != but)
    stands = (others.c.slot_key == key, *STANDS, TURN < NOT_DUE, others.c.id != but)
    return _count(*runs) + _count(*stands)


def with_rate(key: ColumnElement[str], *, but: ColumnElement[str]) -> ColumnElement[int]:
    """Return how many jobs of the rate `key` stand in a line, or will when they are due."""
    comes = or_(TURN < NOT_DUE, others.c.due_why == "rate")
    return _count(others.c.rate_key == key, *STANDS, comes, others.c.id != but)


LAST_CLAIMED = (
    select(jobs.c.claimed_turn)
    .join(tables.attempts, tables.attempts.c.job_id == jobs.c.id)
    .where(tables.attempts.c.started_at.is_not(None))
    .order_by(tables.attempts.c.started_at.desc(), jobs.c.claimed_turn.desc())
    .limit(1)
    .scalar_subquery()
)
"""The turn that it is now: it never goes back, so that no priority passes for ever."""
STANDING = Prepared(
    select(
        LAST_CLAIMED.label("now"),
        select(func.max(jobs.c.turn))
        .where(*IS_WAITING, jobs.c.package == bindparam("of_package"))
        .where(jobs.c.owner == bindparam("of_owner"), jobs.c.priority == bindparam("of_priority"))
        .scalar_subquery()
        .label("last_of_line"),
        select(pauses.c.subject)
        .where(pauses.c.subject == bindparam("of_pause"))
        .exists()
        .label("is_paused"),
        with_slot(bindparam("of_slot", type_=String), but=bindparam("of_job", type_=String)).label(
            "with_key"
        ),
        with_rate(bindparam("of_rate", type_=String), but=bindparam("of_job", type_=String)).label(
            "with_rate"
        ),
        select(rates.c.next_at)
        .where(rates.c.key == bindparam("of_rate"))
        .scalar_subquery()
        .label("rate_free_at"),
    )
)
RUNNING_WITH_KEY = (
    select(func.count())
    .select_from(others)
    .where(others.c.slot_key == jobs.c.slot_key, others.c.state == State.RUNNING)
    .correlate(jobs)
    .scalar_subquery()
)
IS_PAUSED = (
    select(pauses.c.subject)
    .where(pauses.c.subject == literal(PACKAGE) + jobs.c.package)
    .correlate(jobs)
    .exists()
)
IS_ALL_PAUSED = (
    select(pauses.c.subject)
    .where(pauses.c.subject == ALL)
    .where(or_(pauses.c.until.is_(None), pauses.c.until > bindparam("now")))
    .exists()
)
IS_DRAINED = (
    select(tables.workers.c.id)
    .where(tables.workers.c.id == bindparam("for_worker"))
    .where(tables.workers.c.drained_at.is_not(None))
    .exists()
)
IS_ANY_DUE = (
    select(others.c.id)
    .where(others.c.state == State.QUEUED)
    .where(others.c.turn.between(NOT_DUE, bindparam("until")))
    .exists()
)
"""Whether somebody has become due, and stands in no line yet."""
NEXT = Prepared(
    select(
        jobs.c.id,
        jobs.c.package,
        jobs.c.platform,
        jobs.c.needs,
        jobs.c.slot_key,
        jobs.c.slot_most,
        jobs.c.expires_at,
        RUNNING_WITH_KEY.label("running"),
        IS_PAUSED.label("is_paused"),
        IS_ANY_DUE.label("is_any_due"),
    )
    .where(*IS_WAITING, ~IS_ALL_PAUSED, ~IS_DRAINED)
    .order_by(jobs.c.turn, jobs.c.id)
    .limit(WINDOW)
    .offset(bindparam("after"))
)
JOINING = (
    jobs.c.id,
    jobs.c.package,
    jobs.c.owner,
    jobs.c.priority,
    jobs.c.due_at,
    jobs.c.due_why,
    jobs.c.queued_at,
    jobs.c.slot_key,
    jobs.c.slot_most,
    jobs.c.rate_key,
)
DUE = Prepared(
    select(*JOINING)
    .where(jobs.c.state == State.QUEUED)
    .where(jobs.c.turn.between(NOT_DUE, bindparam("until")))
    .order_by(jobs.c.turn, jobs.c.id)
    .limit(MOST_WOKEN)
)
FIRST_HELD = (
    select(*JOINING)
    .where(jobs.c.held_by == bindparam("by"), jobs.c.held_by.is_not(None))
    .where(jobs.c.state == State.QUEUED)
    .order_by(jobs.c.turn, jobs.c.id)
    .limit(bindparam("most"))
)
ONE = select(*JOINING).where(jobs.c.id == bindparam("job_id"))
SET_PLACE = (
    update(jobs)
    .where(jobs.c.id == bindparam("job_id"))
    .values(
        turn=bindparam("its_turn"),
        held_by=bindparam("by"),
        due_at=bindparam("due"),
        due_why=bindparam("why"),
    )
)


def join(connection: Connection, job: Job, *, at: datetime) -> Place:
    """Return where a job waits that begins to wait; it is for the caller to write it down."""
    joining = Joining(
        package=job.package,
        priority=job.priority,
        due_at=job.due_at,
        queued_at=job.queued_at,
        slot_key=job.slot_key,
        slot_most=job.slot_most,
        rate_key=job.rate_key,
    )
    if job.due_at > at:
        return place_of(joining, standing=Standing(), at=at)
    standing = _standing(connection, joining, job_id=job.id, owner=job.request.principal)
    return place_of(joining, standing=standing, at=at)


def _standing(connection: Connection, one: Joining, *, job_id: str, owner: str) -> Standing:
    keys = {
        "of_package": one.package,
        "of_owner": owner,
        "of_priority": one.priority,
        "of_pause": PACKAGE + one.package,
        "of_slot": one.slot_key,
        "of_rate": one.rate_key,
        "of_job": job_id,
    }
    row = STANDING.first(connection, keys)
    return Standing(
        now=row.now,
        last_of_line=row.last_of_line,
        is_paused=bool(row.is_paused),
        with_key=row.with_key,
        with_rate=row.with_rate,
        rate_free_at=row.rate_free_at,
    )


def columns_of(place: Place) -> dict[str, Any]:
    """Return the columns of a job that say where it waits, but for why it is not due."""
    return {"turn": place.turn, "held_by": place.held_by, "due_at": place.due_at}


def wake(connection: Connection, *, at: datetime) -> bool:
    """Let those join their lines that have become due; return whether there were any."""
    due = DUE.all(connection, {"until": turn_when_due(at)})
    for row in due:
        _put(connection, row, at=at)
    return bool(due)


def release(
    connection: Connection, *, held_by: str, at: datetime, most: int = 1
) -> datetime | None:
    """Let the first ones go that `held_by` holds; return when one will be due, if it is not yet.

    What holds them still holds them again.
    """
    due_at = None
    for row in connection.execute(FIRST_HELD, {"by": held_by, "most": most}).all():
        place = _put(connection, row, at=at)
        due_at = place.due_at if place.is_for_rate else due_at
    return due_at


def _put(connection: Connection, row: Any, *, at: datetime) -> Place:
    """Give a waiting job the place that it has now."""
    joining = _joining(row)
    standing = _standing(connection, joining, job_id=row.id, owner=row.owner)
    # What was due has been so, whatever a clock says that was set back meanwhile.
    place = place_of(replace(joining, due_at=min(row.due_at, at)), standing=standing, at=at)
    why = "rate" if place.is_for_rate else ""
    _set(connection, row.id, place=replace(place, due_at=max(place.due_at, row.due_at)), why=why)
    return place


def _joining(row: Any) -> Joining:
    return Joining(
        package=row.package,
        priority=row.priority,
        due_at=row.due_at,
        queued_at=row.queued_at,
        slot_key=row.slot_key,
        slot_most=row.slot_most,
        rate_key=row.rate_key,
    )


def _set(connection: Connection, job_id: str, *, place: Place, why: str) -> None:
    keys = {"job_id": job_id, "its_turn": place.turn, "by": place.held_by}
    connection.execute(SET_PLACE, keys | {"due": place.due_at, "why": why})


def hold(connection: Connection, *, job_id: str, held_by: str, at: datetime) -> None:
    """Take a job out of its line, since something holds it."""
    row = connection.execute(ONE, {"job_id": job_id}).one()
    turn = turn_when_held(_joining(row))
    _set(
        connection,
        job_id,
        place=Place(turn=turn, due_at=row.due_at, held_by=held_by),
        why="",
    )
    slot_key = None if held_by.startswith(KEY) else row.slot_key  # there, others run
    left_line(connection, slot_key=slot_key, rate_key=row.rate_key, at=at)


def left_line(
    connection: Connection, *, slot_key: str | None, rate_key: str | None, at: datetime
) -> None:
    """Let those follow whom a job kept waiting that stands in its line no more, and never ran."""
    if slot_key is not None:
        release(connection, held_by=KEY + slot_key, at=at)
    if rate_key is not None:
        release(connection, held_by=RATE + rate_key, at=at)


def left_slot(connection: Connection, job: Job, *, at: datetime) -> None:
    """Let the next one follow that has the key of a job which runs no more."""
    if job.slot_key is not None:
        release(connection, held_by=KEY + job.slot_key, at=at)


def started(connection: Connection, job: Job, *, at: datetime) -> datetime | None:
    """Note the start of a job that has a rate; return when the next one of it is due."""
    if job.rate_key is None:
        return None
    next_at = next_start(at, between_s=job.rate_between_s or 0.0)
    upsert.put(connection, rates, key={"key": job.rate_key}, values={"next_at": next_at})
    return release(connection, held_by=RATE + job.rate_key, at=at)


def next_in_turn(connection: Connection, *, after: int, at: datetime, worker: str) -> list[Waiting]:
    """Return those whose turn is next, leaving out the first `after`.

    None while all is paused, and none for a worker that is drained. Those that have become due
    join their lines before; that there are none is asked with the same statement.
    """
    keys = {"after": after, "now": at, "for_worker": worker, "until": turn_when_due(at)}
    rows = NEXT.all(connection, keys)
    if (not rows or rows[0].is_any_due) and wake(connection, at=at):
        rows = NEXT.all(connection, keys)
    return [
        Waiting(
            id=row.id,
            package=row.package,
            platform=row.platform,
            needs=row.needs,
            slot_key=row.slot_key,
            slot_most=row.slot_most,
            running=row.running,
            is_paused=bool(row.is_paused),
            expires_at=row.expires_at,
        )
        for row in rows
    ]
