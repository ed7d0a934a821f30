"""The workshop of a worker: what installs, locks and runs, by the settings of the appliance."""

from packages.activation import Workshop
from packages.lock.grant import Ceiling
from packages.lock.keeping import Closings
from runtime.clock import utc_now
from runtime.gate.watch import GateWatch
from runtime.home import factories
from runtime.settings import Settings
from runtime.store.store import Store
from runtime.telemetry.opening import Seen
from sandbox.command import Level, Run
from wheelhouse.judges.pool import Judges


def make_workshop(
    settings: Settings,
    *,
    run: Run,
    store: Store,
    least: Level,
    judges: Judges,
    closings: Closings,
    seen: Seen,
) -> Workshop:
    """Return the workshop of these settings; `least` is the level below which nothing runs."""
    wheelhouse = factories.wheelhouse_of(settings.home, judges=judges)
    watch = GateWatch(store=store, clock=utc_now, closings=closings)
    return Workshop(
        house=wheelhouse,
        locker=factories.locker_of(settings, wheelhouse=wheelhouse, watch=watch),
        environments=seen.environments(
            factories.environments_of(settings.home, wheelhouse=wheelhouse, run=run)
        ),
        run=run,
        data_root=settings.home / "data",
        ceiling=Ceiling(
            limits=settings.limits,
            run_network=settings.network_of_runs(),
            source_builds=settings.source_builds,
            secrets=frozenset(settings.secrets),
        ),
        least=least,
    )
