"""Which wheels are in use: no pruning takes what an environment or a lock needs."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from packages.archive import Bundles
from packages.environment.environment import Environments
from packages.environment.maintenance import locked_digests
from packages.errors import PackageError
from packages.lock.judging import addresses_of
from packages.lock.lock import read_lock
from runtime.faults.errors import StateConflict
from runtime.home.offline_database import in_home
from runtime.settings.settings import Settings
from runtime.store.packages import activations
from wheelhouse.store import Wheelhouse
from wheelhouse.upkeep import Pruned, prune


def prune_wheels(
    wheelhouse: Wheelhouse,
    *,
    settings: Settings,
    environments: Environments,
    unused_for: timedelta,
    now: datetime,
    is_dry_run: bool,
) -> Pruned:
    """Remove the wheels that nothing needs and that came before `now` - `unused_for`.

    Needed is what some environment is built from, what the lock of any version that was ever
    active names (one can go back to it), and what authors locked. Raises StateConflict while
    a version is being activated: it may just have chosen a wheel.
    """
    if not is_dry_run and in_home(settings, activations.unfinished):
        raise activation_under_way("wheelhouse")
    young = {w.sha256 for w in wheelhouse.wheels() if w.origin.at > now - unused_for}
    needed = {*locked_digests(environments), *_active_digests(settings)}
    for _, digests in authors_digests(Bundles(settings.home / "bundles")):
        needed |= digests
    return prune(wheelhouse, in_use=needed | young, now=now.timestamp(), is_dry_run=is_dry_run)


def activation_under_way(where: str) -> StateConflict:
    """Return why `where` stays as it is: an activation may just have chosen a wheel of it."""
    return StateConflict(
        "A version is being activated, and may need any wheel",
        where=where,
        mend="wait until it has ended: `fumehood package list`",
    )


def _active_digests(settings: Settings) -> Iterator[str]:
    for text in in_home(settings, activations.locks) or ():
        yield from (package.sha256 for package in read_lock(text).packages)


def authors_digests(bundles: Bundles) -> Iterator[tuple[str, set[str]]]:
    """Yield the package and version of each bundle with a lock, and the digests in that lock."""
    for digest in bundles.digests():
        try:
            bundle = bundles.open(digest)
        except (PackageError, OSError):
            continue  # removed meanwhile, or half there: it needs no wheel
        if bundle.author_lock:
            named, _ = addresses_of(bundle.author_lock, judges=bundles.judges)
            yield f"{bundle.manifest.name} {bundle.manifest.version}", set(named)
