"""The store in one SQLite file: one writer that commits in groups, and readers beside it.

SQLite has one writer at a time anyway, and a hop to its thread for each transaction is three
times as fast as a hop for each statement. In WAL mode readers see what is committed and wait for
nobody (https://sqlite.org/wal.html): a list of a million jobs does not hold up a submission.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Concatenate

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from runtime.store.group_commit import GroupCommit
from runtime.store.units import Ended, Unit, called

BUSY_TIMEOUT_MS = 10_000
READERS = 2


class SqliteStore:
    """A store in one file. Made by `open_sqlite`."""

    def __init__(self, *, writing: Engine, reading: Engine) -> None:
        self._reading = reading
        self._writer = GroupCommit(SqliteWriter(writing))
        self._at_hand = threading.local()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="fumehood-reader")

    async def run[**P, T](
        self, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `act(connection, …)` in a transaction; a cancelled caller does not undo it."""
        return await self._writer.add(partial(called, act, args, kwargs))

    async def read[**P, T](
        self, ask: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `ask(connection, …)`, which changes nothing, beside the writer."""
        work = partial(self._read, partial(called, ask, args, kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    def _read[T](self, ask: Callable[[Connection], T]) -> T:
        # Each thread keeps its connection: to have one from the pool costs as much as a question.
        connection: Connection | None = getattr(self._at_hand, "connection", None)
        if connection is None:
            connection = self._at_hand.connection = self._reading.connect()
        with connection.begin():
            return ask(connection)

    async def close(self) -> None:
        """Finish what is under way and close the file."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._readers.shutdown(wait=True)
        self._reading.dispose()
        self._writer.close()


class SqliteWriter:
    """Commits through `engine`, in one connection that it keeps."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def commit(self, units: Sequence[Unit]) -> list[Ended]:
        """Run `units` in one transaction, each within a savepoint of its own.

        See https://sqlite.org/lang_savepoint.html.
        """
        connection = self._connection = self._connection or self._engine.connect()
        try:
            with connection.begin():
                return [_run_apart(connection, unit) for unit in units]
        except BaseException as error:
            connection.invalidate()  # after a full disk or the like: begin again with a new one
            return [Ended(error=error) for _ in units]

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()


def _run_apart(connection: Connection, unit: Unit) -> Ended:
    """Run one unit; take back what it changed if it raises."""
    driver = connection.connection.dbapi_connection
    if driver is None:
        raise RuntimeError("a unit of work runs within a transaction, which has a connection")
    cursor = driver.cursor()
    cursor.execute("SAVEPOINT unit")
    try:
        ended = Ended(value=unit(connection))
    except Exception as error:
        cursor.execute("ROLLBACK TO unit")
        ended = Ended(error=error)
    cursor.execute("RELEASE unit")
    cursor.close()
    return ended


def open_sqlite(path: Path) -> SqliteStore:
    """Return the store in the file `path`, which is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return SqliteStore(writing=sqlite_engine(path), reading=_reading_engine(path))


def sqlite_engine(path: Path) -> Engine:
    """Return an engine on `path` whose transactions begin as writers, in WAL mode."""
    engine = _engine(path)
    event.listen(engine, "begin", _begin_as_writer)
    return engine


def _reading_engine(path: Path) -> Engine:
    """Return an engine on `path` that can change nothing."""
    engine = _engine(path)
    event.listen(engine, "connect", _only_read)
    event.listen(engine, "begin", _begin_as_reader)
    return engine


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # sqlite3 must not begin transactions by itself: it would begin them as readers, and
    # a reader that turns writer can fail at once with SQLITE_BUSY.
    connection.isolation_level = None
    _set(
        connection,
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    )


def _only_read(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    _set(connection, "query_only=ON")


def _set(connection: DBAPIConnection, *pragmas: str) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_as_writer(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_as_reader(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
