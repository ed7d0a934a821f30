"""Brings what a version needs to a host that has only the cluster's three addresses.

Who activates a version puts its bundle, the wheels of its lock and its data into the depot; who
runs it takes from there what is not here yet. What comes is judged as if it were uploaded, and
has the digest that the store says, or is refused.
"""

import asyncio
import hashlib
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from frozen.values import frozen
from packages.archive import Bundles, receive_file
from packages.environment.inventory import INVENTORY_JSON, Installed
from packages.errors import BundleNotFound
from packages.lock.lock import Locked, read_lock
from runtime.activations.carried_environments import CarriedEnvironments
from runtime.activations.home_cache import HomeCache
from runtime.blobs.depot import Depot, Kind
from runtime.values.clock import Clock
from runtime.values.records import Activation, PreparedRecord
from wheelhouse.archives.judging import Ceilings
from wheelhouse.durable import close_folders, flush_filesystem, folder_aside
from wheelhouse.errors import WheelNotFound
from wheelhouse.store import Origin, Wheelhouse

PREFIX = "sha256:"


class Supply(Protocol):
    """How what a version needs comes to those who run its jobs."""

    async def give_bundle(self, digest: str) -> None:
        """Let the others have a bundle that is here."""
        ...

    async def give(self, prepared: PreparedRecord) -> PreparedRecord:
        """Let the others have what an activation made; return its record, which says where."""
        ...

    async def take(self, activation: Activation) -> None:
        """Bring here what jobs of an activation need and is not here yet."""
        ...

    async def forget_bundle(self, digest: str) -> None:
        """Let nobody have a bundle any more."""
        ...


class SharedHomeSupply:
    """There is one home, and all is in it."""

    async def give_bundle(self, digest: str) -> None:
        """Do nothing."""

    async def give(self, prepared: PreparedRecord) -> PreparedRecord:
        """Return `prepared` as it is."""
        return prepared

    async def take(self, activation: Activation) -> None:
        """Do nothing."""

    async def forget_bundle(self, digest: str) -> None:
        """Do nothing: it goes with the home's."""


