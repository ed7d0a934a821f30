"""The schema of a new file, made at once: as if every migration had run on nothing.

Alembic's imports and eight migrations were a third of a `fumehood try`, which has a new file each
time. A test holds the two ways against each other, table by table and row by row.
"""

from sqlalchemy import Connection, inspect

from runtime.store.schema.tables import counters
from runtime.store.schema.tables_around import totals
from runtime.store.schema.tables_when import metadata

COUNTED = ("queued", "succeeded", "failed", "cancelled")


def is_for(connection: Connection) -> bool:
    """Return whether the database is a new file; a PostgreSQL is made once, and by migrations."""
    return connection.dialect.name == "sqlite" and not inspect(connection).get_table_names()


def make(connection: Connection, *, applied: str) -> None:
    """Make all tables, the rows that are there from the start, and note `applied` as the last."""
    metadata.create_all(connection, checkfirst=False)
    begun = [{"name": f"jobs-{state}", "value": 0} for state in COUNTED]
    connection.execute(counters.insert(), begun)
    connection.execute(totals.insert().values(name="gate_fetches", labels="{}", value=0))
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (applied,))
