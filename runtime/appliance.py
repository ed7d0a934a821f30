"""The one place where the parts of the appliance are put together."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version as distribution_version
from pathlib import Path

from docket import Docket

from packages.activation import Workshop
from packages.archive import Bundles
from packages.grant import Ceiling
from packages.keeping import Closings
from runtime import house
from runtime.artifact_files import ArtifactFiles
from runtime.bell import Bell
from runtime.blobs.local import LocalBlobs
from runtime.cancellations import Cancellations
from runtime.clock import utc_now
from runtime.dispatch import Dispatch, make_docket
from runtime.errors import HomeInUse
from runtime.events import EventLog
from runtime.gatekeeper import Gatekeeper
from runtime.home import LEVEL_FILE, make_home
from runtime.ids import new_id
from runtime.parts import Parts
from runtime.reconcile import Reconciler
from runtime.records import Worker
from runtime.settings import Settings
from runtime.store import workers
from runtime.store.migrate import migrate
from runtime.store.sqlite import SqliteStore, open_sqlite, sqlite_engine
from runtime.sweeping import sweep_home
from runtime.worker import Hands
from sandbox import shown_level
from sandbox.command import Level
from sandbox.sandbox import Sandbox
from wheelhouse.judges.pool import Judges
from wheelhouse.locks import holders, open_lock, try_lock
from wheelhouse.store import Wheelhouse

IN_PROCESS = "memory://"
log = logging.getLogger("fumehood.appliance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Appliance:
    """What a process of ours holds: its parts, its hands, and whether it is about to stop."""

    parts: Parts
    hands: Hands
    stopping: asyncio.Event


@asynccontextmanager
async def open_appliance(
    settings: Settings, *, level_file: Path | None = None
) -> AsyncGenerator[Appliance]:
    """Offer the appliance of these settings; everything is closed afterwards.

    What an earlier process left running is put back into the queue first. `level_file` is where
    the best level of this host is noted, if not in the home.
    """
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(make_home, settings.home)
        is_alone = settings.docket_url.startswith(IN_PROCESS)
        if is_alone:
            stack.enter_context(_alone_in(settings.home))
        if swept := await asyncio.to_thread(sweep_home, settings.home, is_alone=is_alone):
            log.info("removed %d half-made things that a killed process had left", swept)
        store = await _open_store(settings)
        stack.push_async_callback(store.close)
        docket = await stack.enter_async_context(make_docket(settings))
        sandbox = await Sandbox.open(settings.home / "cells", crossed=_around(settings.home))
        for reason in sandbox.missing:
            log.warning("cells run at level %s: %s", sandbox.level, reason)
        stack.push_async_callback(sandbox.close)
        _warn_of_no_advisories(settings)
        level_file = level_file or settings.home / LEVEL_FILE
        least = await asyncio.to_thread(_least, settings, sandbox.level, level_file)
        judges = stack.enter_context(Judges())
        parts = _parts(
            settings, store=store, docket=docket, sandbox=sandbox, least=least, judges=judges
        )
        hands = Hands(parts=parts, reconciler=_reconciler(parts))
        hands.register()
        if is_alone:
            await _recover(hands)
        yield Appliance(parts=parts, hands=hands, stopping=asyncio.Event())


def _least(settings: Settings, level: Level, file: Path) -> Level:
    """Return the level below which nothing runs, with a word where this host had a better one."""
    shown = shown_level.note(file, level)
    is_on_purpose = "least_level" in settings.model_fields_set
    least = shown_level.least(
        settings.least_level, shown=shown, is_demanded_on_purpose=is_on_purpose
    )
    if not level.at_least(shown):
        log.warning(
            "this host allowed level %s before, and now %s: see `fumehood doctor` for what is "
            "missing; to run at this level all the same, set least_level",
            shown,
            level,
        )
    return least


def _around(home: Path) -> tuple[Path, ...]:
    """Return the homes that hold what cells run: a `fumehood try` shares another's."""
    shared = (home / name for name in ("environments", "wheelhouse"))
    return tuple({home, *(folder.resolve().parent for folder in shared)})


