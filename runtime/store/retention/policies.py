"""What an admin has set of retention and quotas while the appliance runs, and what it freed."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select, update

from runtime.store.schema import tables
from runtime.store.schema.tables_around import freed, input_blobs, policies
from runtime.store.statements.in_sight import among
from runtime.values.around.retention import Policy, Quota

RETENTION = "retention"


class Freed(NamedTuple):
    """How much of a kind has gone."""

    kind: str
    number: int
    size_bytes: int


def read(connection: Connection) -> Policy:
    """Return the admin's policy; an empty one where none was set."""
    query = select(policies.c.policy).where(policies.c.name == RETENTION)
    row = connection.execute(query).first()
    return Policy.model_validate(row.policy) if row else Policy()


def write(connection: Connection, *, policy: Policy, who: str, at: datetime) -> Policy:
    """Set the admin's policy in the place of what was set before."""
    connection.execute(delete(policies).where(policies.c.name == RETENTION))
    plain = policy.model_dump(mode="json", exclude_defaults=True)
    row = {"name": RETENTION, "policy": plain, "who": who, "at": at}
    connection.execute(policies.insert().values(row))
    return policy


def count_freed(connection: Connection, *, kind: str, number: int, size_bytes: int = 0) -> None:
    """Add to what has gone of a kind."""
    change = update(freed).where(freed.c.kind == kind)
    more = {"number": freed.c.number + number, "size_bytes": freed.c.size_bytes + size_bytes}
    if connection.execute(change.values(more)).rowcount == 0:
        row = {"kind": kind, "number": number, "size_bytes": size_bytes}
        connection.execute(freed.insert().values(row))


def list_freed(connection: Connection) -> tuple[Freed, ...]:
    """Return what has gone so far, by kind."""
    rows = connection.execute(select(freed).order_by(freed.c.kind))
    return tuple(Freed(row.kind, row.number, row.size_bytes) for row in rows)


def used(connection: Connection, *, quotas: Iterable[Quota]) -> dict[Quota, tuple[int, int]]:
    """Return how many jobs each quota is about, and how many bytes of inputs and outputs."""
    return {quota: _used(connection, quota) for quota in quotas}


def _used(connection: Connection, quota: Quota) -> tuple[int, int]:
    jobs = tables.jobs
    if quota.package is not None:
        mine = among(jobs.c.package, quota.package)
    else:
        mine = jobs.c.owner == quota.principal
    number = connection.execute(select(func.count()).select_from(jobs).where(mine)).scalar_one()
    if quota.mb is None:
        return number, 0
    inputs = select(func.sum(input_blobs.c.size_bytes))
    inputs = inputs.join(jobs, jobs.c.id == input_blobs.c.job_id).where(mine)
    outputs = select(func.sum(tables.outputs.c.size_bytes))
    outputs = outputs.join(jobs, jobs.c.id == tables.outputs.c.job_id).where(mine)
    size_bytes = sum(connection.execute(query).scalar() or 0 for query in (inputs, outputs))
    return number, size_bytes
