"""What this host gives to packages: the workshop, what comes to it from others, and its level."""

import logging
import os
import socket
from collections.abc import Iterable
from importlib.metadata import version as distribution_version
from pathlib import Path

from packages.activation import Workshop
from packages.archive import Bundles
from packages.interpreters import abi_of, every, platform_of, running
from packages.lock.grant import Ceiling
from packages.lock.keeping import Closings
from runtime.activations.supply import DepotSupply, SharedHomeSupply, Supply
from runtime.blobs.opening import Bytes
from runtime.clock import utc_now
from runtime.gate.watch import GateWatch
from runtime.home import factories
from runtime.ids import new_id
from runtime.settings import Settings
from runtime.store.store import Store
from runtime.values.line import ANY_PYTHON, as_words
from runtime.values.records import Worker
from sandbox.command import Level
from sandbox.sandbox import Sandbox
from sandbox.walls import shown_level
from wheelhouse.judges.pool import Judges
from wheelhouse.store import Wheelhouse

log = logging.getLogger("fumehood.appliance")


def make_workshop(
    settings: Settings,
    *,
    sandbox: Sandbox,
    store: Store,
    least: Level,
    judges: Judges,
    closings: Closings,
) -> Workshop:
    """Return where versions are prepared and their functions run."""
    wheelhouse = factories.wheelhouse_of(settings.home, judges=judges)
    watch = GateWatch(store=store, clock=utc_now, closings=closings)
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


def supply_of(
    settings: Settings, *, kept: Bytes, bundles: Bundles, wheelhouse: Wheelhouse
) -> Supply:
    """Return how what versions need comes to those who run them."""
    if kept.is_shared_home:
        return SharedHomeSupply()
    return DepotSupply(
        depot=kept.depot,
        bundles=bundles,
        wheelhouse=wheelhouse,
        data_root=settings.home / "data",
        ceilings=factories.ceilings_of(settings),
        clock=utc_now,
    )


def least_level(settings: Settings, level: Level, file: Path) -> Level:
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


def homes_around(home: Path) -> tuple[Path, ...]:
    """Return the homes that hold what cells run: `fumehood try` links to folders of another one."""
    shared = (home / name for name in ("environments", "wheelhouse"))
    return tuple({home, *(folder.resolve().parent for folder in shared)})


def this_worker(settings: Settings, *, level: Level) -> Worker:
    """Return what the others know of this process; blocks while the Pythons are asked."""
    now = utc_now()
    return Worker(
        id=f"{socket.gethostname()}-{os.getpid()}-{new_id()[-8:]}",
        host=socket.gethostname(),
        version=distribution_version("fumehood"),
        slots=settings.slots,
        started_at=now,
        seen_at=now,
        platform=platform_of(running()),
        offers=as_words((*_pythons(settings), *settings.labels)),
        level=level.value,
    )


def _pythons(settings: Settings) -> Iterable[str]:
    """Return the Pythons of this host, each of which is started once to ask it."""
    if settings.is_one_process:
        return (ANY_PYTHON,)  # what is activated here runs here
    return (abi_of(one) for one in every())
