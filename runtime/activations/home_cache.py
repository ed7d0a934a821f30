"""Keeps the home of a worker within its bound: what was used longest ago goes first.

A worker's home is a cache: bundles, environments with their wheels, and what `on_activate` left
come from the cluster's bucket, and come again when they are wanted. What runs, or may be kept
warm, stays, and so does what came a moment ago.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from frozen.values import frozen
from packages.archive import Bundles
from packages.environment import maintenance
from packages.environment.environment import Environments
from runtime.activations.in_use import InUse
from runtime.values.records import Activation
from wheelhouse.durable import remove_tree
from wheelhouse.store import Wheelhouse
from wheelhouse.upkeep import prune

RECENT_S = 900.0
"""What came or was used since then may be about to be given to a run: it stays."""
TRIM_EVERY_S = 30.0

log = logging.getLogger("fumehood.supply")


@frozen
class _Thing:
    """Something that may go, and when it was used last."""

    name: str
    used_at: float
    size_bytes: int
    remove: Callable[[], object]


@dataclass(slots=True, kw_only=True)
class _Trimmed:
    """When this process looked last, by a steady clock."""

    at_s: float = -TRIM_EVERY_S


@frozen
class HomeCache:
    """At most some `most_bytes` of bundles, wheels, environments and data."""

    bundles: Bundles
    wheelhouse: Wheelhouse
    environments: Environments
    data_root: Path
    in_use: InUse
    most_bytes: int
    recent_s: float = RECENT_S
    _trimmed: _Trimmed = field(default_factory=_Trimmed)

    async def trim_now_and_then(self) -> None:
        """Look whether there is too much, unless that was done a moment ago."""
        now_s = time.monotonic()
        if now_s - self._trimmed.at_s < TRIM_EVERY_S:
            return
        self._trimmed.at_s = now_s
        await asyncio.to_thread(self.trim)

    def trim(self) -> None:
        """Remove what was used longest ago, until what is left is within the bound."""
        self._note_uses()
        too_much = self._held_bytes() - self.most_bytes
        if too_much <= 0:
            return
        before = time.time() - self.recent_s
        self._prune_wheels(before)
        too_much = self._held_bytes() - self.most_bytes
        for thing in sorted(self._things(before), key=lambda one: one.used_at):
            if too_much <= 0:
                break
            thing.remove()
            log.info("%s goes: the home of this worker is full", thing.name)
            too_much -= thing.size_bytes
        maintenance.tidy(self.environments, now=datetime.now(UTC))
        self._prune_wheels(before)

    def _note_uses(self) -> None:
        """Write down in the folders when they were used, for the next start."""
        for activation, used_at in self.in_use.used_at():
            for folder in self._folders(activation.digest, _data_of(activation)):
                if folder.is_dir():
                    os.utime(folder, (used_at, used_at))

    def _folders(self, digest: str, data: str | None) -> Iterator[Path]:
        yield self.bundles.root / digest.removeprefix("sha256:")
        if data:
            yield self.data_root / data

    def _held_bytes(self) -> int:
        roots = (
            self.bundles.root,
            self.wheelhouse.root,
            self.environments.root,
            self.data_root,
        )
        return _size_of(roots)

    def _prune_wheels(self, before: float) -> None:
        """Remove the wheels that no environment is built from: with these gone, none needs them."""
        young = {w.sha256 for w in self.wheelhouse.wheels() if w.origin.at.timestamp() > before}
        needed = maintenance.locked_digests(self.environments)
        prune(self.wheelhouse, in_use=needed | young, now=time.time())

    def _things(self, before: float) -> Iterator[_Thing]:
        """Yield all that may go."""
        held = tuple(self.in_use.held())
        kept = {one.digest for one in held} | {_data_of(one) for one in held}
        keys = self.in_use.environments()
        for found in maintenance.listing(self.environments):
            used_at = found.used_at.timestamp()
            if found.key not in keys and not found.is_in_use and used_at < before:
                yield _Thing(
                    name=f"environments/{found.key}",
                    used_at=used_at,
                    size_bytes=found.inventory.size_bytes,
                    remove=partial(maintenance.remove, self.environments, found.key),
                )
        for folder in (*_below(self.bundles.root), *_below(self.data_root)):
            used_at = folder.stat().st_mtime
            is_kept = folder.name in kept or f"sha256:{folder.name}" in kept
            if not is_kept and used_at < before:
                yield _Thing(
                    name=f"{folder.parent.name}/{folder.name}",
                    used_at=used_at,
                    size_bytes=_size_of([folder]),
                    remove=partial(_remove, folder),
                )


def _data_of(activation: Activation) -> str | None:
    prepared = activation.prepared
    return prepared.data_folder if prepared else None


def _below(root: Path) -> Iterable[Path]:
    return [one for one in root.iterdir() if one.name[0] != "."] if root.is_dir() else []


def _remove(folder: Path) -> None:
    """Take a folder out of its place by one rename, and remove it then."""
    gone = folder.with_name(f".gone-{folder.name}")
    folder.rename(gone)
    remove_tree(gone)


def _size_of(roots: Iterable[Path]) -> int:
    """Return what the files below take on the disk, each once however many names it has."""
    seen: dict[tuple[int, int], int] = {}
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                try:
                    told = os.lstat(f"{folder}/{name}")
                except FileNotFoundError:
                    continue  # it went meanwhile
                seen[told.st_dev, told.st_ino] = told.st_blocks * 512
    return sum(seen.values())
