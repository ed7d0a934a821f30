"""A worker's heartbeat: its sign of life, and all that there is to hear for it, in one unit.

Six reads a second, each in a turn of its own, were a third of what an idle appliance cost. The
statements are made once: to build one anew costs more than running it.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, String, bindparam, select

from frozen.values import frozen
from runtime.store import workers
from runtime.store.schema import tables
from runtime.values.records import ActivationState, Worker
from runtime.values.states import State

_HERE = bindparam("here", type_=String)
_WORKERS = select(tables.workers.c.id, tables.workers.c.seen_at, tables.workers.c.drained_at)
_JOBS = select(tables.jobs.c.id, tables.jobs.c.token, tables.jobs.c.cancel_requested_at).where(
    tables.jobs.c.state == State.RUNNING, tables.jobs.c.worker == _HERE
)
_ACTIVATIONS = select(tables.activations.c.id).where(
    tables.activations.c.state == ActivationState.RUNNING, tables.activations.c.worker == _HERE
)


@frozen
class Heard:
    """What the store says to a worker: signs of life of all, and what is recorded of itself."""

    signs: Mapping[str, datetime]
    is_drained: bool
    running: tuple[tuple[str, str], ...]
    """Each job that is recorded as running on it, with its fencing token."""
    cancelling: tuple[str, ...]
    """Those of them that somebody asked to cancel."""
    activations: tuple[str, ...]
    """The activations that are recorded as running on it."""


def beat(connection: Connection, *, worker: Worker, at: datetime) -> Heard:
    """Note a sign of life of `worker`, and return what there is to hear."""
    workers.see(connection, worker=worker, at=at)
    return hear(connection, worker=worker.id)


def hear(connection: Connection, *, worker: str) -> Heard:
    """Return what there is to hear for a worker."""
    known = connection.execute(_WORKERS).all()
    jobs = connection.execute(_JOBS, {"here": worker}).all()
    return Heard(
        signs={row.id: row.seen_at for row in known},
        is_drained=any(row.drained_at for row in known if row.id == worker),
        running=tuple((row.id, row.token or "") for row in jobs),
        cancelling=tuple(row.id for row in jobs if row.cancel_requested_at is not None),
        activations=tuple(connection.execute(_ACTIVATIONS, {"here": worker}).scalars()),
    )
