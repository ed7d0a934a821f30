"""The bounded queue: an exact count of waiting jobs, changed in the transaction of the job."""

import math

from sqlalchemy import Connection, bindparam, select, update

from runtime.faults.errors import QueueFull
from runtime.store.packages import packages
from runtime.store.schema import tables
from runtime.store.statements.prepared import Prepared

QUEUED = "jobs-queued"
SAMPLE = 20
LONGEST_WAIT_S = 60

COUNT = tables.counters.c.value
ADMIT = Prepared(
    update(tables.counters)
    .where(tables.counters.c.name == QUEUED, bindparam("most") > COUNT)
    .values(value=COUNT + 1)
)
ADMIT_ON = Prepared(
    update(tables.counters)
    .where(
        tables.counters.c.name == QUEUED,
        bindparam("most") > COUNT,
        select(tables.packages.c.name)
        .where(
            tables.packages.c.name == bindparam("of_package"),
            tables.packages.c.active_activation_id == bindparam("active"),
        )
        .exists(),
    )
    .values(value=COUNT + 1)
)
"""The same where a package runs on what it is thought to: one statement for both questions."""
ADD = Prepared(
    update(tables.counters)
    .where(tables.counters.c.name == QUEUED)
    .values(value=COUNT + bindparam("more"))
    .returning(COUNT)
)
DEPTH = Prepared(select(COUNT).where(tables.counters.c.name == QUEUED))


def admit(connection: Connection, *, limit: int) -> None:
    """Count one more waiting job; raise QueueFull when `limit` of them wait already."""
    if ADMIT.run(connection, {"most": limit}) == 0:
        raise _full(connection, limit=limit)


def admit_on(connection: Connection, *, limit: int, package: str, activation_id: str) -> None:
    """Do so for a job of a package that runs on this activation. Raises NotActive, too."""
    keys = {"most": limit, "of_package": package, "active": activation_id}
    if ADMIT_ON.run(connection, keys) == 0:
        packages.refuse_unless_active(connection, package=package, activation_id=activation_id)
        raise _full(connection, limit=limit)


def refuse_if_full(connection: Connection, *, limit: int) -> None:
    """Raise QueueFull when `limit` jobs wait; counts nothing."""
    if depth(connection) >= limit:
        raise _full(connection, limit=limit)


def _full(connection: Connection, *, limit: int) -> QueueFull:
    return QueueFull(
        f"{depth(connection)} jobs are waiting, and {limit} may",
        where="queue",
        mend="try again after the seconds in Retry-After; the setting is `queue_limit`",
        retry_after_s=_drain_s(connection),
    )


def _drain_s(connection: Connection) -> int:
    """Return after how many seconds a place is likely to be free, by the last jobs started."""
    query = (
        select(tables.attempts.c.started_at)
        .where(tables.attempts.c.started_at.is_not(None))
        .order_by(tables.attempts.c.started_at.desc())
        .limit(SAMPLE)
    )
    started = [at for at in connection.execute(query).scalars() if at]
    if len(started) < 2:
        return LONGEST_WAIT_S
    between_s = (started[0] - started[-1]).total_seconds() / (len(started) - 1)
    return min(max(1, math.ceil(between_s)), LONGEST_WAIT_S)


def readmit(connection: Connection) -> None:
    """Count one more waiting job that was accepted before: it is never refused."""
    _add(connection, 1)


def leave(connection: Connection) -> int:
    """Count one waiting job less; return how many are left."""
    return _add(connection, -1)


def _add(connection: Connection, by: int) -> int:
    return ADD.scalar(connection, {"more": by}) or 0


def depth(connection: Connection) -> int:
    """Return how many jobs wait."""
    return DEPTH.scalar(connection, {}) or 0
