"""Receives bundles, asks for their activation, and goes back to a former version."""

import asyncio
from collections.abc import Callable
from dataclasses import field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import Connection

from frozen.values import frozen
from packages.archive import Bundles, receive_file
from packages.bundle.bundle import Bundle
from runtime.activations.supply import SharedHomeSupply, Supply
from runtime.faults.errors import NotAllowed
from runtime.queue.dispatch import Dispatch
from runtime.store.access import audit
from runtime.store.databases.store import Store
from runtime.store.packages import activations, packages
from runtime.values.access import is_bound_to
from runtime.values.clock import Clock
from runtime.values.ids import new_id
from runtime.values.records import Activation, JsonObject, Package, PackageVersion
from wheelhouse.archives.judging import Ceilings
from wheelhouse.judges.pool import Judges

type Check = Callable[[Connection], None]
"""What compares the package with what somebody read of it, and raises where it is another."""

NOWHERE: JsonObject = MappingProxyType({})
"""From where an act came that came by no request."""


@frozen
class Intake:
    """Takes bundles in and asks for their activation; each act is in the audit log."""

    store: Store
    dispatch: Dispatch
    bundles: Bundles
    judges: Judges
    ceilings: Ceilings
    clock: Clock
    supply: Supply = field(default_factory=SharedHomeSupply)

    async def receive(
        self, upload: Path, *, who: str, among: tuple[str, ...] = (), origin: JsonObject = NOWHERE
    ) -> tuple[PackageVersion, bool]:
        """Judge and keep the bundle in the file `upload`; return it, and whether it is new.

        Raises BundleRefused with every fault, NotAllowed where its package is not `among` those
        that who uploads is bound to, or VersionConflict; nothing is kept then.
        """
        known = set(await asyncio.to_thread(self.bundles.digests))
        bundle = await self.judges.beside(
            receive_file, upload, bundles=self.bundles, ceilings=self.ceilings
        )
        version = version_of(bundle, at=self.clock(), who=who)
        try:
            _refuse_unbound(version.package, among=among)
            await self.supply.give_bundle(version.digest)
            is_new = await self.store.run(packages.add_version, version=version)
        except Exception:
            if bundle.digest not in known:
                await asyncio.to_thread(self.bundles.remove, bundle.digest)
            raise
        if is_new:
            await self.store.run(
                audit.append,
                at=version.uploaded_at,
                who=who,
                action="package.upload",
                subject=f"{version.package} {version.version}",
                details={"digest": version.digest, "size_bytes": version.size_bytes, **origin},
            )
        return version, is_new

    async def forget(self, digest: str) -> None:
        """Remove a bundle that no version has any more, wherever it is."""
        await asyncio.to_thread(self.bundles.forget, digest)
        await self.supply.forget_bundle(digest)

    async def request_activation(
        self,
        *,
        package: str,
        version: str,
        who: str,
        reason: str,
        origin: JsonObject = NOWHERE,
        check: Check | None = None,
    ) -> Activation:
        """Ask for a version to be made active; raise StateConflict while another one is asked.

        `check` is called in the same transaction, and raises where it shall not be.
        """
        activation = await self.store.run(
            _request,
            package=package,
            version=version,
            who=who,
            reason=reason,
            at=self.clock(),
            origin=origin,
            check=check,
        )
        await self.dispatch.activation(activation.id)
        return activation

    async def roll_back(
        self,
        *,
        package: str,
        who: str,
        reason: str,
        origin: JsonObject = NOWHERE,
        check: Check | None = None,
    ) -> Package:
        """Make the version active again that was so before; it is ready, so nothing is built.

        `check` is called in the same transaction, and raises where it shall not be.
        """
        return await self.store.run(
            _roll_back,
            package=package,
            who=who,
            reason=reason,
            at=self.clock(),
            origin=origin,
            check=check,
        )


def _request(
    connection: Connection,
    *,
    package: str,
    version: str,
    who: str,
    reason: str,
    at: datetime,
    origin: JsonObject,
    check: Check | None,
) -> Activation:
    found = packages.get_version(connection, package=package, version=version)
    if check is not None:
        check(connection)
    activation = activations.request(
        connection, activation_id=new_id(), version=found, who=who, reason=reason, at=at
    )
    audit.append(
        connection,
        at=at,
        who=who,
        action="activation.request",
        subject=f"{package} {version}",
        details={"reason": reason, "activation": activation.id, **origin},
    )
    return activation


def _roll_back(
    connection: Connection,
    *,
    package: str,
    who: str,
    reason: str,
    at: datetime,
    origin: JsonObject,
    check: Check | None,
) -> Package:
    if check is not None:
        check(connection)
    former = activations.former(connection, package=package)
    packages.switch(connection, package=package, version=former.version, activation_id=former.id)
    audit.append(
        connection,
        at=at,
        who=who,
        action="package.rollback",
        subject=f"{package} {former.version}",
        details={"reason": reason, "activation": former.id, **origin},
    )
    return packages.get_package(connection, name=package)


def _refuse_unbound(package: str, *, among: tuple[str, ...]) -> None:
    if not is_bound_to(among, package):
        raise NotAllowed(
            f"This token is not for the package {package}",
            where="manifest.json: name",
            mend=f"it is for {', '.join(among)}; an admin can make another one",
        )


def version_of(bundle: Bundle, *, at: datetime, who: str) -> PackageVersion:
    """Return the record of a bundle that `who` uploaded at `at`."""
    manifest = bundle.manifest
    return PackageVersion(
        package=manifest.name,
        version=manifest.version,
        digest=bundle.digest,
        size_bytes=bundle.size_bytes,
        title=manifest.title,
        manifest=manifest.model_dump(mode="json", by_alias=True),
        requirements=tuple(wanted.text for wanted in bundle.requirements.wanted),
        uploaded_at=at,
        uploaded_by=who,
    )
