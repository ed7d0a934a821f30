"""Workers and their signs of life."""

from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from runtime.store import tables
from runtime.store.rows import WORKER, plain, value_of
from runtime.values.records import Worker


def register(connection: Connection, *, worker: Worker) -> None:
    """Keep a worker that has just started."""
    times = {"started_at": worker.started_at, "seen_at": worker.seen_at}
    connection.execute(tables.workers.insert().values(plain(worker, WORKER) | times))


def see(connection: Connection, *, worker: str, at: datetime) -> None:
    """Note a sign of life."""
    connection.execute(
        update(tables.workers).where(tables.workers.c.id == worker).values(seen_at=at)
    )


def forget(connection: Connection, *, worker: str) -> None:
    """Forget a worker that has stopped."""
    connection.execute(delete(tables.workers).where(tables.workers.c.id == worker))


def alive(connection: Connection, *, since: datetime) -> tuple[Worker, ...]:
    """Return the workers seen at `since` or later."""
    query = select(tables.workers).where(tables.workers.c.seen_at >= since)
    return tuple(value_of(row, WORKER) for row in connection.execute(query))


def forget_others(connection: Connection, *, worker: str) -> None:
    """Forget every worker but this one: who holds the home alone knows that they are gone."""
    connection.execute(delete(tables.workers).where(tables.workers.c.id != worker))
