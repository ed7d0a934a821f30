"""The one place where the appliance is put together: each story is given what it uses."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from enum import Enum
from functools import partial
from pathlib import Path

from frozen.values import frozen
from packages.archive import Bundles
from packages.preparation import Workshop
from runtime.access.access import Access, access_of, owners_at
from runtime.activations.in_use import InUse
from runtime.activations.intake import Intake
from runtime.activations.supply import Supply
from runtime.appliance.sandboxes import OpeningSandbox
from runtime.appliance.workshops import least_level, make_workshop, supply_of
from runtime.artifact.artifacts import Artifacts
from runtime.artifact.files import ArtifactFiles
from runtime.blobs.opening import Bytes, open_bytes
from runtime.faults.errors import RuntimeFault
from runtime.gate.steady import GateClock
from runtime.gate.watch import GateWatch
from runtime.home import factories, membership
from runtime.home.cleanup import sweep_home
from runtime.home.folders import LEVEL_FILE
from runtime.http.services import Services
from runtime.jobs.attempts.attempt import AttemptRunner
from runtime.jobs.attempts.cancellations import Cancellations
from runtime.jobs.attempts.events import EventLog
from runtime.jobs.attempts.versions import Versions
from runtime.jobs.orders.rules import policy_of
from runtime.jobs.orders.submission import Submissions
from runtime.jobs.schedules import Schedules
from runtime.queue.dispatch import Dispatch, Tickets
from runtime.queue.notifier import Notifier
from runtime.queue.queue import OpenQueues, Queues
from runtime.settings.settings import Settings
from runtime.store import cluster, workers
from runtime.store.databases.database import database_at
from runtime.store.databases.store import Store
from runtime.telemetry.opening import Seen, seen_of
from runtime.values.clock import utc_now
from runtime.values.records import Worker
from runtime.values.when.line import Ability
from runtime.worker.around import AroundJobs, around_jobs
from runtime.worker.readiness import Readiness
from runtime.worker.tasks import WorkerTasks
from runtime.worker.tasks_of import tasks_of
from runtime.worker.this_worker import this_worker
from sandbox.command import Level
from sandbox.sandbox import Sandbox
from wheelhouse.judges.pool import Judges

SELDOM_S, OFTEN_S = 15.0, 1.0
"""How often followers look again: news of this process is never lost, and another's may be."""
log = logging.getLogger("fumehood.appliance")


class Role(Enum):
    """What a process of ours does for its cluster."""

    SERVES = "serves"
    WORKS = "works"


@frozen
class Appliance:
    """What a process of ours is made of; only `serve` and `trial` see it whole."""

    services: Services
    tasks: WorkerTasks
    around: AroundJobs


@asynccontextmanager
async def open_appliance(
    settings: Settings,
    *,
    open_queues: OpenQueues,
    role: Role = Role.SERVES,
    sandbox: OpeningSandbox,
    level_file: Path | None = None,
    judges: Judges | None = None,
) -> AsyncGenerator[Appliance]:
    """Offer the appliance of these settings, whose home is held; all is closed afterwards.

    What an earlier process left running is put back into the queue first. `level_file` is where
    the best level of this host is noted, if not in the home; the sandbox, and judges that are
    given, are closed by who began them. Raises MixedSetUp.
    """
    async with AsyncExitStack() as stack:
        await _sweep(settings)
        kept = await open_bytes(settings)
        store, is_new = await _open_store(settings, role=role)
        stack.push_async_callback(store.close)
        queues = await stack.enter_async_context(open_queues(settings))
        opened = await sandbox
        _warn_of_no_advisories(settings)
        level_file = level_file or settings.home / LEVEL_FILE
        least = await asyncio.to_thread(least_level, settings, opened.level, level_file)
        judges = judges or stack.enter_context(Judges())
        worker = await asyncio.to_thread(
            this_worker, settings, level=opened.level, is_serving=role is Role.SERVES
        )
        await stack.enter_async_context(_among_the_cluster(settings, store=store, worker=worker))
        seen = seen_of(settings, store=store, clock=utc_now, worker=worker)
        stack.push_async_callback(asyncio.to_thread, seen.close)
        appliance = _appliance(
            settings,
            seen=seen,
            store=store,
            kept=kept,
            queues=queues,
            sandbox=opened,
            least=least,
            judges=judges,
            makes_activations=role is Role.SERVES or kept.is_shared_home,
        )
        appliance.tasks.register()
        if not settings.is_one_process:
            await stack.enter_async_context(queues.news(appliance.services.notifier))
        elif not is_new:
            await _recover(appliance.tasks)
        yield appliance


