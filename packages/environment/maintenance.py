"""Keeping environments in order: listing, verifying, repairing, and collecting old ones."""

import asyncio
import os
import uuid
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from frozen.values import frozen
from packages.environment.environment import Environments, environment_key
from packages.environment.integrity import verify_environment
from packages.environment.inventory import FILE, Inventory
from packages.environment.libraries import ASIDE
from packages.environment.sharing import PLACE, forget_shared
from packages.errors import PackageError
from packages.lock.lock import FILE as LOCK_FILE
from packages.lock.lock import read_lock
from packages.progress import quiet
from sandbox.command import Interpreter, Observe
from wheelhouse.durable import remove_tree, sweep_aside
from wheelhouse.errors import WheelhouseError
from wheelhouse.locks import open_lock, try_lock
from wheelhouse.problem import Problem
from wheelhouse.times import rfc3339
from wheelhouse.unpacked import (
    forget_unpacked,
    read_unpacked,
    unpacked_folder,
    verify_unpacked,
)

ABANDONED_AFTER_S = 3600.0
REPAIR = "repair"


@frozen
class Kept:
    """An environment in the store, as people look at it."""

    key: str
    inventory: Inventory
    uses: int
    used_at: datetime
    is_in_use: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "key": self.key,
            "uses": self.uses,
            "used_at": rfc3339(self.used_at),
            "is_in_use": self.is_in_use,
            "inventory": self.inventory.to_dict(),
        }


@frozen
class Repaired:
    """An environment that was damaged: what was wrong, and whether it is whole again."""

    key: str
    problems: tuple[Problem, ...]
    is_rebuilt: bool


def listing(environments: Environments) -> list[Kept]:
    """Return every environment, the one used last first."""
    found = [_kept(environments, key) for key in _keys(environments)]
    return sorted(found, key=lambda kept: kept.used_at, reverse=True)


def verify(environments: Environments, key: str, *, is_full: bool = True) -> list[Problem]:
    """Return a problem for each file of `key` that is missing, altered, or should not be there."""
    wheelhouse = environments.builder.wheelhouse
    return verify_environment(environments.folder(key), wheelhouse=wheelhouse, is_full=is_full)


async def repair(
    environments: Environments,
    *,
    interpreters: Callable[[], Collection[Interpreter]],
    keys: Collection[str] | None = None,
    is_full: bool = False,
    observe: Observe = quiet,
) -> list[Repaired]:
    """Look at every environment, or those of `keys`, and build the damaged ones anew.

    For the start of a worker. One process does it at a time. An environment that is in use is
    moved aside, not removed under a running job. `interpreters` is asked only where needed.
    """
    repaired: list[Repaired] = []
    async with environments.alone(REPAIR):
        for key in _keys(environments) if keys is None else keys:
            problems = await asyncio.to_thread(verify, environments, key, is_full=is_full)
            if problems:
                rebuilt = await _rebuild(environments, key, interpreters, observe)
                repaired.append(Repaired(key=key, problems=tuple(problems), is_rebuilt=rebuilt))
    return repaired


def collect(
    environments: Environments,
    *,
    now: datetime,
    older_than_s: float,
    most_bytes: int | None = None,
    keep: Collection[str] = (),
    is_dry_run: bool = False,
) -> list[Kept]:
    """Remove the environments that nobody used for `older_than_s`, oldest first.

    Beyond `most_bytes` younger ones go too. One in use, and those to `keep`, never go.
    """
    kept = listing(environments)
    total = sum(one.inventory.size_bytes for one in kept)
    removed: list[Kept] = []
    for one in reversed(kept):
        is_old = (now - one.used_at).total_seconds() > older_than_s
        is_too_much = most_bytes is not None and total > most_bytes
        if one.key in keep or not (is_old or is_too_much):
            continue
        if not one.is_in_use and (is_dry_run or remove(environments, one.key)):
            total -= one.inventory.size_bytes
            removed.append(one)
    if not is_dry_run:
        tidy(environments, now=now)
    return removed


def tidy(environments: Environments, *, now: datetime) -> None:
    """Remove what is no environment (any more), and was left alone for long enough."""
    if not environments.root.is_dir():
        return
    sweep_aside(environments.aside, older_than_s=ABANDONED_AFTER_S, now=now.timestamp())
    _sweep(environments, now.timestamp())
    _sweep_shared(environments, now.timestamp())


