"""A new file has the tables that the code knows, whichever way it came to them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Insert, inspect, text
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from runtime.faults.errors import StoreNewer, StoreOlder
from runtime.store.databases.database import SqliteFile
from runtime.store.databases.sqlite import sqlite_engine
from runtime.store.schema import first_schema
from runtime.store.schema.migrate import applied, migrate, newest
from runtime.store.schema.tables import counters
from runtime.store.schema.tables_around import totals
from runtime.store.schema.tables_when import metadata
from runtime.store.schema.upgrade import upgrade

INDEXES = text(
    "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :of AND sql <> ''"
)


@pytest.fixture
def migrated(tmp_path: Path) -> Iterator[Connection]:
    """A file that began with the first migration, as those of older releases did."""
    engine = sqlite_engine(tmp_path / "migrated.db")
    with engine.begin() as connection:
        upgrade(connection)
        yield connection
    engine.dispose()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Connection]:
    """A new file of this release; it is opened twice, as a home is."""
    engine = sqlite_engine(tmp_path / "made.db")
    for _ in range(2):
        migrate(engine, lock_file=tmp_path / "lock")
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def whole(connection: Connection) -> dict[str, Any]:
    """Return all that there is in a file: columns, keys and rows of each table."""
    seen = inspect(connection)
    return {
        name: (
            {one["name"]: repr(one) for one in seen.get_columns(name)},
            seen.get_pk_constraint(name)["constrained_columns"],
            sorted(connection.execute(INDEXES, {"of": name}).scalars()),
            sorted(map(repr, seen.get_foreign_keys(name))),
            sorted(map(repr, seen.get_unique_constraints(name))),
            sorted(map(repr, connection.execute(text(f'SELECT * FROM "{name}"')))),
        )
        for name in seen.get_table_names()
    }


def test_the_migrations_make_exactly_the_tables_in_the_code(migrated: Connection) -> None:
    context = MigrationContext.configure(migrated)
    assert compare_metadata(context, metadata) == []
    assert context.get_current_revision() == newest() == applied(migrated)


def test_the_words_of_a_new_file_are_those_of_the_tables_in_the_code() -> None:
    """After a change of tables: FUMEHOOD_GOLDEN=write scripts/test, and review the diff."""
    tables = [
        made
        for table in metadata.sorted_tables
        for made in (CreateTable(table), *map(CreateIndex, sorted(table.indexes, key=name_of)))
    ]
    rows = [
        *(counters.insert().values(name=f"jobs-{state}", value=0) for state in COUNTED),
        totals.insert().values(name="gate_fetches", labels="{}", value=0),
    ]
    wanted = first_schema.END.join([*map(written, tables), NOTED, *map(written, rows)]) + "\n"
    if os.environ.get("FUMEHOOD_GOLDEN") == "write":
        first_schema.WORDS.write_text(wanted)
    assert first_schema.WORDS.read_text() == wanted


COUNTED = ("queued", "succeeded", "failed", "cancelled")
NOTED = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


def name_of(index: Any) -> str:
    return str(index.name)


def written(statement: CreateTable | CreateIndex | Insert) -> str:
    made = statement.compile(dialect=dialect(), compile_kwargs={"literal_binds": True})
    lines = str(made).strip().splitlines()
    return "\n".join(line.replace("\t", "  ").rstrip() for line in lines)


def test_who_only_looks_at_a_file_neither_makes_nor_changes_it(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "fumehood.db", lock_file=tmp_path / "lock")
    with pytest.raises(StoreOlder, match="no tables of ours yet"):
        file.check()
    assert not list(tmp_path.iterdir())
    file.migrate()
    file.check()
    for version, fault in (("0001", StoreOlder), ("9999", StoreNewer)):
        file.once(set_version, version)
        with pytest.raises(fault, match=version):
            file.check()
        assert file.once(applied) == version


def set_version(connection: Connection, version: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": version})


def test_a_new_file_is_as_if_every_migration_had_run(
    migrated: Connection, made: Connection
) -> None:
    assert whole(made) == whole(migrated)
