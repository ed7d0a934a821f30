"""Workers and their signs of life."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select, update

from runtime.faults.errors import NotFound
from runtime.store.schema import tables
from runtime.store.statements.rows import WORKER, plain, value_of
from runtime.values.records import Worker

_SEEN = update(tables.workers).where(tables.workers.c.id == bindparam("worker"))
"""Made once: it is written each second."""


def register(connection: Connection, *, worker: Worker) -> None:
    """Keep a worker that has just started."""
    times = {"started_at": worker.started_at, "seen_at": worker.seen_at, "drained_at": None}
    connection.execute(tables.workers.insert().values(plain(worker, WORKER) | times))


def see(connection: Connection, *, worker: Worker, at: datetime) -> None:
    """Note a sign of life; who was forgotten meanwhile is there again."""
    if connection.execute(_SEEN, {"worker": worker.id, "seen_at": at}).rowcount == 0:
        register(connection, worker=replace(worker, seen_at=at))


def forget(connection: Connection, *, worker: str) -> None:
    """Forget a worker that has stopped."""
    connection.execute(delete(tables.workers).where(tables.workers.c.id == worker))


def drain(connection: Connection, *, worker: str, who: str, at: datetime | None) -> Worker:
    """Let a worker take no more jobs, or (`at` None) take jobs again; raise NotFound."""
    values = {"drained_at": at, "drained_by": who if at else ""}
    found = connection.execute(
        update(tables.workers).where(tables.workers.c.id == worker).values(values)
    )
    if found.rowcount == 0:
        raise NotFound(
            f"There is no worker {worker}",
            where=worker,
            mend="`fumehood queue workers` shows the workers",
        )
    return get(connection, worker=worker)


def get(connection: Connection, *, worker: str) -> Worker:
    """Return a worker; raise NotFound."""
    row = connection.execute(select(tables.workers).where(tables.workers.c.id == worker)).first()
    if row is None:
        raise NotFound(f"There is no worker {worker}", where=worker)
    return value_of(row, WORKER)


def signs(connection: Connection) -> dict[str, datetime]:
    """Return the last sign of life of each worker that there is."""
    query = select(tables.workers.c.id, tables.workers.c.seen_at)
    return {row.id: row.seen_at for row in connection.execute(query)}


def alive(connection: Connection, *, since: datetime) -> tuple[Worker, ...]:
    """Return the workers seen at `since` or later."""
    query = select(tables.workers).where(tables.workers.c.seen_at >= since)
    return tuple(value_of(row, WORKER) for row in connection.execute(query))


def forget_others(connection: Connection, *, worker: str) -> None:
    """Forget every worker but this one: who holds the home alone knows that they are gone."""
    connection.execute(delete(tables.workers).where(tables.workers.c.id != worker))
