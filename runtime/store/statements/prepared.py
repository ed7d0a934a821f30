"""Statements of the way of each job: made once for each database, and run without a detour.

SQLAlchemy looks up, keys and wraps anew whenever a statement runs: 45 to 65 us, three times of what
SQLite takes for it, and a job has twenty. So the database's driver is handed the words that
SQLAlchemy made of the same statement, through its own types.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.selectable import Select
from sqlalchemy.types import TypeEngine

from frozen.values import frozen
from runtime.store.statements.drivers import driver_of

type Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete
type Keys = Mapping[str, Any]
type Process = Callable[[Any], Any]
HAS_EVENTS = "_has_events"
SERIALIZER = "_json_serializer"
"""How an engine writes JSON: two of a process may do so differently."""
FLOAT8 = 701
"""PostgreSQL's number of the one kind of column whose way back depends on it (pg_type.dat)."""


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
        self._words: dict[tuple[object, ...], _Words] = {}

    def first(self, connection: Connection, keys: Keys) -> Any:
        """Return the first row that it finds, None for none."""
        if _is_sent_as_always(connection):
            return connection.execute(self._statement, dict(keys)).first()
        words = self._words_for(keys, dialect=connection.dialect)
        found = driver_of(connection).first(connection, words.text, words.values(keys))
        return None if found is None else words.made(found)

    def all(self, connection: Connection, keys: Keys) -> Sequence[Any]:
        """Return the rows that it finds."""
        if _is_sent_as_always(connection):
            return connection.execute(self._statement, dict(keys)).all()
        words = self._words_for(keys, dialect=connection.dialect)
        found = driver_of(connection).all(connection, words.text, words.values(keys))
        return [words.made(one) for one in found]

    def scalar(self, connection: Connection, keys: Keys) -> Any:
        """Return the first column of the first row, None for none."""
        row = self.first(connection, keys)
        return None if row is None else row[0]

    def run(self, connection: Connection, keys: Keys) -> int:
        """Change what it changes; return how many rows that were."""
        if _is_sent_as_always(connection):
            return connection.execute(self._statement, dict(keys)).rowcount
        words = self._words_for(keys, dialect=connection.dialect)
        return driver_of(connection).run(connection, words.text, words.values(keys))

    def run_each(self, connection: Connection, rows: Sequence[Keys]) -> None:
        """Change what it changes, for each of `rows`, which have the same keys."""
        if _is_sent_as_always(connection):
            connection.execute(self._statement, [dict(one) for one in rows])
        elif rows:
            words = self._words_for(rows[0], dialect=connection.dialect)
            values = [words.values(one) for one in rows]
            driver_of(connection).run_each(connection, words.text, values)

    def _words_for(self, keys: Keys, *, dialect: Dialect) -> _Words:
        """Return the words for these keys: an insert or an update names the columns of its keys."""
        known = (dialect.name, getattr(dialect, SERIALIZER, None), *keys)
        words = self._words.get(known)
        if words is None:
            words = self._words[known] = _words_of(self._statement, tuple(keys), dialect=dialect)
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
            lambda one: one.result_processor(dialect, FLOAT8),
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
    """Return whether SQLAlchemy runs it: where somebody else listens to what it sends.

    It asks itself first whether anybody listens to anything, which costs a tenth of the question.
    """
    engine = connection.engine
    if not (getattr(connection, HAS_EVENTS, True) or getattr(engine, HAS_EVENTS, True)):
        return False
    return len(connection.dispatch.before_cursor_execute) > driver_of(connection).listeners
