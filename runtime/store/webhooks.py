"""Webhooks in the store: who wants to be told, what is to be told, and how each try went."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, and_, bindparam, delete, func, select, update

from runtime.faults.errors import NotFound, StateConflict
from runtime.store.schema import tables
from runtime.store.schema.tables_around import deliveries, webhooks
from runtime.store.statements.cursor import page_of
from runtime.store.statements.rows import DELIVERY, JOB, plain, value_of
from runtime.values.access import EVERYTHING, Sight
from runtime.values.around.webhooks import Delivery, DeliveryState, Webhook, host_of
from runtime.values.records import Job, Page
from runtime.values.states import State

MOST_OF_ONE = 100
OF_TOKENS = "token:"
"""How the names of principals begin that are tokens."""
jobs, tokens = tables.jobs, tables.tokens


# Made once, since they are asked each second: to build one anew costs more than running it.
_EVERY = select(webhooks).order_by(webhooks.c.id)
_UNTOLD = (
    select(jobs)
    .where(
        jobs.c.told_attempt.is_not(None),
        jobs.c.finished_at.is_not(None),
        jobs.c.told_attempt < jobs.c.attempt,
    )
    .order_by(jobs.c.id)
    .limit(bindparam("most", type_=Integer))
)
_IS_DUE = and_(deliveries.c.state == DeliveryState.WAITING, deliveries.c.due_at <= bindparam("at"))
_HOSTS = (
    select(deliveries.c.host)
    .where(_IS_DUE)
    .group_by(deliveries.c.host)
    .order_by(func.min(deliveries.c.due_at))
    .limit(bindparam("most", type_=Integer))
)
_DUE_AT = (
    select(deliveries)
    .where(_IS_DUE, deliveries.c.host == bindparam("host"))
    .order_by(deliveries.c.due_at)
    .limit(bindparam("most", type_=Integer))
)


def add(connection: Connection, *, webhook: Webhook) -> Webhook:
    """Register a webhook. Raises StateConflict where its owner has too many."""
    query = select(webhooks.c.id).where(webhooks.c.owner == webhook.owner)
    if len(connection.execute(query.limit(MOST_OF_ONE)).all()) >= MOST_OF_ONE:
        raise StateConflict(
            f"{webhook.owner} has {MOST_OF_ONE} webhooks already",
            where=webhook.owner,
            mend="`fumehood webhook remove ID` makes room",
        )
    row = {
        "id": webhook.id,
        "owner": webhook.owner,
        "url": webhook.url,
        "package": webhook.package,
        "states": [state.value for state in webhook.states],
        "at": webhook.at,
        "sees_all": webhook.sight.owner is None,
        "packages": list(webhook.sight.packages),
    }
    connection.execute(webhooks.insert().values(row))
    return webhook


def _webhook(row: Any) -> Webhook:
    return Webhook(
        id=row.id,
        owner=row.owner,
        url=row.url,
        package=row.package,
        states=tuple(map(State, row.states)),
        sight=Sight(owner=None if row.sees_all else row.owner, packages=tuple(row.packages)),
        at=row.at,
    )


def every(connection: Connection, *, at: datetime) -> tuple[Webhook, ...]:
    """Return all webhooks but those of tokens that are over, which are told nothing."""
    found = map(_webhook, connection.execute(_EVERY))
    return tuple(one for one in found if not _is_over(connection, one.owner, at=at))


def _is_over(connection: Connection, owner: str, *, at: datetime) -> bool:
    """Return whether an owner is a token that was revoked or has expired."""
    if not owner.startswith(OF_TOKENS):
        return False
    query = select(tokens.c.revoked_at, tokens.c.expires_at)
    row = connection.execute(query.where(tokens.c.name == owner.removeprefix(OF_TOKENS))).first()
    return (
        row is None or row.revoked_at is not None or bool(row.expires_at and row.expires_at <= at)
    )


def awaited(connection: Connection, *, job: Job) -> Job:
    """Return a job that a schedule makes, to be told of where some webhook wants to be."""
    owner, package = job.request.principal, job.package
    known = every(connection, at=job.submitted_at)
    if any(one.is_for(owner=owner, package=package) for one in known):
        return replace(job, told_attempt=0)
    return job


def list_of(
    connection: Connection, *, limit: int, cursor: str | None = None, sight: Sight = EVERYTHING
) -> Page[Webhook]:
    """Return webhooks, the last made first; one principal's where `sight` is its own."""
    query = select(webhooks).order_by(webhooks.c.id.desc()).limit(limit + 1)
    if sight.owner is not None:
        query = query.where(webhooks.c.owner == sight.owner)
    if cursor:
        query = query.where(webhooks.c.id < cursor)
    found = list(map(_webhook, connection.execute(query)))
    return page_of(found, limit=limit, key=lambda one: one.id)


