"""Lists of jobs by a filter, along one index, and never further than a bound in one look.

An index that ends with the id is read from its newest entry on (`runtime.values.job_filter`).
What it does not answer is asked of each job on the way; a search that finds next to nothing among
a million jobs then ends after `MOST_LOOKED_AT` of them, and says where it goes on.
"""

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, exists, func, or_, select

from runtime.store.schema import tables
from runtime.store.schema.tables_around import job_labels
from runtime.store.statements.in_sight import sight_of
from runtime.store.statements.rows import JOB, value_of
from runtime.values.access import EVERYTHING, Sight
from runtime.values.ids import first_id_at
from runtime.values.job_filter import ANY_JOB, UPLOAD_AT_MOST, JobFilter, Way, way_of
from runtime.values.records import Job, Page

MOST_LOOKED_AT = 10_000
"""Of jobs, for one page: what it costs is the same, however many there are."""

jobs = tables.jobs
MOMENT = timedelta(milliseconds=1)
type Conditions = tuple[ColumnElement[bool], ...]


class Found(NamedTuple):
    """Ids of jobs, the newest first, and after which one the search goes on (None: it is over)."""

    ids: tuple[str, ...]
    go_on_after: str | None


def page(
    connection: Connection,
    *,
    limit: int,
    cursor: str | None = None,
    wanted: JobFilter = ANY_JOB,
    sight: Sight = EVERYTHING,
) -> Page[Job]:
    """Return wanted jobs in `sight`, the last submitted first (ids sort by time).

    It may hold fewer than `limit` and go on all the same.
    """
    found = find(connection, limit=limit, cursor=cursor, wanted=wanted, sight=sight)
    query = select(jobs).where(jobs.c.id.in_(found.ids)).order_by(jobs.c.id.desc())
    rows = connection.execute(query) if found.ids else ()
    return Page(items=tuple(value_of(row, JOB) for row in rows), next_cursor=found.go_on_after)


def find(
    connection: Connection,
    *,
    limit: int,
    cursor: str | None = None,
    wanted: JobFilter = ANY_JOB,
    sight: Sight = EVERYTHING,
    further: Conditions = (),
) -> Found:
    """Return the ids of wanted jobs in `sight` that meet `further` too."""
    looked_at, rest = search(cursor=cursor, wanted=wanted, sight=sight, further=further)
    if not rest:
        ids = tuple(row.id for row in connection.execute(looked_at.limit(limit + 1)))
        return _cut(ids, limit=limit, last=None)
    bounded = looked_at.limit(MOST_LOOKED_AT).subquery()
    query = select(jobs.c.id).join(bounded, bounded.c.id == jobs.c.id).where(*rest)
    query = query.order_by(jobs.c.id.desc()).limit(limit + 1)
    ids = tuple(connection.execute(query).scalars())
    if len(ids) > limit:
        return _cut(ids, limit=limit, last=None)
    looked = connection.execute(select(func.count(), func.min(bounded.c.id))).one()
    is_over = looked[0] < MOST_LOOKED_AT
    return _cut(ids, limit=limit, last=None if is_over else looked[1])


def _cut(ids: tuple[str, ...], *, limit: int, last: str | None) -> Found:
    if len(ids) > limit:
        return Found(ids=ids[:limit], go_on_after=ids[limit - 1])
    return Found(ids=ids, go_on_after=last)


def search(
    *, cursor: str | None, wanted: JobFilter, sight: Sight, further: Conditions = ()
) -> tuple[Select[tuple[str]], Conditions]:
    """Return what reads the index on the way, and what has to be asked of each job besides.

    Who sees its own jobs only reads along its own, and is not led past everybody's.
    """
    if sight.owner is not None and wanted.principal is None:
        wanted = replace(wanted, principal=sight.owner)
    way = way_of(wanted)
    key = job_labels.c.job_id if way is Way.LABEL else jobs.c.id
    on_the_way, others = _conditions(wanted, way=way)
    within = tuple(_bounds(key, cursor=cursor, wanted=wanted))
    looked_at = select(key.label("id")).where(*on_the_way, *within).order_by(key.desc())
    return looked_at, (*others, *_exact_times(wanted), *sight_of(sight), *further)


def _bounds(
    key: ColumnElement[str], *, cursor: str | None, wanted: JobFilter
) -> list[ColumnElement[bool]]:
    """Return between which ids the jobs are: an id is made when the order begins to arrive."""
    bounds: list[ColumnElement[bool]] = []
    if cursor:
        bounds.append(key < cursor)
    if wanted.since:
        bounds.append(key >= first_id_at(wanted.since - UPLOAD_AT_MOST))
    if wanted.until:
        bounds.append(key < first_id_at(wanted.until + MOMENT))
    return bounds


def _exact_times(wanted: JobFilter) -> Conditions:
    asked: list[ColumnElement[bool]] = []
    if wanted.since:
        asked.append(jobs.c.submitted_at >= wanted.since)
    if wanted.until:
        asked.append(jobs.c.submitted_at < wanted.until)
    return tuple(asked)


def _conditions(wanted: JobFilter, *, way: Way) -> tuple[Conditions, Conditions]:
    """Return the conditions that the index of `way` answers, and the others."""
    parts = {
        Way.BATCH: ("batch",),
        Way.ERROR: ("error",),
        Way.VERSION: ("package", "version"),
        Way.PACKAGE_STATE: ("package", "state"),
        Way.PRINCIPAL_STATE: ("principal", "state"),
        Way.WORKER: ("worker",),
        Way.PACKAGE: ("package",),
        Way.PRINCIPAL: ("principal",),
        Way.STATE: ("state",),
    }.get(way, ())
    asked = {
        "state": (jobs.c.state, wanted.state),
        "package": (jobs.c.package, wanted.package),
        "version": (jobs.c.version, wanted.version),
        "principal": (jobs.c.owner, wanted.principal),
        "worker": (jobs.c.worker, wanted.worker),
        "batch": (jobs.c.batch, wanted.batch),
        "error": (jobs.c.error_code, wanted.error),
    }
    given = {name: column == value for name, (column, value) in asked.items() if value is not None}
    on_the_way = tuple(given.pop(name) for name in parts)
    labels = list(wanted.labels)
    if way is Way.LABEL:
        name, value = next(one for one in labels if one[1] is not None)
        labels.remove((name, value))
        on_the_way = (job_labels.c.name == name, job_labels.c.value == value)
    others = [*given.values(), *(_has_label(*one) for one in labels)]
    if wanted.text:
        others.append(_says(wanted.text))
    return on_the_way, tuple(others)


def _has_label(name: str, value: str | None) -> ColumnElement[bool]:
    meant = [job_labels.c.job_id == jobs.c.id, job_labels.c.name == name]
    if value is not None:
        meant.append(job_labels.c.value == value)
    return exists().where(*meant)


def _says(text: str) -> ColumnElement[bool]:
    """Return whether a job's id, one of its labels or its error has `text` in it."""
    in_label = or_(
        job_labels.c.name.icontains(text, autoescape=True),
        job_labels.c.value.icontains(text, autoescape=True),
    )
    return or_(
        jobs.c.id.icontains(text, autoescape=True),
        jobs.c.error_code.icontains(text, autoescape=True),
        jobs.c.error["what"].as_string().icontains(text, autoescape=True),
        exists().where(job_labels.c.job_id == jobs.c.id, in_label),
    )
