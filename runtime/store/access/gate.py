"""The network gate: one row, as an admin left it."""

from datetime import datetime

from sqlalchemy import Connection, select

from packages.lock.grant import CLOSED_BY_DEFAULT
from runtime.store.schema import tables
from runtime.store.statements import upsert
from runtime.store.statements.prepared import Prepared
from runtime.store.statements.rows import GATE, plain, value_of
from runtime.values.records import Gate

ROW = 1
THE_GATE = Prepared(select(tables.gate).where(tables.gate.c.id == ROW))


def get(connection: Connection) -> Gate:
    """Return the gate; it is closed until somebody opens it."""
    row = THE_GATE.first(connection, {})
    return value_of(row, GATE) if row else CLOSED


def put(connection: Connection, *, gate: Gate) -> Gate:
    """Replace the gate."""
    values = {
        **plain(gate, GATE),
        "until": gate.until,
        "changed_at": gate.changed_at,
    }
    upsert.put(connection, tables.gate, key={"id": ROW}, values=values)
    return gate


CLOSED = Gate(
    is_open=False,
    until=None,
    reason=CLOSED_BY_DEFAULT.reason,
    who=CLOSED_BY_DEFAULT.who,
    packages=(),
    changed_at=datetime.fromisoformat("1970-01-01T00:00:00+00:00"),
)
