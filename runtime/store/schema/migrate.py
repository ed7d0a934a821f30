"""Bring the database to the schema of this release, under a lock."""

from importlib import import_module
from pathlib import Path

from sqlalchemy import Connection, Engine, column, inspect, select, table

from runtime.faults.errors import StoreNewer, StoreOlder
from runtime.store.schema import first_schema
from wheelhouse.locks import exclusive

MIGRATIONS = Path(__file__).parents[1] / "migrations"
APPLIED = table("alembic_version", column("version_num"))
RUN = "runtime.store.schema.upgrade"
"""Imported when there is something to do: alembic is a fifth of the imports of a start."""


def migrate(engine: Engine, *, lock_file: Path) -> None:
    """Run the migrations that are missing; other processes wait meanwhile."""
    with exclusive(lock_file), engine.begin() as connection:
        bring_up_to_date(connection)


def bring_up_to_date(connection: Connection) -> None:
    """Run the migrations that are missing; who calls this sees to it that nobody else does."""
    if applied(connection) == newest():
        return
    if first_schema.is_for(connection):
        first_schema.make(connection, applied=newest())
    else:
        import_module(RUN).upgrade(connection)


def refuse_newer(connection: Connection) -> None:
    """Raise StoreNewer where the database has seen migrations that this release does not know."""
    seen = applied(connection)
    if seen is not None and seen > newest():
        raise StoreNewer(
            f"The database has seen migration {seen}, and this version of ours knows {newest()}",
            where="the database",
            mend="install the version of fumehood that was used last, or a later one",
        )


def refuse_another(connection: Connection) -> None:
    """Raise StoreNewer or StoreOlder unless the schema is that of this release.

    A worker that brought it up to date would take the tables from under the appliance, which is
    older yet.
    """
    refuse_newer(connection)
    refuse_older(applied(connection))


def refuse_older(seen: str | None) -> None:
    """Raise StoreOlder unless `seen`, the last migration of a database, is this release's last."""
    if seen != newest():
        has = f"has seen migration {seen} of {newest()}" if seen else "has no tables of ours yet"
        raise StoreOlder(
            f"The database {has}, and only an appliance brings it up to date",
            where="the database",
            mend="start `fumehood up` of this version first, then its workers",
        )


def newest() -> str:
    """Return the number of the last migration of this release."""
    return max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def applied(connection: Connection) -> str | None:
    """Return the number of the last migration that the database has seen, None for none."""
    if not inspect(connection).has_table(APPLIED.name):
        return None
    return connection.execute(select(APPLIED.c.version_num)).scalar()
