"""Rows that may be there already. One writer at a time, so to look first is enough.

Each database has an upsert of its own dialect; these are the same statements in all of them.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, and_, select


def put(
    connection: Connection, table: Table, *, key: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Change the row with `key` to `values`, or add it."""
    found = connection.execute(table.update().where(_has(table, key)).values(values))
    if found.rowcount == 0:
        connection.execute(table.insert().values({**key, **values}))


def add_once(
    connection: Connection, table: Table, *, key: Mapping[str, Any], values: Mapping[str, Any]
) -> bool:
    """Add a row unless there is one with `key`; return whether it was added."""
    if connection.execute(select(1).select_from(table).where(_has(table, key))).first():
        return False
    connection.execute(table.insert().values({**key, **values}))
    return True


def _has(table: Table, key: Mapping[str, Any]) -> Any:
    return and_(*(table.c[name] == value for name, value in key.items()))
