"""The store in one SQLite file: one writer that commits in groups, and readers beside it.

SQLite has one writer at a time anyway, and a hop to its thread for each transaction is three
times as fast as a hop for each statement. In WAL mode readers see what is committed and wait for
nobody (https://sqlite.org/wal.html): a list of a million jobs does not hold up a submission.
"""

import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from runtime.store.databases.threaded import ThreadedStore
from runtime.store.databases.units import BeforeCommit, Ended, OneRaised, Unit, run_together
from runtime.store.databases.writers import Start
from runtime.store.statements.json_text import from_text, to_text

BUSY_TIMEOUT_MS = 10_000
READERS = 2
MARKS = 1 << 31
"""SQLite keeps a mark in 32 bits with a sign."""
TO_WRITE, TO_READ = "BEGIN IMMEDIATE", "BEGIN"
PAGES_IN_LOG = 4000
"""From how many pages on the log is copied into the file, which flushes both to the disk: each
thousand were 23 jobs."""


class SqliteReader:
    """Questions of one moment each, through a connection of `engine` that it keeps."""

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.connect()

    def ask[T](self, question: Callable[[Connection], T]) -> T:
        """Return what `question` returns, of what is committed now."""
        with _transaction(self._connection, begin=TO_READ):
            return question(self._connection)

    def close(self) -> None:
        """Close the file; a connection alone would go back to the engine, and stay open there."""
        self._connection.close()
        self._connection.engine.dispose()


class SqliteWriter:
    """Commits through `engine`, in one connection that it keeps.

    Where there is something to do before a commit, its receipt is a mark that it leaves.
    """

    def __init__(self, engine: Engine, *, before_commit: BeforeCommit | None = None) -> None:
        self._engine = engine
        self._before_commit = before_commit
        self._connection: Connection | None = None

    def commit(self, units: Sequence[Unit]) -> list[Ended]:
        """Run `units` in one transaction, each within a savepoint where one of them raises.

        See https://sqlite.org/lang_savepoint.html.
        """
        connection = self._connection = self._connection or self._engine.connect()
        try:
            return self._committed(connection, units)
        except BaseException as error:
            connection.invalidate()  # after a full disk or the like: begin again with a new one
            connection.rollback()  # what SQLAlchemy began with the old one
            return [Ended(error=error) for _ in units]

    def _committed(self, connection: Connection, units: Sequence[Unit]) -> list[Ended]:
        try:
            with _transaction(connection, begin=TO_WRITE) as driver:
                ended = run_together(connection, units=units)
                self._seal(driver, ended)
            return ended
        except OneRaised as error:
            if len(units) == 1:
                return [Ended(error=error.raised)]
        with _transaction(connection, begin=TO_WRITE) as driver:
            ended = [_run_apart(connection, unit, driver=driver) for unit in units]
            self._seal(driver, ended)
        return ended

    def _seal(self, driver: sqlite3.Connection, ended: list[Ended]) -> None:
        if self._before_commit is not None:
            mark = (_mark(driver) + 1) % MARKS
            driver.execute(f"PRAGMA user_version={mark}")
            self._before_commit(str(mark), ended)

    def became_of(self, receipt: str) -> bool | None:
        """Return whether the last transaction that left a mark is that of `receipt`."""
        try:
            connection = self._connection = self._connection or self._engine.connect()
            return str(_mark(_driver_of(connection))) == receipt
        except (sqlite3.Error, DBAPIError):
            return None

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()


def _mark(driver: sqlite3.Connection) -> int:
    """Return the number that marks the last transaction of a writer that leaves some."""
    (mark,) = driver.execute("PRAGMA user_version").fetchone()
    return mark


def _driver_of(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def _run_apart(connection: Connection, unit: Unit, *, driver: sqlite3.Connection) -> Ended:
    """Run one unit; take back what it changed if it raises."""
    driver.execute("SAVEPOINT unit")
    try:
        ended = Ended(value=unit(connection))
    except Exception as error:
        driver.execute("ROLLBACK TO unit")
        ended = Ended(error=error)
    driver.execute("RELEASE unit")
    return ended


@contextmanager
def _transaction(connection: Connection, *, begin: str) -> Generator[sqlite3.Connection]:
    """Begin a transaction and commit it, in the driver's own words; raises OperationalError.

    SQLAlchemy's way is an event for each begin, and an engine with an event looks for listeners
    around every statement: a sixth of what the store does for a job.
    """
    driver = _driver_of(connection)
    try:
        driver.execute(begin)
        try:
            yield driver
        except BaseException:
            driver.rollback()
            connection.rollback()  # SQLAlchemy thinks that it had begun one
            raise
        driver.execute("COMMIT")
    except sqlite3.Error as error:
        raise OperationalError(begin, None, error) from error


def open_sqlite(path: Path, *, start: Start | None = None) -> ThreadedStore:
    """Return the store in the file `path`, which is made if need be.

    `start` starts a process that writes into it, too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new_reader = partial(SqliteReader, _reading_engine(path))
    return ThreadedStore(
        SqliteWriter(engine_on(path)),
        new_reader=new_reader,
        most=READERS,
        start=start,
    )


def ask_sqlite[T](path: Path, question: Callable[[Connection], T]) -> T:
    """Return what `question` returns of the file `path`, which is there, and changes nothing."""
    with closing(SqliteReader(_reading_engine(path))) as reader:
        return reader.ask(question)


def sqlite_engine(path: Path) -> Engine:
    """Return an engine on `path` whose transactions begin as writers, for one command."""
    engine = engine_on(path)
    event.listen(engine, "begin", _begin_as_writer)
    return engine


def _reading_engine(path: Path) -> Engine:
    """Return an engine on `path` that can change nothing."""
    engine = engine_on(path)
    event.listen(engine, "connect", _only_read)
    return engine


def engine_on(path: Path, *, busy_ms: int = BUSY_TIMEOUT_MS) -> Engine:
    """Return an engine on `path` whose connections begin no transaction by themselves.

    Whoever else writes is waited for as long as `busy_ms`.
    """
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"check_same_thread": False},
        json_serializer=to_text,
        json_deserializer=from_text,
    )
    event.listen(engine, "connect", partial(_prepare, busy_ms=busy_ms))
    return engine


def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry, *, busy_ms: int) -> None:
    # sqlite3 must not begin transactions by itself: it would begin them as readers, and
    # a reader that turns writer can fail at once with SQLITE_BUSY.
    connection.isolation_level = None
    _set(
        connection,
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        # What a savepoint would bring back goes to a file in /var/tmp from 64 KB on, otherwise.
        "temp_store=MEMORY",
        f"wal_autocheckpoint={PAGES_IN_LOG}",
        f"busy_timeout={busy_ms}",
    )


def _only_read(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    _set(connection, "query_only=ON")


def _set(connection: DBAPIConnection, *pragmas: str) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_as_writer(connection: Connection) -> None:
    connection.exec_driver_sql(TO_WRITE)
