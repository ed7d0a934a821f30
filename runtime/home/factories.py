"""The wheelhouse, the environments and the index of a home, for the appliance and the CLI."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from packages.environment.building import Builder
from packages.environment.environment import Environments
from packages.index.index import Bounds, Index
from packages.lock.gate_watch import GateWatcher, UnwatchedGate
from packages.lock.locker import Locker
from packages.lock.policy import LockPolicy
from runtime.settings.setting_types import IndexSettings, LockSettings
from runtime.settings.settings import Settings
from runtime.values.clock import utc_now
from sandbox.command import Run
from sandbox.limits import MIB
from sandbox.sandbox import Sandbox
from wheelhouse.advisories.advisories import Advisories
from wheelhouse.archives.judging import Ceilings
from wheelhouse.judges.pool import Judges
from wheelhouse.lacking.missing import MissingList
from wheelhouse.store import Wheelhouse


def wheelhouse_of(home: Path, *, judges: Judges | None = None) -> Wheelhouse:
    """Return the wheelhouse of a home."""
    return Wheelhouse(home / "wheelhouse", judges=judges)


def ceilings_of(settings: Settings) -> Ceilings:
    """Return how much a bundle may hold."""
    return Ceilings(archive_bytes=settings.bundle_most_mb * MIB)


def missing_of(wheelhouse: Wheelhouse) -> MissingList:
    """Return the list of what failed locks lacked."""
    return MissingList(wheelhouse.root / "missing")


def advisories_of(wheelhouse: Wheelhouse) -> Advisories:
    """Return the advisories that an admin imported."""
    return Advisories(wheelhouse.root / "advisories")


def environments_of(home: Path, *, wheelhouse: Wheelhouse, run: Run) -> Environments:
    """Return the environments of a home, which are built with `run`."""
    builder = Builder(wheelhouse=wheelhouse, run=run, clock=utc_now)
    return Environments(root=home / "environments", builder=builder)


@asynccontextmanager
async def environments_in_cells(home: Path) -> AsyncGenerator[Environments]:
    """Offer the environments of a home, built in cells of our own, with no appliance running."""
    with tempfile.TemporaryDirectory(prefix="fumehood-cells-", dir="/var/tmp") as folder:
        sandbox = await Sandbox.open(Path(folder) / "cells", crossed=(Path(folder), home))
        try:
            yield environments_of(home, wheelhouse=wheelhouse_of(home), run=sandbox.run)
        finally:
            await sandbox.close()


def index_of(settings: IndexSettings) -> Index:
    """Return the index behind the gate."""
    return Index(
        url=settings.url,
        username=settings.username.get_secret_value(),
        password=settings.password.get_secret_value(),
        ca_bundle=settings.ca_bundle,
        proxy=settings.proxy.get_secret_value(),
        hosts=settings.hosts,
        private=settings.private,
        bounds=Bounds(
            page_mb=settings.page_mb,
            page_s=settings.page_s,
            lock_mb=settings.lock_mb,
            lock_s=settings.lock_s,
            wheel_mb=settings.wheel_mb,
            wheel_s=settings.wheel_s,
            least_kb_s=settings.least_kb_s,
        ),
    )


def locker_of(
    settings: Settings, *, wheelhouse: Wheelhouse, watch: GateWatcher | None = None
) -> Locker:
    """Return what locks by the admin's rules; `watch` is asked about the gate meanwhile."""
    return Locker(
        wheelhouse=wheelhouse,
        clock=utc_now,
        index=index_of(settings.index),
        policy=policy_of(settings.lock),
        missing=missing_of(wheelhouse),
        advisories=advisories_of(wheelhouse),
        watcher=watch or UnwatchedGate(),
    )


def policy_of(settings: LockSettings) -> LockPolicy:
    """Return the admin's rules for locks."""
    return LockPolicy(
        exclude_newer=settings.exclude_newer,
        allow=settings.allow,
        deny=settings.deny,
        wheelhouse_names=settings.wheelhouse_names,
        shared_names=settings.shared_names,
        advisories=settings.advisories,
        records=settings.records,
        wheels=settings.wheels,
        wheels_mb=settings.wheels_mb,
    )