def _warn_of_no_advisories(settings: Settings) -> None:
    known = house.advisories_of(house.wheelhouse_of(settings.home))
    if settings.lock.advisories == "refuse" and known.snapshot() is None:
        log.warning(
            "known vulnerabilities shall be refused (lock.advisories), and none are known: "
            "`fumehood wheelhouse advisories import all.zip`"
        )


@contextmanager
def _alone_in(home: Path) -> Generator[None]:
    """Hold the home: with the queue inside the process there can be one process only."""
    path = home / "fumehood.lock"
    descriptor = open_lock(path)
    try:
        if not try_lock(descriptor):
            raise HomeInUse(
                f"Another appliance is using {home}: {holders(path)}",
                where=str(home),
                mend="stop it, choose another FUMEHOOD_HOME, or set FUMEHOOD_DOCKET_URL to a Redis",
            )
        yield
    finally:
        os.close(descriptor)


async def _open_store(settings: Settings) -> SqliteStore:
    await asyncio.to_thread(_migrate, settings)
    return open_sqlite(settings.database_path)


def _migrate(settings: Settings) -> None:
    engine = sqlite_engine(settings.database_path)
    try:
        migrate(engine, lock_file=settings.home / "migrate.lock")
    finally:
        engine.dispose()


def _parts(
    settings: Settings,
    *,
    store: SqliteStore,
    docket: Docket,
    sandbox: Sandbox,
    least: Level,
    judges: Judges,
) -> Parts:
    bell, closings = Bell(), Closings()
    wheelhouse = house.wheelhouse_of(settings.home, judges=judges)
    ceiling = Ceiling(
        limits=settings.limits,
        run_network=settings.network_of_runs(),
        source_builds=settings.source_builds,
        secrets=frozenset(settings.secrets),
    )
    return Parts(
        settings=settings,
        clock=utc_now,
        store=store,
        blobs=LocalBlobs(settings.home / "blobs"),
        bell=bell,
        closings=closings,
        events=EventLog(store=store, bell=bell, clock=utc_now),
        artifacts=ArtifactFiles(folder=settings.home / "jobs"),
        cancellations=Cancellations(),
        dispatch=Dispatch(docket=docket, clock=utc_now),
        bundles=Bundles(settings.home / "bundles", judges=judges),
        wheelhouse=wheelhouse,
        judges=judges,
        workshop=_workshop(
            settings,
            wheelhouse=wheelhouse,
            ceiling=ceiling,
            sandbox=sandbox,
            store=store,
            least=least,
            closings=closings,
        ),
        run=sandbox.run,
        ceiling=ceiling,
        least=least,
        worker=_worker(settings),
        jobs_folder=settings.home / "jobs",
    )


def _workshop(
    settings: Settings,
    *,
    wheelhouse: Wheelhouse,
    ceiling: Ceiling,
    sandbox: Sandbox,
    store: SqliteStore,
    least: Level,
    closings: Closings,
) -> Workshop:
    keeper = Gatekeeper(store=store, clock=utc_now, closings=closings)
    return Workshop(
        house=wheelhouse,
        locker=house.locker_of(settings, house=wheelhouse, keeper=keeper),
        environments=house.environments_of(settings.home, house=wheelhouse, run=sandbox.run),
        run=sandbox.run,
        data_root=settings.home / "data",
        ceiling=ceiling,
        least=least,
    )


def _worker(settings: Settings) -> Worker:
    now = utc_now()
    return Worker(
        id=f"{socket.gethostname()}-{os.getpid()}-{new_id()[-8:]}",
        host=socket.gethostname(),
        version=distribution_version("fumehood"),
        slots=settings.slots,
        started_at=now,
        seen_at=now,
    )


def _reconciler(parts: Parts) -> Reconciler:
    return Reconciler(
        store=parts.store,
        dispatch=parts.dispatch,
        clock=parts.clock,
        lost_after=timedelta(seconds=parts.settings.worker_lost_after_s),
        most_attempts=parts.settings.most_attempts,
    )


async def _recover(hands: Hands) -> None:
    """Put back all that runs: whoever ran it is gone, since the home is ours alone."""
    parts = hands.parts
    await parts.store.run(workers.forget_others, worker=parts.worker.id)
    await hands.reconciler.recover(alive=[])
    await hands.reconciler.dispatch_again(patience=timedelta(0))
