"""The workshop of a home: where versions are prepared, by the admin's rules."""

from packages.environment.environment import Environments
from packages.lock.grant import Ceiling
from packages.lock.locker import Locker
from packages.preparation import Workshop
from runtime.settings.settings import Settings
from sandbox.command import Level, Run
from sandbox.walls import shown_level
from wheelhouse.store import Wheelhouse


def workshop_for(
    settings: Settings,
    *,
    wheelhouse: Wheelhouse,
    locker: Locker,
    environments: Environments,
    run: Run,
    least: Level,
) -> Workshop:
    """Return where versions are prepared and their functions run."""
    return Workshop(
        wheelhouse=wheelhouse,
        locker=locker,
        environments=environments,
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


def least_of(settings: Settings, *, shown: Level) -> Level:
    """Return the level below which nothing runs on a host that has `shown` that one."""
    is_on_purpose = "least_level" in settings.model_fields_set
    return shown_level.least(
        settings.least_level, shown=shown, is_demanded_on_purpose=is_on_purpose
    )
