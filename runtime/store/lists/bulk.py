"""Bulk operations in the store: begun, looked at, carried on by a turn, stopped."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from runtime.faults.errors import NotFound, QueueFull, StateConflict
from runtime.store.lists import filtered
from runtime.store.schema import tables
from runtime.store.schema.tables_around import bulk_operations
from runtime.store.statements.cursor import page_of
from runtime.values.access import EVERYTHING, Sight
from runtime.values.around.bulk import (
    Act,
    BulkOperation,
    BulkState,
    Turn,
    after_turn,
    states_of,
    stopped,
)
from runtime.values.job_filter import filter_from, filter_to
from runtime.values.records import Page

AT_A_TIME = 50
"""Jobs in one transaction: who submits meanwhile waits for one of these at most."""

type Do = Callable[[Connection, str], None]
"""Acts on one job; raises StateConflict where it cannot be, QueueFull where it has to wait."""


def begin(connection: Connection, *, operation: BulkOperation) -> BulkOperation:
    """Write down an operation, which carries on by turns from now on."""
    row = _columns(operation) | {
        "id": operation.id,
        "act": operation.act,
        "wanted": filter_to(operation.wanted),
        "who": operation.who,
        "reason": operation.reason,
        "owner": operation.sight.owner,
        "packages": list(operation.sight.packages),
        "matched": operation.matched,
        "at": operation.at,
    }
    connection.execute(bulk_operations.insert().values(row))
    return operation


def _columns(operation: BulkOperation) -> dict[str, Any]:
    """Return what changes from turn to turn."""
    names = ("state", "done", "left_alone", "place", "waits_for", "finished_at")
    return {name: getattr(operation, name) for name in names}


def count(
    connection: Connection,
    *,
    act: Act,
    operation_sight: Sight,
    wanted: dict[str, Any],
    after: str | None,
) -> tuple[int, str | None]:
    """Return how many jobs are meant among the next ones, and after which to go on counting."""
    meant = filter_from(wanted)
    further = (tables.jobs.c.state.in_(sorted(states_of(act, meant))),)
    found = filtered.find(
        connection,
        limit=filtered.MOST_LOOKED_AT,
        cursor=after,
        wanted=meant,
        sight=operation_sight,
        further=further,
    )
    return len(found.ids), found.go_on_after


def newest(connection: Connection) -> str | None:
    """Return the id of the newest job."""
    return connection.execute(select(func.max(tables.jobs.c.id))).scalar()


def get(connection: Connection, *, operation_id: str, sight: Sight = EVERYTHING) -> BulkOperation:
    """Return an operation; raise NotFound, also for one of somebody else's."""
    query = select(bulk_operations).where(bulk_operations.c.id == operation_id)
    row = connection.execute(query).first()
    if row is None or sight.owner not in {None, row.who}:
        raise NotFound(
            f"There is no bulk operation {operation_id}",
            where=operation_id,
            mend="`fumehood bulk list` shows them",
        )
    return _operation(row)


def _operation(row: Any) -> BulkOperation:
    return BulkOperation(
        id=row.id,
        act=Act(row.act),
        wanted=filter_from(row.wanted),
        who=row.who,
        reason=row.reason,
        sight=Sight(owner=row.owner, packages=tuple(row.packages)),
        matched=row.matched,
        at=row.at,
        place=row.place,
        state=BulkState(row.state),
        done=row.done,
        left_alone=row.left_alone,
        waits_for=row.waits_for,
        finished_at=row.finished_at,
    )


def list_all(
    connection: Connection, *, limit: int, cursor: str | None = None, sight: Sight = EVERYTHING
) -> Page[BulkOperation]:
    """Return operations, the last begun first; of one principal where `sight` is its own."""
    query = select(bulk_operations).order_by(bulk_operations.c.id.desc()).limit(limit + 1)
    if sight.owner is not None:
        query = query.where(bulk_operations.c.who == sight.owner)
    if cursor:
        query = query.where(bulk_operations.c.id < cursor)
    found = [_operation(row) for row in connection.execute(query)]
    return page_of(found, limit=limit, key=lambda one: one.id)


def running(connection: Connection) -> tuple[str, ...]:
    """Return the ids of the operations that have to be carried on, the first begun first."""
    query = select(bulk_operations.c.id).where(bulk_operations.c.state == BulkState.RUNNING)
    return tuple(connection.execute(query.order_by(bulk_operations.c.id)).scalars())


def stop(connection: Connection, *, operation_id: str, at: datetime) -> BulkOperation:
    """Stop an operation; what it has done stays done."""
    now = stopped(get(connection, operation_id=operation_id), at=at)
    _keep(connection, now)
    return now


def carry_on(
    connection: Connection, *, operation_id: str, do: Do, at: datetime
) -> tuple[BulkOperation, tuple[str, ...]]:
    """Act on the next jobs; return how the operation stands then, and which jobs it was."""
    operation = get(connection, operation_id=operation_id)
    if operation.state is not BulkState.RUNNING:
        return operation, ()
    found = filtered.find(
        connection,
        limit=AT_A_TIME,
        cursor=operation.place,
        wanted=operation.wanted,
        sight=operation.sight,
        further=(tables.jobs.c.state.in_(sorted(states_of(operation.act, operation.wanted))),),
    )
    done, turn = _act_on(connection, found, do=do, place=operation.place)
    now = after_turn(operation, turn, at=at)
    _keep(connection, now)
    return now, done


def _act_on(
    connection: Connection, found: filtered.Found, *, do: Do, place: str
) -> tuple[tuple[str, ...], Turn]:
    done: list[str] = []
    left_alone = 0
    for job_id in found.ids:
        try:
            do(connection, job_id)
        except QueueFull as full:
            waits = Turn(done=len(done), left_alone=left_alone, place=place, waits_for=full.what)
            return tuple(done), waits
        except (StateConflict, NotFound):
            left_alone += 1
        else:
            done.append(job_id)
        place = job_id
    return tuple(done), Turn(done=len(done), left_alone=left_alone, place=found.go_on_after)


def _keep(connection: Connection, operation: BulkOperation) -> None:
    change = update(bulk_operations).where(bulk_operations.c.id == operation.id)
    connection.execute(change.values(_columns(operation)))
