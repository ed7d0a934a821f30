"""The one place where the appliance is put together: each story is given what it uses."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version as distribution_version
from pathlib import Path

from docket import Docket

from packages.activation import Workshop
from packages.archive import Bundles
from packages.interpreters import platform_of, running
from packages.lock.grant import Ceiling
from packages.lock.keeping import Closings
from runtime.access.access import Access, access_of, owners_at
from runtime.activations.intake import Intake
from runtime.artifact.files import ArtifactFiles
from runtime.blobs.blob import Blobs
from runtime.blobs.local import LocalBlobs
from runtime.clock import Clock, utc_now
from runtime.gate.steady import GateClock
from runtime.gate.watch import GateWatch
from runtime.home import factories
from runtime.home.cleanup import sweep_home
from runtime.home.folders import LEVEL_FILE, make_home
from runtime.home.sole_use import alone_in
from runtime.ids import new_id
from runtime.jobs.attempt import AttemptRunner
from runtime.jobs.cancellations import Cancellations
from runtime.jobs.events import EventLog
from runtime.jobs.rules import policy_of
from runtime.jobs.schedules import Schedules
from runtime.jobs.submission import Submissions
from runtime.jobs.versions import Versions
from runtime.queue.dispatch import Dispatch, Tickets, make_docket
from runtime.queue.notifier import Notifier
from runtime.settings import Settings
from runtime.store import workers
from runtime.store.migrate import migrate
from runtime.store.sqlite import SqliteStore, open_sqlite, sqlite_engine
from runtime.store.store import Store
from runtime.values.line import Ability
from runtime.values.records import Worker
from runtime.worker.around import AroundJobs, around_jobs
from runtime.worker.readiness import Readiness
from runtime.worker.tasks import WorkerTasks
from runtime.worker.tasks_of import tasks_of
from sandbox.command import Level
from sandbox.sandbox import Sandbox
from sandbox.walls import shown_level
from wheelhouse.judges.pool import Judges
from wheelhouse.store import Wheelhouse

IN_PROCESS = "memory://"
SELDOM_S, OFTEN_S = 15.0, 0.25
"""How often followers look again: all news are this process's own, or some are another's."""
log = logging.getLogger("fumehood.appliance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Appliance:
    """What a process of ours is made of, and whether it is about to stop.

    Only `serve` and `trial` see it whole; every story was given what it uses.
    """

    settings: Settings
    clock: Clock
    store: Store
    closings: Closings
    notifier: Notifier
    events: EventLog
    artifacts: ArtifactFiles
    blobs: Blobs
    bundles: Bundles
    wheelhouse: Wheelhouse
    judges: Judges
    workshop: Workshop
    submissions: Submissions
    schedules: Schedules
    intake: Intake
    access: Access
    tasks: WorkerTasks
    around: AroundJobs
    readiness: Readiness
    gate_clock: GateClock
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
            stack.enter_context(alone_in(settings.home))
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
        appliance = _appliance(
            settings, store=store, docket=docket, sandbox=sandbox, least=least, judges=judges
        )
        appliance.tasks.register()
        if is_alone:
            await _recover(appliance.tasks)
        yield appliance


def _least(settings: Settings, level: Level, file: Path) -> Level:
    """Return the level below which nothing runs; warn where this host had a better one before."""
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
    """Return the homes that hold what cells run: `fumehood try` links to folders of another one."""
    shared = (home / name for name in ("environments", "wheelhouse"))
    return tuple({home, *(folder.resolve().parent for folder in shared)})


def _warn_of_no_advisories(settings: Settings) -> None:
    known = factories.advisories_of(factories.wheelhouse_of(settings.home))
    if settings.lock.advisories == "refuse" and known.snapshot() is None:
        log.warning(
            "known vulnerabilities shall be refused (lock.advisories), and none are known: "
            "`fumehood wheelhouse advisories import all.zip`"
        )


async def _open_store(settings: Settings) -> SqliteStore:
    await asyncio.to_thread(_migrate, settings)
    return open_sqlite(settings.database_path)


def _migrate(settings: Settings) -> None:
    engine = sqlite_engine(settings.database_path)
    try:
        migrate(engine, lock_file=settings.home / "migrate.lock")
    finally:
        engine.dispose()


def _appliance(
    settings: Settings,
    *,
    store: SqliteStore,
    docket: Docket,
    sandbox: Sandbox,
    least: Level,
    judges: Judges,
) -> Appliance:
    notifier = Notifier()
    watch = GateWatch(store=store, clock=GateClock())
    workshop = _workshop(settings, sandbox=sandbox, watch=watch, least=least, judges=judges)
    tickets = Tickets(is_told=settings.docket_url.startswith(IN_PROCESS))
    dispatch = Dispatch(docket=docket, clock=utc_now, tickets=tickets)
    bundles = Bundles(settings.home / "bundles", judges=judges)
    runner = _runner(settings, watch=watch, notifier=notifier, workshop=workshop, bundles=bundles)
    around = around_jobs(settings, runner=runner, dispatch=dispatch, judges=judges)
    submissions = _submissions(
        settings, runner=runner, dispatch=dispatch, judges=judges, around=around
    )
    schedules = Schedules(
        store=store,
        submissions=submissions,
        clock=utc_now,
        most=settings.dispatch.schedules_most,
    )
    tasks = tasks_of(
        settings, runner=runner, bundles=bundles, dispatch=dispatch, schedules=schedules
    )
    return Appliance(
        settings=settings,
        clock=utc_now,
        store=store,
        closings=watch.closings,
        notifier=notifier,
        events=runner.events,
        artifacts=runner.artifacts,
        blobs=runner.blobs,
        bundles=bundles,
        wheelhouse=workshop.house,
        judges=judges,
        workshop=workshop,
        submissions=submissions,
        schedules=schedules,
        intake=Intake(
            store=store,
            dispatch=dispatch,
            bundles=bundles,
            judges=judges,
            ceilings=factories.ceilings_of(settings),
            clock=utc_now,
        ),
        access=access_of(settings, store=store, clock=utc_now, owners=owners_at(sandbox.level)),
        tasks=tasks,
        around=around,
        readiness=Readiness(store=store, home=settings.home, living=tasks.living),
        gate_clock=watch.clock,
        stopping=asyncio.Event(),
    )


def _submissions(
    settings: Settings,
    *,
    runner: AttemptRunner,
    dispatch: Dispatch,
    judges: Judges,
    around: AroundJobs,
) -> Submissions:
    return Submissions(
        store=runner.store,
        dispatch=dispatch,
        notifier=runner.notifier,
        cancellations=runner.cancellations,
        clock=utc_now,
        queue_limit=settings.queue_limit,
        judges=judges,
        quotas=around.quotas,
        deliveries=around.deliveries,
        policy=policy_of(settings.dispatch),
    )


def _runner(
    settings: Settings,
    *,
    watch: GateWatch,
    notifier: Notifier,
    workshop: Workshop,
    bundles: Bundles,
) -> AttemptRunner:
    return AttemptRunner(
        store=watch.store,
        notifier=notifier,
        events=EventLog(
            store=watch.store,
            notifier=notifier,
            clock=utc_now,
            look_again_s=SELDOM_S if settings.docket_url.startswith(IN_PROCESS) else OFTEN_S,
        ),
        artifacts=ArtifactFiles(folder=settings.home / "jobs"),
        blobs=LocalBlobs(settings.home / "blobs"),
        versions=Versions(bundles=bundles, environments=workshop.environments),
        workshop=workshop,
        cancellations=Cancellations(),
        secrets=settings.secrets,
        worker=_worker(settings),
        ability=Ability(platform=platform_of(running())),
        clock=utc_now,
        gate_clock=watch.clock,
        jobs_folder=settings.home / "jobs",
        question_at_most=timedelta(hours=settings.question_h),
        phase_s=settings.dispatch.phase_s,
    )


def _workshop(
    settings: Settings,
    *,
    sandbox: Sandbox,
    watch: GateWatch,
    least: Level,
    judges: Judges,
) -> Workshop:
    wheelhouse = factories.wheelhouse_of(settings.home, judges=judges)
    return Workshop(
        house=wheelhouse,
        locker=factories.locker_of(settings, wheelhouse=wheelhouse, watch=watch),
        environments=factories.environments_of(
            settings.home, wheelhouse=wheelhouse, run=sandbox.run
        ),
        run=sandbox.run,
        data_root=settings.home / "data",
        ceiling=Ceiling(
            limits=settings.limits,
            run_network=settings.network_of_runs(),
            source_builds=settings.source_builds,
            secrets=frozenset(settings.secrets),
        ),
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
        platform=platform_of(running()),
    )


async def _recover(tasks: WorkerTasks) -> None:
    """Requeue all that is recorded as running: its worker is gone, since the home is ours alone."""
    await tasks.store.run(workers.forget_others, worker=tasks.worker.id)
    await tasks.reconciler.recover(alive=[])
    await tasks.reconciler.dispatch_again(patience=timedelta(0))
