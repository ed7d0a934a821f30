"""The store in a PostgreSQL that many processes share: one writer at a time, readers beside it.

What the functions of the store promise holds because nobody writes meanwhile. In one file SQLite
sees to that; here each transaction that writes first takes one advisory lock of the database
(https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS), which costs no
journey of its own. Readers see one moment of what is committed and wait for nobody.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Concatenate

from sqlalchemy import Connection

from runtime.faults.errors import SettingsRefused
from runtime.store.databases.apart.process import start
from runtime.store.databases.postgres_session import (
    TO_BE_KNOWN,
    AnswerLost,
    PostgresSession,
    number_in,
)
from runtime.store.databases.threaded import ThreadedStore
from runtime.store.databases.units import (
    BeforeCommit,
    Ended,
    InDoubt,
    OneRaised,
    Unit,
    called,
    run_together,
)
from runtime.store.schema.migrate import applied, bring_up_to_date, refuse_another

READERS = 4
WRITERS_LOCK, MIGRATIONS_LOCK = 0x46756D65, 0x46756D66
"""Numbers of advisory locks: any that others who use the database are unlikely to take."""
# READ COMMITTED: each statement sees what others committed before we had the lock. With one
# snapshot for the whole transaction it could be of a moment before that.
TO_WRITE = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; "
    f"SELECT pg_advisory_xact_lock({WRITERS_LOCK}), {TO_BE_KNOWN}"
)
# Who migrates is a writer, too: nobody of an older release writes while tables change. The lock of
# its own comes first, so that of several that start only one holds up the writers.
TO_MIGRATE = (
    f"BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({MIGRATIONS_LOCK}); "
    f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})"
)
TO_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresDatabase:
    """The database at `url`, an address as `postgresql://user@host/name`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def migrate(self) -> None:
        """Bring the database to the schema of this release; other processes wait meanwhile."""
        with closing(PostgresSession(self._url, answer_s=None)) as session:
            session.transact(_refuse_other_encodings, begin=TO_READ)
            session.transact(bring_up_to_date, begin=TO_MIGRATE)

    def check(self) -> None:
        """Raise StoreNewer or StoreOlder unless it has the schema of this release."""
        with closing(PostgresSession(self._url)) as session:
            session.transact(refuse_another, begin=TO_READ)

    def is_there(self) -> bool:
        """Return whether an appliance has ever used it."""
        with closing(PostgresSession(self._url)) as session:
            return session.transact(applied, begin=TO_READ) is not None

    def open(self, *, is_apart: bool = False) -> ThreadedStore:
        """Return the store in the database; many jobs are written by a process beside this one."""
        return ThreadedStore(
            PostgresWriter(self._url),
            new_reader=partial(PostgresReader, self._url),
            most=READERS,
            start=partial(start, self._url) if is_apart else None,
        )

    def once[**P, T](
        self, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `act(connection, …)` in one transaction."""
        with closing(PostgresSession(self._url)) as session:
            try:
                return session.transact(partial(called, act, args, kwargs), begin=TO_WRITE)
            except AnswerLost as lost:
                raise lost.as_error from lost


def _refuse_other_encodings(connection: Connection) -> None:
    """Raise SettingsRefused for a database that has no room for every text."""
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise SettingsRefused(
            f"The database is made for {encoding}, and what people write is in UTF8",
            where="database_url",
            mend="make another one: `createdb --encoding UTF8 --template template0 fumehood`",
        )


class PostgresReader:
    """Questions of one moment each."""

    def __init__(self, url: str) -> None:
        self._session = PostgresSession(url)

    def ask[T](self, question: Callable[[Connection], T]) -> T:
        """Return what `question` returns, of what is committed now."""
        return self._session.transact(question, begin=TO_READ)

    def close(self) -> None:
        """Let go of the database."""
        self._session.close()


class PostgresWriter:
    """Commits units together, as the one writer of the database meanwhile.

    The receipt of a transaction is its number.
    """

    def __init__(self, url: str, *, before_commit: BeforeCommit | None = None) -> None:
        self._session = PostgresSession(url)
        self._before_commit = before_commit

    def commit(self, units: Sequence[Unit]) -> list[Ended]:
        """Run `units` in one transaction, each within a savepoint where one of them raises."""
        try:
            return self._committed(partial(run_together, units=units))
        except OneRaised as error:
            if len(units) == 1:
                return [Ended(error=error.raised)]
        return self._committed(partial(_run_each_apart, units=units))

    def _committed(self, act: Callable[[Connection], list[Ended]]) -> list[Ended]:
        try:
            return self._session.transact(partial(self._sealed, act), begin=TO_WRITE)
        except AnswerLost as lost:
            was_kept = partial(self._session.became_of, lost.number)
            raise InDoubt(lost.value, was_kept=was_kept, as_error=lost.as_error) from lost

    def _sealed(
        self, act: Callable[[Connection], list[Ended]], connection: Connection
    ) -> list[Ended]:
        ended = act(connection)
        if self._before_commit is not None:
            self._before_commit(number_in(connection), ended)
        return ended

    def became_of(self, receipt: str) -> bool | None:
        """Return whether the transaction of this number was kept; None while nobody knows."""
        return self._session.became_of(receipt)

    def close(self) -> None:
        """Let go of the database."""
        self._session.close()


def _run_each_apart(connection: Connection, *, units: Sequence[Unit]) -> list[Ended]:
    return [_run_apart(connection, unit) for unit in units]


def _run_apart(connection: Connection, unit: Unit) -> Ended:
    """Run one unit; take back what it changed if it raises."""
    connection.exec_driver_sql("SAVEPOINT unit")
    try:
        ended = Ended(value=unit(connection))
    except Exception as error:
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT unit")
        ended = Ended(error=error)
    connection.exec_driver_sql("RELEASE SAVEPOINT unit")
    return ended
