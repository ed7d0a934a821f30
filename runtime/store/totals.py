"""Totals that only ever rise, whatever is deleted, tried again or restarted.

A total is added to where the thing itself is kept, in the same transaction, or by the heartbeat of
the process that counted it: so it is right for many processes, and after restarts.
"""

import json
from collections.abc import Iterable

from sqlalchemy import Connection, text

from runtime.values.states import State
from runtime.values.totals import Total

# Upserts as SQLite and PostgreSQL both read them; a statement of one dialect would be two.
ADD_ENDING = text(
    "INSERT INTO job_endings (package, state, value) VALUES (:package, :state, 1) "
    "ON CONFLICT (package, state) DO UPDATE SET value = job_endings.value + 1"
)
ADD_TOTAL = text(
    "INSERT INTO totals (name, labels, value) VALUES (:name, :labels, :more) "
    "ON CONFLICT (name, labels) DO UPDATE SET value = totals.value + excluded.value"
)


def count_ending(connection: Connection, *, package: str, state: State) -> None:
    """Count one more job of `package` that came to an end, maybe the first one."""
    connection.execute(ADD_ENDING, {"package": package, "state": state.value})


def add(connection: Connection, *, more: Iterable[Total]) -> None:
    """Add to totals what was counted since."""
    rows = [
        {"name": one.name, "labels": json.dumps(dict(one.labels)), "more": one.value}
        for one in more
    ]
    if rows:
        connection.execute(ADD_TOTAL, rows)
