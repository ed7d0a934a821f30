"""Statements of the way of each job: made once for each database, and run without a detour.

SQLAlchemy looks up, keys and wraps anew whenever a statement runs: 45 to 65 us, three times of what
SQLite takes for it, and a job has twenty. So SQLite is handed the words that SQLAlchemy made of
the same statement, through its own types. PostgreSQL, where a journey costs more than all that,
runs it as any other.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.selectable import Select
from sqlalchemy.types import TypeEngine

from frozen.values import frozen

type Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete
type Keys = Mapping[str, Any]
type Process = Callable[[Any], Any]


@frozen
class _Words:
    """What is said to the driver, and what is made of values on their way there and back."""

    text: str
    names: tuple[str, ...]
    fixed: Keys
    to: tuple[tuple[int, Process], ...]
    back: tuple[tuple[int, Process], ...]
    row: Callable[[Sequence[Any]], Any]

    def values(self, keys: Keys) -> Sequence[Any]:
        """Return what stands for the marks in the text, in their order."""
        fixed = self.fixed
        values = [keys[name] if name in keys else fixed[name] for name in self.names]
        for place, process in self.to:
            values[place] = process(values[place])
        return values

    def made(self, found: Sequence[Any]) -> Any:
        """Return a row as SQLAlchemy would: by the names of its columns, of their types."""
        values = list(found)
        for place, process in self.back:
            values[place] = process(values[place])
        return self.row(values)


class Prepared:
    """A statement that every job runs; `keys` are its bound parameters, or columns of an insert."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._words: dict[tuple[str, ...], _Words] = {}

    def first(self, connection: Connection, keys: Keys) -> Any:
        """Return the first row that it finds, None for none."""
        if _is_sent_as_always(connection):
            return connection.execute(self._statement, dict(keys)).first()
        words = self._words_for(keys, dialect=connection.dialect)
        found = _run(connection, words, words.values(keys)).fetchone()
        return None if found is None else words.made(found)

    def all(self, connection: Connection, keys: Keys) -> Sequence[Any]:
        """Return the rows that it finds."""
        if _is_sent_as_always(connection):
            return connection.execute(self._statement, dict(keys)).all()
        words = self._words_for(keys, dialect=connection.dialect)
        return [words.made(one) for one in _run(connection, words, words.values(keys))]

    def scalar(self, connection: Connection, keys: Keys) -> Any:
        """Return the first column of the first row, None for none."""
        row = self.first(connection, keys)
        return None if row is None else row[0]

    def run(self, connection: Connection, keys: Keys) -> int:
        """Change what it changes; return how many rows that were."""
        if _is_sent_as_always(connection):
            return connection.execute(self._statement, dict(keys)).rowcount
        words = self._words_for(keys, dialect=connection.dialect)
        return _run(connection, words, words.values(keys)).rowcount

    def run_each(self, connection: Connection, rows: Sequence[Keys]) -> None:
        """Change what it changes, for each of `rows`, which have the same keys."""
        if _is_sent_as_always(connection):
            connection.execute(self._statement, [dict(one) for one in rows])
        elif rows:
            words = self._words_for(rows[0], dialect=connection.dialect)
            _run_many(connection, words, [words.values(one) for one in rows])

    def _words_for(self, keys: Keys, *, dialect: Dialect) -> _Words:
        """Return the words for these keys: an insert or an update names the columns of its keys."""
        known = tuple(keys)
        words = self._words.get(known)
        if words is None:
            words = self._words[known] = _words_of(self._statement, known, dialect=dialect)
        return words


def _words_of(statement: Statement, keys: Sequence[str], *, dialect: Dialect) -> _Words:
    compiled = statement.compile(dialect=dialect, column_keys=sorted(keys))
    names = tuple(compiled.positiontup or ())
    columns = list(statement.exported_columns)
    binds = [compiled.binds[name].type for name in names]
    return _Words(
        text=str(compiled),
        names=names,
        fixed={name: one.value for name, one in compiled.binds.items() if not one.required},
        to=_processes(binds, lambda one: one.bind_processor(dialect), dialect=dialect),
        back=_processes(
            [one.type for one in columns],
            lambda one: one.result_processor(dialect, None),
            dialect=dialect,
        ),
        row=_row_of([str(one.key) for one in columns]),
    )


def _row_of(names: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    """Return what makes a row of values: its columns are attributes, as those of SQLAlchemy's."""
    named: Any = namedtuple("named", names, rename=True)  # pyright: ignore[reportUntypedNamedTuple]
    row: Any = type("Row", (named,), {"__slots__": (), "_mapping": property(named._asdict)})
    return row._make


def _processes(
    types: Sequence[TypeEngine[Any]],
    process_of: Callable[[TypeEngine[Any]], Process | None],
    *,
    dialect: Dialect,
) -> tuple[tuple[int, Process], ...]:
    """Return what is done to values of these types, by their places; to most nothing is."""
    found = ((place, process_of(one.dialect_impl(dialect))) for place, one in enumerate(types))
    return tuple((place, process) for place, process in found if process is not None)


def _is_sent_as_always(connection: Connection) -> bool:
    """Return whether SQLAlchemy runs it: on PostgreSQL, and where somebody listens to it."""
    return connection.dialect.name != "sqlite" or bool(connection.dispatch.before_cursor_execute)


def _run(connection: Connection, words: _Words, values: Sequence[Any]) -> sqlite3.Cursor:
    try:
        return _driver_of(connection).execute(words.text, values)
    except sqlite3.Error as error:
        raise _as_always(error, words, values) from error


def _run_many(connection: Connection, words: _Words, rows: Sequence[Sequence[Any]]) -> None:
    try:
        _driver_of(connection).executemany(words.text, rows)
    except sqlite3.Error as error:
        raise _as_always(error, words, rows) from error


def _driver_of(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def _as_always(error: sqlite3.Error, words: _Words, values: Sequence[Any]) -> Exception:
    """Return the error that SQLAlchemy makes of one of the driver's."""
    told = DBAPIError.instance(words.text, cast(Any, values), error, sqlite3.Error)
    return cast(Exception, told)
