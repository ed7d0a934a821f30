"""Removes a version that nothing needs: its rows, and says which bytes went with it."""

from collections.abc import Iterator

from sqlalchemy import Connection, delete, func, select

from frozen.values import frozen
from runtime.faults.errors import StateConflict
from runtime.store.packages import packages
from runtime.store.packages.activations import UNFINISHED
from runtime.store.schema import tables
from runtime.store.schema.tables_when import schedules
from wheelhouse.problem import Problem

MOST_TOLD = 20


@frozen
class Removed:
    """What went: the bundle's digest, None where another version has the same, and its data."""

    bundle: str | None
    data_folders: tuple[str, ...]


def remove(connection: Connection, *, package: str, version: str) -> Removed:
    """Remove a version with its activations. Raises NotFound, or StateConflict with all needs."""
    found = packages.get_version(connection, package=package, version=version)
    if needs := list(_needs(connection, package=package, version=version)):
        raise StateConflict(
            f"{package} {version} is needed", where=f"{package} {version}", problems=needs
        )
    activations = tables.activations
    mine = (activations.c.package == package, activations.c.version == version)
    query = select(activations.c.prepared["data_folder"].as_string()).where(*mine)
    folders = {one for one in connection.execute(query).scalars() if one}
    connection.execute(delete(activations).where(*mine))
    versions = tables.versions
    connection.execute(
        delete(versions).where(versions.c.package == package, versions.c.version == version)
    )
    others = select(versions.c.version).where(versions.c.digest == found.digest).limit(1)
    is_shared = connection.execute(others).first() is not None
    return Removed(bundle=None if is_shared else found.digest, data_folders=tuple(sorted(folders)))


def _needs(connection: Connection, *, package: str, version: str) -> Iterator[Problem]:
    """Yield what needs a version, each with what to do about it."""
    if packages.get_package(connection, name=package).active_version == version:
        mend = f"`fumehood package activate {package} VERSION` makes another one active first"
        yield _need("it is the active version", package, version, mend)
    activations = tables.activations.c
    under_way = select(activations.id).where(
        activations.package == package,
        activations.version == version,
        activations.state.in_(UNFINISHED),
    )
    if connection.execute(under_way.limit(1)).first():
        yield _need("it is being activated", package, version, "wait until that has ended")
    pinned = select(schedules.c.name).where(
        schedules.c.package == package, schedules.c.version == version
    )
    for name in connection.execute(pinned.limit(MOST_TOLD)).scalars():
        mend = f"`fumehood schedule remove {name}`, or let it run another version"
        yield _need(f"the schedule {name} runs it", package, version, mend)
    jobs = tables.jobs.c
    named = select(func.count()).where(jobs.package == package, jobs.version == version)
    if number := connection.execute(named).scalar_one():
        mend = (
            f"they go after their time, or now: "
            f"`fumehood bulk delete --package {package} --version {version}`"
        )
        yield _need(f"{number} jobs were run with it, or will be", package, version, mend)


def _need(what: str, package: str, version: str, mend: str) -> Problem:
    return Problem(code="version-in-use", what=what, where=f"{package} {version}", mend=mend)
