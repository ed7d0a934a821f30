"""The schema of a new file, made at once: as if every migration had run on nothing.

Alembic's imports and eight migrations were a third of a `fumehood try`, which has a new file each
time, and to write 35 tables out as SQL a fortieth: so `first_schema.sql` has the words. Tests hold
it against the tables in the code and, row by row, against the migrations.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect

WORDS = Path(__file__).with_suffix(".sql")
END = ";\n"


def is_for(connection: Connection) -> bool:
    """Return whether the database is a new file; a PostgreSQL is made once, and by migrations."""
    return connection.dialect.name == "sqlite" and not inspect(connection).get_table_names()


def make(connection: Connection, *, applied: str) -> None:
    """Make all tables, the rows that are there from the start, and note `applied` as the last."""
    for statement in WORDS.read_text("utf-8").split(END):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (applied,))
