"""Batches: jobs of one principal under one name, counted together, told of once.

A batch takes jobs until it is sealed; it has ended when it is sealed and all its jobs have ended.
"""

from datetime import datetime

from sqlalchemy import Connection, Integer, bindparam, func, or_, select, update

from runtime.faults.errors import NotFound, StateConflict
from runtime.store.schema import tables
from runtime.store.schema.tables_around import batches
from runtime.store.statements.cursor import page_of
from runtime.store.statements.rows import BATCH, value_of
from runtime.values.access import EVERYTHING, Sight
from runtime.values.around.batches import Batch, Counted
from runtime.values.records import Page
from runtime.values.states import FINAL, State

_UNDER_WAY = select(tables.jobs.c.id).where(
    tables.jobs.c.batch == batches.c.id,
    tables.jobs.c.state.in_(sorted(frozenset(State) - FINAL)),
)
_ENDED = (
    select(batches)
    .where(batches.c.ended_at.is_(None), batches.c.sealed_at.is_not(None), ~_UNDER_WAY.exists())
    .limit(bindparam("most", type_=Integer))
)
"""Made once: it is asked each second."""


def create(connection: Connection, *, batch: Batch) -> Batch:
    """Begin a batch; raise StateConflict where its owner has one of that name."""
    known = select(batches.c.id).where(batches.c.owner == batch.owner, batches.c.name == batch.name)
    if connection.execute(known).first():
        raise StateConflict(
            f"{batch.owner} has a batch {batch.name} already",
            where=batch.name,
            mend="take another name: the jobs of a batch are told of once",
        )
    row = {name: getattr(batch, name) for name in ("owner", "name", "id", "note", "webhook", "at")}
    connection.execute(batches.insert().values(row | {"sealed_at": batch.sealed_at}))
    return batch


def to_join(connection: Connection, *, owner: str, name: str) -> Batch:
    """Return the batch that a job of `owner` joins; raise NotFound, or StateConflict if sealed."""
    batch = get(connection, name=name, sight=Sight(owner=owner))
    if batch.sealed_at:
        raise StateConflict(
            f"The batch {batch.name} is sealed: it takes no more jobs",
            where=name,
            mend="`fumehood batch create NAME` begins another one",
        )
    return batch


def get(connection: Connection, *, name: str, sight: Sight = EVERYTHING) -> Batch:
    """Return a batch by its id, or by the name that its owner gave it; raise NotFound.

    Who sees the batches of all has to name one by its id where two owners gave the same name.
    """
    query = select(batches).where(or_(batches.c.id == name, batches.c.name == name))
    if sight.owner is not None:
        query = query.where(batches.c.owner == sight.owner)
    found = connection.execute(query.limit(3)).all()
    meant = [row for row in found if row.id == name] or found  # a name may be another one's id
    if len(meant) == 1:
        return _batch(meant[0])
    raise NotFound(
        f"There is no batch {name}" if not found else f"Several owners have a batch {name}",
        where=name,
        mend="`fumehood batch list` shows them, with their ids",
    )


def _batch(row: object) -> Batch:
    return value_of(row, BATCH)  # pyright: ignore[reportArgumentType]


def list_all(
    connection: Connection, *, limit: int, cursor: str | None = None, sight: Sight = EVERYTHING
) -> Page[Batch]:
    """Return batches in sight, the last begun first."""
    query = select(batches).order_by(batches.c.id.desc()).limit(limit + 1)
    if sight.owner is not None:
        query = query.where(batches.c.owner == sight.owner)
    if cursor:
        query = query.where(batches.c.id < cursor)
    found = [_batch(row) for row in connection.execute(query)]
    return page_of(found, limit=limit, key=lambda one: one.id)


def counted(connection: Connection, *, batch: Batch) -> Counted:
    """Return how many jobs of a batch there are in each state."""
    jobs = tables.jobs
    query = select(jobs.c.state, func.count()).where(jobs.c.batch == batch.id)
    rows = connection.execute(query.group_by(jobs.c.state))
    return {State(state): number for state, number in rows}


def seal(connection: Connection, *, batch_id: str, at: datetime) -> None:
    """Let a batch take no more jobs; nothing happens where it is sealed."""
    change = update(batches).where(batches.c.id == batch_id, batches.c.sealed_at.is_(None))
    connection.execute(change.values(sealed_at=at))


def that_have_ended(connection: Connection, *, limit: int) -> tuple[Batch, ...]:
    """Return sealed batches that are not told of yet, and of whose jobs none is under way."""
    return tuple(_batch(row) for row in connection.execute(_ENDED, {"most": limit}))


def end(connection: Connection, *, batch_id: str, at: datetime) -> bool:
    """Write down that a batch has ended; return whether this is the first time."""
    change = update(batches).where(batches.c.id == batch_id, batches.c.ended_at.is_(None))
    return connection.execute(change.values(ended_at=at)).rowcount > 0