@frozen
class DepotSupply:
    """What goes into a depot, and what comes from there."""

    depot: Depot
    bundles: Bundles
    wheelhouse: Wheelhouse
    data_root: Path
    ceilings: Ceilings
    clock: Clock
    carried: CarriedEnvironments | None = None
    cache: HomeCache | None = None

    async def give_bundle(self, digest: str) -> None:
        """Put a bundle that is here into the depot."""
        path = await asyncio.to_thread(self.bundles.archive, digest)
        await self.depot.put_once(Kind.BUNDLE, _hex(digest), path)

    async def give(self, prepared: PreparedRecord) -> PreparedRecord:
        """Put all into the depot that jobs of an activation need beside its bundle."""
        for locked in read_lock(prepared.lock).packages:
            wheel = await asyncio.to_thread(self.wheelhouse.get, locked.sha256, name=locked.name)
            path = self.wheelhouse.path(wheel)
            await self.depot.put_once(Kind.WHEEL, _hex(locked.sha256), path)
        if self.carried is not None:
            prepared = await self.carried.give(prepared)
        if prepared.data_folder is None:
            return prepared
        with tempfile.TemporaryDirectory(prefix=".pack-", dir=self.data_root) as aside:
            packed = Path(aside) / "data.tar"
            folder = self.data_root / prepared.data_folder
            digest = await asyncio.to_thread(pack, folder, to=packed)
            await self.depot.put_once(Kind.DATA, _hex(digest), packed)
        return replace(prepared, data_digest=digest)

    async def take(self, activation: Activation) -> None:
        """Bring here what jobs of an activation need and is not here yet.

        Raises BlobMissing, or what judging it raises.
        """
        await self._take_bundle(activation.digest)
        prepared = activation.prepared
        if prepared is None:
            return
        await self._take_environment(prepared)
        if prepared.data_folder and prepared.data_digest:
            await self._take_data(prepared.data_folder, digest=prepared.data_digest)
        if self.cache is not None:
            await self.cache.trim_now_and_then()

    async def forget_bundle(self, digest: str) -> None:
        """Remove a bundle from the depot."""
        await self.depot.remove(Kind.BUNDLE, _hex(digest))

    async def _take_bundle(self, digest: str) -> None:
        try:
            await asyncio.to_thread(self.bundles.archive, digest)
        except BundleNotFound:
            with tempfile.TemporaryDirectory(prefix=".take-", dir=self.bundles.root) as aside:
                packed = Path(aside) / "bundle"
                await self.depot.fetch(
                    Kind.BUNDLE,
                    _hex(digest),
                    into=packed,
                    sha256=digest,
                    most_bytes=self.ceilings.archive_bytes,
                )
                await asyncio.to_thread(
                    receive_file, packed, bundles=self.bundles, ceilings=self.ceilings
                )

    async def _take_environment(self, prepared: PreparedRecord) -> None:
        """Bring here the environment, or what of its wheels is lacking to build it."""
        lacking = await asyncio.to_thread(self._lacking, read_lock(prepared.lock).packages)
        if lacking and self.carried is not None and await self.carried.take(prepared):
            return
        known = INVENTORY_JSON.validate_python(dict(prepared.inventory)).installed
        told = {one.sha256: one for one in known}
        for locked in lacking:
            await self._take_wheel(locked, told=told)

    def _lacking(self, packages: Iterable[Locked]) -> list[Locked]:
        return [one for one in packages if not self._has(one)]

    def _has(self, locked: Locked) -> bool:
        try:
            self.wheelhouse.get(locked.sha256, name=locked.name)
        except WheelNotFound:
            return False
        return True

    async def _take_wheel(self, locked: Locked, *, told: Mapping[str, Installed]) -> None:
        with tempfile.TemporaryDirectory(prefix=".take-", dir=self.wheelhouse.root) as aside:
            packed = Path(aside) / locked.wheel
            await self.depot.fetch(
                Kind.WHEEL,
                _hex(locked.sha256),
                into=packed,
                sha256=locked.sha256,
                most_bytes=locked.size_bytes,
            )
            origin = self._origin(told.get(locked.sha256))
            await asyncio.to_thread(self.wheelhouse.add, packed, origin=origin)

    def _origin(self, installed: Installed | None) -> Origin:
        """Return how a wheel came into the house of the cluster, as its activation says."""
        text = installed.origin if installed else ""
        is_fetched = installed is not None and installed.source == "index"
        return Origin(
            kind="fetched" if is_fetched else "built" if text == "built" else "uploaded",
            at=self.clock(),
            by="the cluster",
            index=text.removeprefix("fetched from ") if is_fetched else "",
        )

    async def _take_data(self, name: str, *, digest: str) -> None:
        final = self.data_root / name
        if final.is_dir():
            return
        with tempfile.TemporaryDirectory(prefix=".take-", dir=self.data_root) as aside:
            packed = Path(aside) / "data.tar"
            await self.depot.fetch(Kind.DATA, _hex(digest), into=packed, sha256=digest)
            await asyncio.to_thread(unpack, packed, to=final)


def pack(folder: Path, *, to: Path) -> str:
    """Write the files of `folder` to the tar `to`, the same bytes each time; return its digest."""
    with tarfile.open(to, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, path.relative_to(folder).as_posix(), recursive=False, filter=_plain)
    with to.open("rb") as file:
        return PREFIX + hashlib.file_digest(file, "sha256").hexdigest()


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


def unpack(packed: Path, *, to: Path) -> None:
    """Make the folder `to` of a tar that has the digest it should: whole, or not at all."""
    with folder_aside(to) as aside:
        with tarfile.open(packed) as archive:
            # The filter refuses what leads out of the folder (PEP 706): the tar is as a package's
            # hook left its data, whoever packed it.
            archive.extractall(aside, filter="data")
        for path in aside.rglob("*"):
            if not path.is_dir():
                path.chmod(path.stat().st_mode & 0o555)
        close_folders(aside)
        flush_filesystem(aside)
    to.chmod(0o555)


def _hex(digest: str) -> str:
    return digest.removeprefix(PREFIX)
