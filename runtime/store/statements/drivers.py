"""Statements as they are handed to a database's own driver, beside SQLAlchemy.

The words are SQLAlchemy's, and so are the errors: whoever catches them need not know which way a
statement went.
"""

import sqlite3
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

type Row = Sequence[Any]


class Driver(Protocol):
    """A driver of a database; each raises DBAPIError as SQLAlchemy would."""

    listeners: int
    """How many of our own listen to what SQLAlchemy sends there."""

    def first(self, connection: Connection, text: str, values: Row) -> Row | None:
        """Return the first row that a statement finds."""
        ...

    def all(self, connection: Connection, text: str, values: Row) -> Sequence[Row]:
        """Return the rows that a statement finds."""
        ...

    def run(self, connection: Connection, text: str, values: Row) -> int:
        """Run a statement; return how many rows it has changed."""
        ...

    def run_each(self, connection: Connection, text: str, rows: Sequence[Row]) -> None:
        """Run a statement for each of `rows`."""
        ...


class SqliteDriver:
    """The `sqlite3` of Python."""

    listeners = 0

    def first(self, connection: Connection, text: str, values: Row) -> Row | None:
        """Return the first row that a statement finds."""
        return self._run(connection, text, values).fetchone()

    def all(self, connection: Connection, text: str, values: Row) -> Sequence[Row]:
        """Return the rows that a statement finds."""
        return self._run(connection, text, values).fetchall()

    def run(self, connection: Connection, text: str, values: Row) -> int:
        """Run a statement; return how many rows it has changed."""
        return self._run(connection, text, values).rowcount

    def run_each(self, connection: Connection, text: str, rows: Sequence[Row]) -> None:
        """Run a statement for each of `rows`."""
        try:
            self._raw(connection).executemany(text, rows)
        except sqlite3.Error as error:
            raise _as_always(error, text, rows, base=sqlite3.Error) from error

    def _run(self, connection: Connection, text: str, values: Row) -> sqlite3.Cursor:
        try:
            return self._raw(connection).execute(text, values)
        except sqlite3.Error as error:
            raise _as_always(error, text, values, base=sqlite3.Error) from error

    def _raw(self, connection: Connection) -> sqlite3.Connection:
        return cast(sqlite3.Connection, connection.connection.driver_connection)


class PostgresDriver:
    """asyncpg, from within SQLAlchemy's bridge to it (`AsyncConnection.run_sync`).

    SQLAlchemy's cursor there wraps each statement in a lock, a copy of its parameters, a cache and
    a description of its rows: 1.7 ms of the 8.1 that the twenty of a job took of two processes.
    """

    listeners = 1  # `postgres_session` puts U+FFFD in the place of NUL, as `_values` does here

    def first(self, connection: Connection, text: str, values: Row) -> Row | None:
        """Return the first row that a statement finds."""
        raw = self._raw(connection)
        return self._done(connection, text, values, raw.fetchrow(text, *cleaned(values)))

    def all(self, connection: Connection, text: str, values: Row) -> Sequence[Row]:
        """Return the rows that a statement finds."""
        raw = self._raw(connection)
        return self._done(connection, text, values, raw.fetch(text, *cleaned(values)))

    def run(self, connection: Connection, text: str, values: Row) -> int:
        """Run a statement; return how many rows it has changed."""
        raw = self._raw(connection)
        told = self._done(connection, text, values, raw.execute(text, *cleaned(values)))
        number = str(told).rpartition(" ")[2]  # as in INSERT 0 1
        return int(number) if number.isdigit() else -1

    def run_each(self, connection: Connection, text: str, rows: Sequence[Row]) -> None:
        """Run a statement for each of `rows`."""
        raw = self._raw(connection)
        clean = [cleaned(row) for row in rows]
        self._done(connection, text, rows, raw.executemany(text, clean))

    def _done(
        self, connection: Connection, text: str, values: Row, work: Coroutine[Any, Any, Any]
    ) -> Any:
        try:
            return await_only(work)
        except Exception as error:
            adapted: Any = connection.connection.dbapi_connection
            try:
                adapted._handle_exception(error)  # raises what SQLAlchemy takes it for
            except adapted.dbapi.Error as its:
                base = adapted.dbapi.Error
                raise _as_always(its, text, values, base=base) from error
            raise

    def _raw(self, connection: Connection) -> Any:
        return connection.connection.driver_connection


def cleaned(values: Row) -> Row:
    """Return `values` with U+FFFD for a NUL, of which PostgreSQL's text can hold none.

    >>> cleaned((1, "a"))[1], cleaned(("a", chr(0)))[1] == chr(0xFFFD)
    ('a', True)
    """
    if any(type(value) is str and "\0" in value for value in values):
        return tuple(
            value.replace("\0", "\ufffd") if type(value) is str else value for value in values
        )
    return values


def driver_of(connection: Connection) -> Driver:
    """Return the driver of the database that a connection leads to."""
    return DRIVERS[connection.dialect.name]


def _as_always(error: Exception, text: str, values: Row, *, base: type[Exception]) -> Exception:
    """Return the error that SQLAlchemy makes of one of the driver's."""
    return cast(Exception, DBAPIError.instance(text, cast(Any, values), error, base))


DRIVERS: Mapping[str, Driver] = {"sqlite": SqliteDriver(), "postgresql": PostgresDriver()}