async def _sweep(settings: Settings) -> None:
    swept = await asyncio.to_thread(sweep_home, settings.home, is_alone=settings.is_one_process)
    if swept:
        log.info("removed %d half-made things that a killed process had left", swept)


@asynccontextmanager
async def _among_the_cluster(
    settings: Settings, *, store: Store, worker: Worker
) -> AsyncGenerator[None]:
    """Be known to the other processes of the database meanwhile. Raises MixedSetUp."""
    await store.run(
        cluster.join,
        cluster=membership.cluster_of(settings),
        worker=worker,
        alive_since=utc_now() - timedelta(seconds=settings.worker_lost_after_s),
    )
    try:
        yield
    finally:
        with suppress(RuntimeFault):  # away: then the others find that it is gone
            await store.run(workers.forget, worker=worker.id)


def _warn_of_no_advisories(settings: Settings) -> None:
    known = factories.advisories_of(factories.wheelhouse_of(settings.home))
    if settings.lock.advisories == "refuse" and known.snapshot() is None:
        log.warning(
            "known vulnerabilities shall be refused (lock.advisories), and none are known: "
            "`fumehood wheelhouse advisories import all.zip`"
        )


async def _open_store(settings: Settings, *, role: Role) -> tuple[Store, bool]:
    """Return the store, and whether nobody can have left anything in it."""
    database = database_at(settings.database_url, home=settings.home)
    is_new = settings.is_one_process and not await asyncio.to_thread(database.is_there)
    await asyncio.to_thread(database.migrate if role is Role.SERVES else database.check)
    # In a file, what a writer had in hand when it died is told by its mark, as long as nobody else
    # leaves marks there: workers that share a home and its file would.
    is_sole = settings.is_one_process or bool(settings.database_url)
    return database.open(is_apart=settings.writer_process and is_sole), is_new


def _appliance(
    settings: Settings,
    *,
    store: Store,
    kept: Bytes,
    queues: Queues,
    sandbox: Sandbox,
    least: Level,
    judges: Judges,
    makes_activations: bool,
    seen: Seen,
) -> Appliance:
    notifier = Notifier()
    watch = GateWatch(store=store, clock=GateClock())
    workshop = make_workshop(
        settings, sandbox=sandbox, least=least, judges=judges, watch=watch, seen=seen
    )
    dispatch = _dispatch(settings, queues)
    bundles = Bundles(settings.home / "bundles", judges=judges)
    in_use = InUse()
    supplying = partial(supply_of, settings, kept=kept, bundles=bundles, workshop=workshop)
    supply = supplying(in_use=in_use, is_cache=not seen.worker.serves)
    versions = Versions(bundles=bundles, environments=workshop.environments, supply=supply)
    making = partial(_runner, settings, seen=seen, kept=kept, gate_clock=watch.clock, in_use=in_use)
    runner = making(notifier=notifier, workshop=workshop, versions=versions)
    around = around_jobs(settings, runner=runner, dispatch=dispatch, judges=judges)
    submissions = _submissions(settings, runner=runner, dispatch=dispatch, around=around)
    intake = _intake(
        settings, store=store, dispatch=dispatch, bundles=bundles, judges=judges, supply=supply
    )
    schedules = _schedules(settings, store=store, submissions=submissions)
    taking = partial(tasks_of, settings, runner=runner, supply=supply, dispatch=dispatch, seen=seen)
    tasks = taking(bundles=bundles, schedules=schedules, makes_activations=makes_activations)
    access = access_of(settings, store=store, clock=utc_now, owners=owners_at(sandbox.level))
    offering = partial(_services, settings, runner=runner, tasks=tasks, around=around, watch=watch)
    services = offering(
        bundles=bundles,
        judges=judges,
        submissions=submissions,
        schedules=schedules,
        intake=intake,
        access=access,
    )
    return Appliance(services=services, tasks=tasks, around=around)