def remove(connection: Connection, *, webhook_id: str, sight: Sight = EVERYTHING) -> Webhook:
    """Forget a webhook; raise NotFound, also for one of somebody else's."""
    row = connection.execute(select(webhooks).where(webhooks.c.id == webhook_id)).first()
    if row is None or sight.owner not in {None, row.owner}:
        raise NotFound(
            f"There is no webhook {webhook_id}",
            where=webhook_id,
            mend="`fumehood webhook list` shows them",
        )
    connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))
    return _webhook(row)


def untold(connection: Connection, *, limit: int) -> tuple[Job, ...]:
    """Return jobs that have ended in an attempt that nobody was told of, and somebody wants to be.

    The index holds these only: to ask costs the same beside a million jobs.
    """
    return tuple(value_of(row, JOB) for row in connection.execute(_UNTOLD, {"most": limit}))


def note_told(connection: Connection, *, job: Job) -> bool:
    """Write down that the end of an attempt is told; return whether it still was the last one."""
    change = update(jobs).where(
        jobs.c.id == job.id, jobs.c.attempt == job.attempt, jobs.c.finished_at.is_not(None)
    )
    return connection.execute(change.values(told_attempt=job.attempt)).rowcount > 0


def queue(connection: Connection, *, made: Iterable[Delivery]) -> None:
    """Write down what is to be delivered; the same message twice is one."""
    for one in made:
        known = select(deliveries.c.id).where(deliveries.c.id == one.id)
        if connection.execute(known).first() is None:
            connection.execute(deliveries.insert().values(_row(one)))


def _row(delivery: Delivery) -> dict[str, Any]:
    times = {name: getattr(delivery, name) for name in ("at", "due_at", "ended_at")}
    return plain(delivery, DELIVERY) | times | {"host": host_of(delivery.url)}


def due(
    connection: Connection, *, at: datetime, hosts: int, of_one: int, busy: Collection[str] = ()
) -> tuple[Delivery, ...]:
    """Return what is due: a few for each host that is not busy, those that wait longest."""
    waiting = _HOSTS.where(deliveries.c.host.not_in(busy)) if busy else _HOSTS
    names = connection.execute(waiting, {"at": at, "most": hosts})
    found: list[Delivery] = []
    for name in names.scalars().all():
        rows = connection.execute(_DUE_AT, {"at": at, "host": name, "most": of_one})
        found += [value_of(row, DELIVERY) for row in rows]
    return tuple(found)


def change(connection: Connection, *, changes: Mapping[str, Mapping[str, object]]) -> None:
    """Write down how tries went, by the ids of their deliveries."""
    for delivery_id, values in changes.items():
        connection.execute(
            update(deliveries).where(deliveries.c.id == delivery_id).values(dict(values))
        )


def get(connection: Connection, *, delivery_id: str, sight: Sight = EVERYTHING) -> Delivery:
    """Return a delivery; raise NotFound, also for one that tells of what is out of `sight`."""
    row = connection.execute(select(deliveries).where(deliveries.c.id == delivery_id)).first()
    if row is None or not sight.includes(owner=row.owner, package=row.package):
        raise NotFound(
            f"There is no delivery {delivery_id}",
            where=delivery_id,
            mend="`fumehood webhook deliveries` shows them",
        )
    return value_of(row, DELIVERY)


def list_deliveries(
    connection: Connection,
    *,
    limit: int,
    cursor: str | None = None,
    state: DeliveryState | None = None,
    job_id: str | None = None,
    sight: Sight = EVERYTHING,
) -> Page[Delivery]:
    """Return deliveries, the last made first, of what is the principal's own or in its sight."""
    key = deliveries.c.place
    query = select(deliveries).order_by(key.desc()).limit(limit + 1)
    if sight.owner is not None:
        query = query.where(deliveries.c.owner == sight.owner)
    if state is not None:
        query = query.where(deliveries.c.state == state)
    if job_id is not None:
        query = query.where(deliveries.c.job_id == job_id)
    if cursor:
        query = query.where(key < cursor)
    found = [value_of(row, DELIVERY) for row in connection.execute(query)]
    return page_of(found, limit=limit, key=lambda one: one.place)


def replay(connection: Connection, *, delivery_id: str, at: datetime) -> Delivery:
    """Let a delivery be tried again from the start, however it went."""
    again = {
        "state": DeliveryState.WAITING,
        "tries": 0,
        "due_at": at,
        "ended_at": None,
    }
    change(connection, changes={delivery_id: again})
    return get(connection, delivery_id=delivery_id)


def forget(connection: Connection, *, before: datetime) -> int:
    """Forget deliveries that ended before then; return how many."""
    old = delete(deliveries).where(deliveries.c.ended_at < before)
    return connection.execute(old).rowcount