def locked_digests(environments: Environments) -> set[str]:
    """Return the digests of all wheels that some environment was built from."""
    inventories = (environments.inventory(key) for key in _keys(environments))
    return {item.sha256 for inventory in inventories for item in inventory.installed}


def _keys(environments: Environments) -> list[str]:
    if not environments.root.is_dir():
        return []
    return sorted(p.name for p in environments.root.iterdir() if (p / FILE).is_file())


def _kept(environments: Environments, key: str) -> Kept:
    lease = environments.root / ".leases" / key
    told = lease.stat() if lease.is_file() else (environments.folder(key) / FILE).stat()
    return Kept(
        key=key,
        inventory=environments.inventory(key),
        uses=told.st_size if lease.is_file() else 0,
        used_at=datetime.fromtimestamp(told.st_mtime, UTC),
        is_in_use=_is_leased(lease),
    )


def _is_leased(lease: Path) -> bool:
    if not lease.is_file():
        return False
    descriptor = open_lock(lease)
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)


def remove(environments: Environments, key: str) -> bool:
    """Remove `key` unless somebody has a lease on it; nobody can take one meanwhile."""
    lease = environments.root / ".leases" / key
    descriptor = open_lock(lease)
    try:
        if not try_lock(descriptor):
            return False
        gone = _set_aside(environments, key)
        lease.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    remove_tree(gone)  # not under the lock: it may take seconds, and a run may wait for the lease
    return True


def _set_aside(environments: Environments, key: str) -> Path:
    """Take `key` out of its place by one rename."""
    environments.aside.mkdir(parents=True, exist_ok=True)
    gone = environments.aside / f".{key}.{uuid.uuid4().hex}"
    folder = environments.folder(key)
    folder.chmod(0o755)
    folder.rename(gone)
    return gone


def _sweep(environments: Environments, now: float) -> None:
    """Remove what a killed builder left behind: half-made environments, and looks at libraries."""
    for path in environments.root.iterdir():
        is_environment = path.name.startswith(".") and len(path.name) > 64
        is_left = is_environment or path.name.startswith(ASIDE)
        if is_left and now - path.lstat().st_mtime > ABANDONED_AFTER_S:
            remove_tree(path)


def _sweep_shared(environments: Environments, now: float) -> None:
    """Remove what no environment links to, unless a builder may be about to link to it."""
    place = environments.root / PLACE
    linked = {name for key in _keys(environments) for name in environments.inventory(key).shared}
    for folder in place.iterdir() if place.is_dir() else ():
        if folder.name not in linked and now - folder.lstat().st_mtime > ABANDONED_AFTER_S:
            remove_tree(folder)


async def _rebuild(
    environments: Environments,
    key: str,
    interpreters: Callable[[], Collection[Interpreter]],
    observe: Observe,
) -> bool:
    """Build `key` anew from its own lock, where that can be read; forget what rotted below it."""
    folder = environments.folder(key)
    try:
        inventory = environments.inventory(key)
        lock = read_lock((folder / LOCK_FILE).read_text("utf-8"))
    except (OSError, ValueError, PackageError):
        _discard(environments, key)
        return False
    await asyncio.to_thread(_forget_rotten, environments, inventory)
    _discard(environments, key)
    found = await asyncio.to_thread(interpreters)
    fitting = [one for one in found if environment_key(lock, one) == key]
    try:
        for interpreter in fitting[:1]:
            await environments.ensure(lock, interpreter=interpreter, observe=observe)
    except PackageError:
        return False
    return bool(fitting)


def _discard(environments: Environments, key: str) -> None:
    gone = _set_aside(environments, key)
    if not _is_leased(environments.root / ".leases" / key):
        remove_tree(gone)


def _forget_rotten(environments: Environments, inventory: Inventory) -> None:
    """Throw away each unpacked wheel, and its bytecode, whose files are not what they were."""
    wheelhouse = environments.builder.wheelhouse
    for item in inventory.installed:
        try:
            wheel = wheelhouse.get(item.sha256, name=item.name)
        except WheelhouseError:
            continue
        derived = [unpacked_folder(wheelhouse, wheel)]
        derived += (wheelhouse.root / "bytecode" / wheel.hex_digest).glob("*")
        if not all(_is_whole(folder) for folder in derived):
            forget_unpacked(wheelhouse, wheel)
        forget_shared(environments.root, wheel.hex_digest)


def _is_whole(folder: Path) -> bool:
    try:
        return not verify_unpacked(read_unpacked(folder))
    except (OSError, ValueError):
        return False
