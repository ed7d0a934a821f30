"""How many jobs there are in each state; of those that have ended, counted as they end.

To count a million ended jobs took 130 ms for each page. Those that run or wait are few.
"""

from sqlalchemy import Connection, bindparam, func, select, update

from runtime.store import totals
from runtime.store.schema import tables
from runtime.store.schema.tables_around import job_endings
from runtime.store.statements.in_sight import sight_of
from runtime.store.statements.prepared import Prepared
from runtime.values.access import EVERYTHING, Sight
from runtime.values.states import FINAL, State

PREFIX = "jobs-"
COUNTED = FINAL | {State.QUEUED}
"""The states that have a counter; that of the queued is the bound of the queue (`admission`)."""

ADD = Prepared(
    update(tables.counters)
    .where(tables.counters.c.name == bindparam("counter"))
    .values(value=tables.counters.c.value + bindparam("more"))
)
ONE_MORE = Prepared(
    update(job_endings)
    .where(
        job_endings.c.package == bindparam("of_package"),
        job_endings.c.state == bindparam("of_state"),
    )
    .values(value=job_endings.c.value + 1)
)
ALL = select(tables.counters.c.name, tables.counters.c.value).where(
    tables.counters.c.name.in_(sorted(PREFIX + state for state in COUNTED))
)


def ended(connection: Connection, *, state: State, package: str) -> None:
    """Count one more job of `package` that has come to `state`."""
    ADD.run(connection, {"counter": PREFIX + state, "more": 1})
    if not ONE_MORE.run(connection, {"of_package": package, "of_state": state.value}):
        totals.count_ending(connection, package=package, state=state)


def reopened(connection: Connection, *, state: State) -> None:
    """Count one less, which is tried again."""
    ADD.run(connection, {"counter": PREFIX + state, "more": -1})


def by_state(connection: Connection, *, sight: Sight = EVERYTHING) -> dict[State, int]:
    """Return how many jobs in `sight` there are in each state."""
    if not sight.is_whole:
        return _counted(connection, sight=sight, states=frozenset(State))
    told: dict[str, int] = {row.name: row.value for row in connection.execute(ALL)}
    few = _counted(connection, sight=sight, states=frozenset(State) - COUNTED)
    return {state: few.get(state, told.get(PREFIX + state, 0)) for state in State}


def _counted(connection: Connection, *, sight: Sight, states: frozenset[State]) -> dict[State, int]:
    counting = select(tables.jobs.c.state, func.count())
    counting = counting.where(tables.jobs.c.state.in_(sorted(states)), *sight_of(sight))
    query = counting.group_by(tables.jobs.c.state)
    found = {State(state): number for state, number in connection.execute(query)}
    return {state: found.get(state, 0) for state in states}
