"""The database that a process of ours uses: a file in the home, or a PostgreSQL of many.

Which of the two is a setting, `database_url`; whoever has a `Store` need not know.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Concatenate, Protocol, cast

from sqlalchemy import Connection

from runtime.faults.errors import SettingsRefused
from runtime.store.databases.apart.process import start
from runtime.store.databases.sqlite import ask_sqlite, open_sqlite, sqlite_engine
from runtime.store.databases.store import Store
from runtime.store.schema.migrate import migrate, refuse_another, refuse_older

POSTGRES, DRIVER = "runtime.store.databases.postgres", "asyncpg"
"""Imported where it is used: asyncpg comes with an extra of its own."""


class Database(Protocol):
    """Where a store is kept."""

    def migrate(self) -> None:
        """Bring it to the schema of this release; blocks, as all of this does."""
        ...

    def check(self) -> None:
        """Change nothing; raise StoreNewer or StoreOlder unless it has this release's schema."""
        ...

    def open(self, *, is_apart: bool = False) -> Store:
        """Return the store in it; what comes with many jobs is written apart, if that may be."""
        ...

    def is_there(self) -> bool:
        """Return whether it has any tables of ours."""
        ...

    def once[**P, T](
        self, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `act(connection, …)` in one transaction, for a command that does no more."""
        ...


class SqliteFile:
    """A store in the file `path`; `lock_file` is held while its schema changes."""

    def __init__(self, path: Path, *, lock_file: Path) -> None:
        self._path = path
        self._lock_file = lock_file

    def migrate(self) -> None:
        """Bring the file to the schema of this release."""
        engine = sqlite_engine(self._path)
        try:
            migrate(engine, lock_file=self._lock_file)
        finally:
            engine.dispose()

    def check(self) -> None:
        """Raise StoreNewer or StoreOlder unless the file has the schema of this release."""
        if not self.is_there():
            refuse_older(None)  # to open it would make it
        ask_sqlite(self._path, refuse_another)

    def is_there(self) -> bool:
        """Return whether an appliance has ever used it; the file alone may be made before."""
        return self._path.is_file() and self._path.stat().st_size > 0

    def open(self, *, is_apart: bool = False) -> Store:
        """Return the store in the file; many jobs are written by a process beside this one."""
        path = str(self._path.absolute())
        return open_sqlite(self._path, start=partial(start, path) if is_apart else None)

    def once[**P, T](
        self, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `act(connection, …)` in one transaction."""
        engine = sqlite_engine(self._path)
        try:
            with engine.begin() as connection:
                return act(connection, *args, **kwargs)
        finally:
            engine.dispose()


def database_at(url: str, *, home: Path) -> Database:
    """Return the database at `url`; that of the home where it is empty. Raises SettingsRefused."""
    if not url:
        return SqliteFile(home / "fumehood.db", lock_file=home / "migrate.lock")
    if find_spec(DRIVER) is None:
        raise SettingsRefused(
            "PostgreSQL needs asyncpg, which is not installed",
            where="database_url",
            mend="install it beside the appliance: `pip install 'fumehood[postgres]'`",
        )
    return cast(Database, import_module(POSTGRES).PostgresDatabase(url))
