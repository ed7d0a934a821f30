"""The store in one SQLite file: every unit of work is one hop to one thread.

One thread, because a hop per transaction is three times as fast as a hop per statement,
and because SQLite has one writer anyway. WAL lets other processes read meanwhile.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Concatenate

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_TIMEOUT_MS = 10_000


class SqliteStore:
    """A store in one file. Made by `open_sqlite`."""

    def __init__(self, engine: Engine, *, thread: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._thread = thread

    async def run[**P, T](
        self, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `act(connection, …)` in a transaction in the writer thread."""
        work = partial(self._transact, partial(act, *args, **kwargs))
        # Shielded, so that a cancelled caller never leaves a half-waited transaction behind.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))

    def _transact[T](self, act: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return act(connection)

    async def close(self) -> None:
        """Finish what is under way and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown(wait=True)


def open_sqlite(path: Path) -> SqliteStore:
    """Return the store in the file `path`, which is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fumehood-store")
    return SqliteStore(sqlite_engine(path), thread=thread)


def sqlite_engine(path: Path) -> Engine:
    """Return an engine on `path` whose transactions begin as writers, in WAL mode."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin_as_writer)
    return engine


def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # sqlite3 must not begin transactions by itself: it would begin them as readers, and
    # a reader that turns writer can fail at once with SQLITE_BUSY.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_as_writer(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
