"""Environments: one folder for each locked set of wheels and interpreter, whole or absent.

    environments/<key>/            the environment: lib, bin, pyvenv.cfg, read-only
    environments/<key>/environment.json   its inventory
    environments/<key>/pylock.toml        its lock, from which it can be built again
    environments/.shared/…                what environments share (see sharing.py)
    environments/.locks/<key>      held by the one that builds
    environments/.leases/<key>     held, shared, by each run that uses it; grows by a byte a use

An environment is built beside its place, checked, flushed and renamed, so a kill at any
moment leaves a whole one or none. One process builds; others wait for it, and the kernel
frees the lock of a builder that died.
"""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from frozen.values import changed, frozen
from packages.environment import carried
from packages.environment.building import Builder
from packages.environment.inventory import FILE, INVENTORY_JSON, Inventory
from packages.environment.linking import site_packages_of
from packages.environment.sharing import PLACE
from packages.interpreters import platform_of
from packages.lock.lock import Lock
from packages.progress import quiet
from sandbox.command import Folder, Interpreter, Observe
from wheelhouse.locks import held, open_lock

LAYOUT_VERSION = 3
"""Raised when the same wheels shall be laid out differently."""
LONGEST_BUILD_S = 3600.0


@frozen
class Environment:
    """A whole environment, ready to be put in sight of a cell."""

    key: str
    folder: Path
    site_packages: str
    inventory: Inventory
    is_reused: bool
    duration_ms: float

    def in_sight(self) -> tuple[Folder, ...]:
        """Return the folders that a cell needs of it: its own, and what it shares."""
        own = Folder(
            name="environment",
            source=self.folder,
            on_path=True,
            import_root=self.site_packages,
        )
        beside = self.folder.parent / PLACE
        shared = (
            Folder(name=f"{PLACE}/{name}", source=beside / name) for name in self.inventory.shared
        )
        return (own, *shared)


@frozen
class Environments:
    """The environments below `root`, built by `builder`."""

    root: Path
    builder: Builder

    async def ensure(
        self,
        lock: Lock,
        *,
        interpreter: Interpreter,
        requested: frozenset[str] = frozenset(),
        observe: Observe = quiet,
    ) -> Environment:
        """Return the environment of `lock` for `interpreter`, building it if there is none.

        `requested` are the names that the version asks for, for its inventory. Raises
        EnvironmentFailed, leaving nothing.
        """
        started = time.perf_counter()
        key = environment_key(lock, interpreter)
        is_reused = self.is_there(key)
        if not is_reused:
            async with self.alone(key):
                is_reused = self.is_there(key)
                if not is_reused:
                    await self.builder.build(
                        self.folder(key), lock, interpreter=interpreter, observe=observe
                    )
        self._count_use(key)
        return Environment(
            key=key,
            folder=self.folder(key),
            site_packages=site_packages_of(interpreter),
            inventory=self.inventory(key).for_requests(requested),
            is_reused=is_reused,
            duration_ms=(time.perf_counter() - started) * 1000,
        )

    async def pack(self, key: str, *, to: Path) -> str:
        """Write the environment `key` to the new file `to`; return its SHA-256."""
        async with self.lease(key) as folder:
            return await asyncio.to_thread(
                carried.pack, folder, inventory=self.inventory(key), to=to
            )

    async def adopt(
        self, packed: Path, lock: Lock, *, interpreter: Interpreter, inventory: Inventory
    ) -> None:
        """Lay out what another host packed, unless there is one here. Raises CarriedRefused."""
        key = environment_key(lock, interpreter)
        async with self.alone(key):
            if not self.is_there(key):
                await asyncio.to_thread(
                    carried.unpack,
                    packed,
                    final=self.folder(key),
                    lock=lock,
                    inventory=inventory,
                    interpreter=interpreter,
                )

    def again(self, seen: Environment) -> Environment | None:
        """Return an environment seen before; None where it is gone. Its lease counts the use."""
        started = time.perf_counter()
        if not self.is_there(seen.key):
            return None
        took_ms = (time.perf_counter() - started) * 1000
        return changed(seen, is_reused=True, duration_ms=took_ms)

    @property
    def aside(self) -> Path:
        """Return where what is no environment (yet, or any more) lies until it is swept."""
        return self.root / ".attic"

    def folder(self, key: str) -> Path:
        """Return where the environment `key` is, or will be."""
        return self.root / key

    def is_there(self, key: str) -> bool:
        """Return whether there is a whole environment `key`."""
        return (self.folder(key) / FILE).is_file()

    def inventory(self, key: str) -> Inventory:
        """Return what is installed in the environment `key`."""
        return INVENTORY_JSON.validate_json((self.folder(key) / FILE).read_bytes())

    @asynccontextmanager
    async def lease(self, key: str) -> AsyncGenerator[Path]:
        """Give the folder of `key` and keep it from being collected meanwhile: one more use.

        Raises LockHeld.
        """
        lease = self.root / ".leases" / key
        async with held(lease, is_shared=True, flags=os.O_APPEND) as descriptor:
            os.write(descriptor, b".")
            yield self.folder(key)

    @asynccontextmanager
    async def alone(self, key: str) -> AsyncGenerator[None]:
        """Hold the right to build `key`, waiting without a thread. Raises LockHeld."""
        async with held(self.root / ".locks" / key, patience_s=LONGEST_BUILD_S):
            yield

    def _count_use(self, key: str) -> None:
        descriptor = open_lock(self.root / ".leases" / key, flags=os.O_APPEND)
        try:
            os.write(descriptor, b".")
        finally:
            os.close(descriptor)


def environment_key(lock: Lock, interpreter: Interpreter) -> str:
    """Return the key: SHA-256 over the lock, the interpreter, the platform and the layout."""
    facts = {
        "lock": lock.digest,
        "python": interpreter.version,
        "soabi": interpreter.soabi,
        "platform": platform_of(interpreter),
        "executable": str(interpreter.executable),
        "layout": LAYOUT_VERSION,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
