"""Jobs of which there shall be one at a time: found by the key that they were sent with."""

from sqlalchemy import Connection, bindparam, select

from runtime.store.schema import tables
from runtime.values.records import Job
from runtime.values.states import State

NOT_ENDED = (State.QUEUED, State.RUNNING, State.WAITING)
LIKE = (
    select(tables.jobs.c.id, tables.jobs.c.state)
    .where(tables.jobs.c.unique_key == bindparam("of_key"))
    .where(tables.jobs.c.state.in_([state.value for state in NOT_ENDED]))
    .where(tables.jobs.c.package == bindparam("of_package"))
    .where(tables.jobs.c.owner == bindparam("of_owner"))
    .order_by(tables.jobs.c.id)
)


def like(connection: Connection, *, job: Job) -> tuple[tuple[str, State], ...]:
    """Return the jobs that wait or run with the key of `job`, of its package and principal."""
    keys = {"of_package": job.package, "of_owner": job.request.principal}
    found = connection.execute(LIKE, keys | {"of_key": job.unique_key})
    return tuple((row.id, State(row.state)) for row in found)
