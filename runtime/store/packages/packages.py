"""Packages and their versions."""

from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, update

from runtime.faults.errors import NotActive, NotFound, VersionConflict
from runtime.store.schema import tables
from runtime.store.statements import in_sight, upsert
from runtime.store.statements.cursor import page_of
from runtime.store.statements.prepared import Prepared
from runtime.store.statements.rows import PACKAGE, PACKAGE_VERSION, plain, value_of
from runtime.values.records import JsonObject, Package, PackageVersion, Page

ACTIVE = Prepared(
    select(tables.packages.c.active_activation_id).where(
        tables.packages.c.name == bindparam("package")
    )
)


def add_version(connection: Connection, *, version: PackageVersion) -> bool:
    """Keep `version`; return False when the same bytes are there already.

    Raises VersionConflict when the version is there as other bytes.
    """
    found = find_version(connection, package=version.package, version=version.version)
    if found and found.digest != version.digest:
        raise VersionConflict(
            f"{version.package} {version.version} was uploaded before, as other bytes",
            where="manifest.json: version",
            mend="a version never changes: raise the version and upload again "
            "(the same files packed by another tool are other bytes)",
        )
    if found:
        return False
    since = {"created_at": version.uploaded_at}
    upsert.add_once(connection, tables.packages, key={"name": version.package}, values=since)
    connection.execute(tables.versions.insert().values(_columns(version)))
    return True


def _columns(version: PackageVersion) -> dict[str, Any]:
    return {**plain(version, PACKAGE_VERSION), "uploaded_at": version.uploaded_at}


def find_version(connection: Connection, *, package: str, version: str) -> PackageVersion | None:
    """Return one version of a package, if it is there."""
    query = select(tables.versions).where(
        tables.versions.c.package == package, tables.versions.c.version == version
    )
    row = connection.execute(query).first()
    return value_of(row, PACKAGE_VERSION) if row else None


def get_version(connection: Connection, *, package: str, version: str) -> PackageVersion:
    """Return one version of a package; raise NotFound with what there is instead."""
    if found := find_version(connection, package=package, version=version):
        return found
    there = ", ".join(item.version for item in list_versions(connection, package=package))
    raise NotFound(
        f"There is no version {version} of {package}",
        where=f"{package} {version}",
        mend=f"versions there are: {there}" if there else f"upload a bundle of {package} first",
    )


def manifest_of(connection: Connection, *, digest: str) -> JsonObject:
    """Return the manifest of the bundle with that digest; raise NotFound."""
    query = select(tables.versions.c.manifest).where(tables.versions.c.digest == digest).limit(1)
    if row := connection.execute(query).first():
        return dict(row.manifest)
    raise NotFound(f"There is no version with the digest {digest}", where=digest)


def list_versions(connection: Connection, *, package: str) -> tuple[PackageVersion, ...]:
    """Return all versions of a package, the last uploaded first."""
    query = (
        select(tables.versions)
        .where(tables.versions.c.package == package)
        .order_by(tables.versions.c.uploaded_at.desc())
    )
    return tuple(value_of(row, PACKAGE_VERSION) for row in connection.execute(query))


def get_package(connection: Connection, *, name: str) -> Package:
    """Return a package by its name; raise NotFound."""
    query = select(tables.packages).where(tables.packages.c.name == name)
    if row := connection.execute(query).first():
        return value_of(row, PACKAGE)
    raise no_package(name)


def active_activation(connection: Connection, *, package: str) -> str | None:
    """Return the id of the activation that new jobs of a package run on, None for none."""
    return ACTIVE.scalar(connection, {"package": package})


def refuse_unless_active(connection: Connection, *, package: str, activation_id: str) -> None:
    """Raise NotActive where new jobs of a package run on another activation."""
    if active_activation(connection, package=package) != activation_id:
        raise NotActive(
            f"What {package} runs has changed just now",
            where=package,
            mend="send the job again",
        )


def no_package(name: str) -> NotFound:
    """Return the fault of asking for a package that is not there, or not for who asks."""
    return NotFound(
        f"There is no package {name}",
        where=name,
        mend="`fumehood package list` shows the packages; `fumehood package upload` adds one",
    )


def list_packages(
    connection: Connection, *, limit: int, cursor: str | None, among: tuple[str, ...] = ()
) -> Page[Package]:
    """Return packages by name; of those `among` (names, or prefixes with `*`), if any are named."""
    query = select(tables.packages).order_by(tables.packages.c.name).limit(limit + 1)
    if among:
        name = tables.packages.c.name
        query = query.where(or_(*(in_sight.among(name, one) for one in among)))
    if cursor:
        query = query.where(tables.packages.c.name > cursor)
    found = [value_of(row, PACKAGE) for row in connection.execute(query)]
    return page_of(found, limit=limit, key=lambda package: package.name)


def switch(
    connection: Connection, *, package: str, version: str | None, activation_id: str | None
) -> None:
    """Make `version` the one that new jobs of `package` run; None for none."""
    connection.execute(
        update(tables.packages)
        .where(tables.packages.c.name == package)
        .values(active_version=version, active_activation_id=activation_id)
    )
