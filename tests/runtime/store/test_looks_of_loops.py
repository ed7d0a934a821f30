"""What loops ask every second is read off an index that is empty where there is nothing to do."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event

from runtime.store import webhooks
from runtime.store.databases.store import Store
from runtime.store.jobs import questions
from runtime.store.lists import batches
from runtime.store.retention import sweeps
from runtime.store.retention.sweeps import Place

from ..conftest import NOON

LOOKS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "ends that nobody was told of": (webhooks.untold, {"limit": 9}),
    "batches that have ended": (batches.that_have_ended, {"limit": 9}),
    "deliveries that are due": (webhooks.due, {"at": NOON, "hosts": 9, "of_one": 4}),
    "questions that are overdue": (questions.overdue, {"at": NOON, "limit": 9}),
    "jobs that ended long ago": (
        sweeps.ended_before,
        {"at": NOON, "after": Place(NOON, "x"), "limit": 9},
    ),
}


@pytest.mark.parametrize("look", LOOKS)
async def test_a_look_scans_no_table(in_sqlite: Store, look: str) -> None:
    ask, keys = LOOKS[look]

    def plans(connection: Connection) -> list[str]:
        said: list[tuple[str, Any]] = []

        def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
            said.append((statement, parameters))

        event.listen(connection, "before_cursor_execute", note)
        ask(connection, **keys)
        event.remove(connection, "before_cursor_execute", note)
        return [
            row[3]
            for statement, parameters in said
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]

    told = await in_sqlite.read(plans)
    assert told
    scans = [one for one in told if one.startswith("SCAN") and "USING INDEX" not in one]
    assert not [one for one in scans if "USING COVERING INDEX" not in one], told
    assert not [one for one in told if "SCAN jobs" in one and "ix_jobs_untold" not in one], told
