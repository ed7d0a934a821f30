"""Puts a worker together: its tasks, and who looks after what was lost and what is due."""

from datetime import timedelta
from functools import partial

from packages.archive import Bundles
from packages.preparation import prepare
from runtime.activations.supply import Supply
from runtime.activations.switchover import Switchover
from runtime.jobs.attempts.attempt import AttemptRunner
from runtime.jobs.attempts.slots import Slots
from runtime.jobs.schedules import Schedules
from runtime.queue.dispatch import Dispatch
from runtime.settings.settings import Settings
from runtime.telemetry.opening import Seen
from runtime.worker.attempt_task import AttemptTask
from runtime.worker.reconcile import Reconciler
from runtime.worker.signs_of_life import Living, SignsOfLife
from runtime.worker.tasks import WorkerTasks
from runtime.worker.timekeeping import Timekeeper

LATE_AFTER = 3
"""After so many intervals without it, the reconciler is run by the heartbeat."""


def tasks_of(
    settings: Settings,
    *,
    runner: AttemptRunner,
    bundles: Bundles,
    supply: Supply,
    dispatch: Dispatch,
    schedules: Schedules,
    makes_activations: bool,
    seen: Seen,
) -> WorkerTasks:
    """Return the tasks of the worker of `runner`, as the settings say."""
    store, clock = runner.store, runner.clock
    signs = SignsOfLife(lost_after_s=settings.worker_lost_after_s)
    living = Living(store=store, signs=signs)
    return WorkerTasks(
        worker=runner.worker,
        attempt=AttemptTask(
            runner=runner,
            store=store,
            dispatch=dispatch,
            notifier=runner.notifier,
            clock=clock,
            most_attempts=settings.most_attempts,
        ),
        switchover=_switchover(runner, bundles=bundles, supply=supply),
        reconciler=_reconciler(settings, runner=runner, dispatch=dispatch, living=living),
        timekeeper=Timekeeper(
            store=store,
            schedules=schedules,
            dispatch=dispatch,
            notifier=runner.notifier,
            clock=clock,
        ),
        dispatch=dispatch,
        store=store,
        clock=clock,
        living=living,
        cancellations=runner.cancellations,
        environments=runner.workshop.environments,
        settings=settings,
        makes_activations=makes_activations,
        slots=Slots(settings.slots),
        activation_slots=Slots(settings.slots),
        meter=seen.meter,
    )


def _switchover(runner: AttemptRunner, *, bundles: Bundles, supply: Supply) -> Switchover:
    return Switchover(
        store=runner.store,
        notifier=runner.notifier,
        bundles=bundles,
        prepare=partial(prepare, workshop=runner.workshop),
        clock=runner.clock,
        worker_id=runner.worker.id,
        supply=supply,
    )


def _reconciler(
    settings: Settings, *, runner: AttemptRunner, dispatch: Dispatch, living: Living
) -> Reconciler:
    return Reconciler(
        store=runner.store,
        dispatch=dispatch,
        clock=runner.clock,
        living=living,
        gate_clock=runner.gate_clock,
        most_attempts=settings.most_attempts,
        keys_live=timedelta(hours=settings.idempotency_h),
        late_after_s=LATE_AFTER * settings.reconcile_interval_s,
    )
