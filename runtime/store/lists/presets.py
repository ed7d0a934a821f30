"""Filters that somebody saved under a name: each principal has its own."""

from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from runtime.faults.errors import NotFound, StateConflict
from runtime.store.schema.tables_around import presets
from runtime.store.statements.cursor import page_of
from runtime.values.job_filter import JobFilter, filter_from, filter_to
from runtime.values.records import Page, Preset

MOST_OF_ONE = 100


def save(
    connection: Connection, *, owner: str, name: str, wanted: JobFilter, at: datetime
) -> Preset:
    """Save a filter under a name, in the place of what that name meant before."""
    of_owner = presets.c.owner == owner
    counting = select(func.count()).select_from(presets).where(of_owner, presets.c.name != name)
    if connection.execute(counting).scalar_one() >= MOST_OF_ONE:
        raise StateConflict(
            f"{owner} has {MOST_OF_ONE} presets already",
            where=name,
            mend="`fumehood preset remove NAME` makes room",
        )
    connection.execute(delete(presets).where(of_owner, presets.c.name == name))
    row = {"owner": owner, "name": name, "wanted": filter_to(wanted), "at": at}
    connection.execute(presets.insert().values(row))
    return Preset(name=name, wanted=wanted, at=at)


def get(connection: Connection, *, owner: str, name: str) -> Preset:
    """Return a preset; raise NotFound."""
    query = select(presets).where(presets.c.owner == owner, presets.c.name == name)
    if row := connection.execute(query).first():
        return Preset(name=row.name, wanted=filter_from(row.wanted), at=row.at)
    raise NotFound(
        f"There is no preset {name}", where=name, mend="`fumehood preset list` shows yours"
    )


def list_of(
    connection: Connection, *, owner: str, limit: int, cursor: str | None = None
) -> Page[Preset]:
    """Return the presets of a principal by name."""
    query = select(presets).where(presets.c.owner == owner)
    if cursor:
        query = query.where(presets.c.name > cursor)
    rows = connection.execute(query.order_by(presets.c.name).limit(limit + 1))
    found = [Preset(name=row.name, wanted=filter_from(row.wanted), at=row.at) for row in rows]
    return page_of(found, limit=limit, key=lambda one: one.name)


def remove(connection: Connection, *, owner: str, name: str) -> None:
    """Forget a preset; raise NotFound."""
    get(connection, owner=owner, name=name)
    connection.execute(delete(presets).where(presets.c.owner == owner, presets.c.name == name))
