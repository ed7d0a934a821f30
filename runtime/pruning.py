"""Which wheels are in use: no pruning takes what an environment or a lock needs."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from packages.archive import Bundles
from packages.environment import Environments
from packages.errors import PackageError
from packages.lock import read_lock, read_pylock
from packages.upkeep import locked_digests
from runtime.errors import StateConflict
from runtime.ledger import in_home
from runtime.settings import Settings
from runtime.store import activations
from wheelhouse.store import Wheelhouse
from wheelhouse.upkeep import Pruned, prune


def prune_house(
    house: Wheelhouse,
    *,
    settings: Settings,
    environments: Environments,
    unused_for: timedelta,
    now: datetime,
    is_rehearsal: bool,
) -> Pruned:
    """Remove the wheels that nothing needs and that came before `now` - `unused_for`.

    Needed is what some environment is built from, what the lock of any version that was ever
    active names (one can go back to it), and what authors locked. Raises StateConflict while
    a version is being activated: it may just have chosen a wheel.
    """
    if not is_rehearsal and in_home(settings, activations.unfinished):
        raise StateConflict(
            "A version is being activated, and may need any wheel",
            where="wheelhouse",
            mend="wait until it has ended: `fumehood package list`",
        )
    young = {w.sha256 for w in house.wheels() if w.origin.at > now - unused_for}
    needed = {*locked_digests(environments), *_active_digests(settings), *_authors(settings)}
    return prune(house, in_use=needed | young, now=now.timestamp(), is_rehearsal=is_rehearsal)


def _active_digests(settings: Settings) -> Iterator[str]:
    for text in in_home(settings, activations.locks) or ():
        yield from (package.sha256 for package in read_lock(text).packages)


def _authors(settings: Settings) -> Iterator[str]:
    """Yield the digest of each wheel that a lock in some bundle names."""
    bundles = Bundles(settings.home / "bundles")
    for digest in bundles.digests():
        try:
            text = bundles.open(digest).author_lock
        except (PackageError, OSError):
            continue  # removed meanwhile, or half there: it needs no wheel
        told = read_pylock(text)[0] if text else None
        for package in told.packages if told else ():
            yield from (f"sha256:{w.hashes.get('sha256', '')}" for w in package.wheels or ())
