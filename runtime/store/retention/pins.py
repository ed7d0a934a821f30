"""Pins: who keeps a job, whatever its time."""

from sqlalchemy import Connection, delete, select

from runtime.faults.errors import NotFound
from runtime.store.jobs import jobs as job_store
from runtime.store.schema.tables_around import pins
from runtime.store.statements.rows import PIN, plain, value_of
from runtime.values.records import Pin


def pin(connection: Connection, *, pin: Pin) -> Pin:
    """Keep a job, in the place of an earlier pin; raise NotFound where it is gone."""
    job_store.get(connection, job_id=pin.job_id)
    connection.execute(delete(pins).where(pins.c.job_id == pin.job_id))
    connection.execute(pins.insert().values({**plain(pin, PIN), "at": pin.at}))
    return pin


def get(connection: Connection, *, job_id: str) -> Pin:
    """Return the pin of a job; raise NotFound where it has none."""
    if row := connection.execute(select(pins).where(pins.c.job_id == job_id)).first():
        return value_of(row, PIN)
    raise NotFound(
        f"Job {job_id} is not pinned", where=job_id, mend=f"`fumehood job pin {job_id}` keeps it"
    )


def unpin(connection: Connection, *, job_id: str) -> None:
    """Let a job go after its time; raise NotFound where it has no pin."""
    get(connection, job_id=job_id)
    connection.execute(delete(pins).where(pins.c.job_id == job_id))
