"""What this host gives to packages: the workshop, what comes to it from others, and its level."""

import logging
from pathlib import Path

from packages.archive import Bundles
from packages.preparation import Workshop
from runtime.activations.carried_environments import CarriedEnvironments
from runtime.activations.home_cache import HomeCache
from runtime.activations.in_use import InUse
from runtime.activations.supply import DepotSupply, SharedHomeSupply, Supply
from runtime.blobs.opening import Bytes
from runtime.gate.watch import GateWatch
from runtime.home import factories
from runtime.home.workshop import least_of, workshop_for
from runtime.settings.settings import Settings
from runtime.telemetry.opening import Seen
from runtime.values.clock import utc_now
from sandbox.command import Level
from sandbox.limits import MIB
from sandbox.sandbox import Sandbox
from sandbox.walls import shown_level
from wheelhouse.judges.pool import Judges

log = logging.getLogger("fumehood.appliance")


def make_workshop(
    settings: Settings,
    *,
    sandbox: Sandbox,
    least: Level,
    judges: Judges,
    watch: GateWatch,
    seen: Seen,
) -> Workshop:
    """Return where versions are prepared and their functions run."""
    wheelhouse = factories.wheelhouse_of(settings.home, judges=judges)
    run = seen.run(sandbox.run)
    return workshop_for(
        settings,
        wheelhouse=wheelhouse,
        locker=factories.locker_of(settings, wheelhouse=wheelhouse, watch=watch),
        environments=seen.environments(
            factories.environments_of(settings.home, wheelhouse=wheelhouse, run=run)
        ),
        run=run,
        least=least,
    )


def supply_of(
    settings: Settings,
    *,
    kept: Bytes,
    bundles: Bundles,
    workshop: Workshop,
    in_use: InUse,
    is_cache: bool,
) -> Supply:
    """Return how what versions need comes to those who run them.

    `is_cache` says that the home has nothing that is not in the bucket as well.
    """
    if kept.is_shared_home:
        return SharedHomeSupply()
    cache = HomeCache(
        bundles=bundles,
        wheelhouse=workshop.wheelhouse,
        environments=workshop.environments,
        data_root=settings.home / "data",
        in_use=in_use,
        most_bytes=settings.worker_cache_mb * MIB,
    )
    carried = CarriedEnvironments(depot=kept.depot, environments=workshop.environments)
    return DepotSupply(
        depot=kept.depot,
        bundles=bundles,
        wheelhouse=workshop.wheelhouse,
        data_root=settings.home / "data",
        ceilings=factories.ceilings_of(settings),
        clock=utc_now,
        carried=carried if settings.carry_environments else None,
        cache=cache if is_cache else None,
    )


def least_level(settings: Settings, level: Level, file: Path) -> Level:
    """Return the level below which nothing runs; warn where this host had a better one before."""
    shown = shown_level.note(file, level)
    least = least_of(settings, shown=shown)
    if not level.at_least(shown):
        log.warning(
            "this host allowed level %s before, and now %s: see `fumehood doctor` for what is "
            "missing; to run at this level all the same, set least_level",
            shown,
            level,
        )
    return least