def _services(
    settings: Settings,
    *,
    runner: AttemptRunner,
    tasks: WorkerTasks,
    around: AroundJobs,
    watch: GateWatch,
    bundles: Bundles,
    judges: Judges,
    submissions: Submissions,
    schedules: Schedules,
    intake: Intake,
    access: Access,
) -> Services:
    store = runner.store
    return Services(
        settings=settings,
        clock=utc_now,
        store=store,
        closings=watch.closings,
        notifier=runner.notifier,
        events=runner.events,
        artifacts=runner.artifacts,
        blobs=runner.blobs,
        bundles=bundles,
        wheelhouse=runner.workshop.wheelhouse,
        judges=judges,
        workshop=runner.workshop,
        submissions=submissions,
        schedules=schedules,
        intake=intake,
        access=access,
        stopping=asyncio.Event(),
        bulk=around.bulk,
        retention=around.retention,
        deliveries=around.deliveries,
        questions=around.questions,
        readiness=Readiness(store=store, home=settings.home, living=tasks.living),
        gate_clock=watch.clock,
        meter=tasks.meter,
    )


def _schedules(settings: Settings, *, store: Store, submissions: Submissions) -> Schedules:
    return Schedules(
        store=store,
        submissions=submissions,
        clock=utc_now,
        most=settings.dispatch.schedules_most,
    )


def _intake(
    settings: Settings,
    *,
    store: Store,
    dispatch: Dispatch,
    bundles: Bundles,
    judges: Judges,
    supply: Supply,
) -> Intake:
    return Intake(
        store=store,
        dispatch=dispatch,
        bundles=bundles,
        judges=judges,
        ceilings=factories.ceilings_of(settings),
        clock=utc_now,
        supply=supply,
    )


def _dispatch(settings: Settings, queues: Queues) -> Dispatch:
    return Dispatch(queues=queues, clock=utc_now, tickets=Tickets(is_told=settings.is_one_process))


def _submissions(
    settings: Settings,
    *,
    runner: AttemptRunner,
    dispatch: Dispatch,
    around: AroundJobs,
) -> Submissions:
    return Submissions(
        store=runner.store,
        dispatch=dispatch,
        notifier=runner.notifier,
        cancellations=runner.cancellations,
        clock=utc_now,
        queue_limit=settings.queue_limit,
        judges=around.questions.judges,
        quotas=around.quotas,
        deliveries=around.deliveries,
        policy=policy_of(settings.dispatch),
        telemetry=runner.telemetry,
    )


def _runner(
    settings: Settings,
    *,
    seen: Seen,
    kept: Bytes,
    gate_clock: GateClock,
    in_use: InUse,
    notifier: Notifier,
    workshop: Workshop,
    versions: Versions,
) -> AttemptRunner:
    return AttemptRunner(
        store=seen.meter.store,
        notifier=notifier,
        events=EventLog(
            store=seen.meter.store,
            notifier=notifier,
            clock=utc_now,
            look_again_s=SELDOM_S if settings.is_one_process else OFTEN_S,
        ),
        artifacts=Artifacts(
            store=seen.meter.store,
            files=ArtifactFiles(
                folder=settings.home / "jobs",
                depot=kept.depot,
                is_home=kept.is_shared_home or bool(seen.worker.serves),
            ),
        ),
        blobs=kept.blobs,
        versions=versions,
        in_use=in_use,
        workshop=workshop,
        cancellations=Cancellations(notifier),
        secrets=settings.secrets,
        worker=seen.worker,
        ability=Ability(
            platform=seen.worker.platform, offers=frozenset(seen.worker.offers.split())
        ),
        clock=utc_now,
        gate_clock=gate_clock,
        jobs_folder=settings.home / "jobs",
        question_at_most=timedelta(hours=settings.question_h),
        phase_s=settings.dispatch.phase_s,
        telemetry=seen.telemetry,
    )


async def _recover(tasks: WorkerTasks) -> None:
    """Requeue all that is recorded as running: its worker is gone, since the home is ours alone."""
    await tasks.store.run(workers.forget_others, worker=tasks.worker.id)
    await tasks.reconciler.recover(alive=[])
    await tasks.reconciler.dispatch_again(patience=timedelta(0))
