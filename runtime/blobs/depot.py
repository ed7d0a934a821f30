"""What processes without a shared folder hand each other: bundles, wheels, data, artifacts.

Beside the bytes of jobs, which are collected by themselves; what is here goes when that to which
it belongs is removed. Each thing is asked for with its digest, and is checked on its way in.
"""

import asyncio
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from runtime.blobs.blob import DIGEST_PREFIX
from runtime.faults.errors import BlobMissing

if TYPE_CHECKING:
    from runtime.blobs.objects import Objects


class Kind(Enum):
    """What there is in a depot."""

    BUNDLE = "bundles"
    WHEEL = "wheels"
    DATA = "data"
    ENVIRONMENT = "environments"
    ARTIFACT = "artifacts"


class Depot(Protocol):
    """A place that all processes of a cluster reach."""

    async def put(self, kind: Kind, name: str, path: Path) -> None:
        """Keep the file at `path`, over what is there."""
        ...

    async def put_once(self, kind: Kind, name: str, path: Path) -> None:
        """Keep the file at `path` unless there is one of that name, which is a digest."""
        ...

    async def fetch(
        self, kind: Kind, name: str, *, into: Path, sha256: str, most_bytes: int | None = None
    ) -> None:
        """Bring it into the new file `into`; raise BlobMissing where it is not there or another."""
        ...

    async def remove(self, kind: Kind, name: str) -> None:
        """Forget it; nothing happens where it is not there."""
        ...

    async def remove_below(self, kind: Kind, name: str) -> None:
        """Forget all whose names begin with `name` and a slash."""
        ...


class SharedHome:
    """No depot: all processes of the cluster see the one home."""

    async def put(self, kind: Kind, name: str, path: Path) -> None:
        """Do nothing: it is in the home."""

    async def put_once(self, kind: Kind, name: str, path: Path) -> None:
        """Do nothing: it is in the home."""

    async def fetch(
        self, kind: Kind, name: str, *, into: Path, sha256: str, most_bytes: int | None = None
    ) -> None:
        """Find nothing: what is not in the home is nowhere."""
        del into, most_bytes
        raise BlobMissing(f"{sha256} is not in the home", where=f"{kind.value}/{name}")

    async def remove(self, kind: Kind, name: str) -> None:
        """Do nothing: it goes with the home's."""

    async def remove_below(self, kind: Kind, name: str) -> None:
        """Do nothing: it goes with the home's."""


class ObjectDepot:
    """A depot in an object store."""

    def __init__(self, objects: "Objects") -> None:
        self._objects = objects
        self._seen_whole: set[str] = set()

    async def put(self, kind: Kind, name: str, path: Path) -> None:
        """Keep the file at `path`, over what is there."""
        await self._objects.put(f"{kind.value}/{name}", path)

    async def put_once(self, kind: Kind, name: str, path: Path) -> None:
        """Keep the file at `path` unless there is one of that name, which is a digest."""
        key = f"{kind.value}/{name}"
        held = await self._objects.head(key)
        status = await asyncio.to_thread(path.stat)
        if held is None or held.size_bytes != status.st_size or not await self._is_whole(key, name):
            await self.put(kind, name, path)
        self._seen_whole.add(key)

    async def _is_whole(self, key: str, name: str) -> bool:
        """Return whether `key` has the bytes of its name; each is read once for that."""
        return key in self._seen_whole or await self._objects.sha256(key) == DIGEST_PREFIX + name

    async def fetch(
        self, kind: Kind, name: str, *, into: Path, sha256: str, most_bytes: int | None = None
    ) -> None:
        """Bring it into the new file `into`; raise BlobMissing where it is not there or another."""
        key = f"{kind.value}/{name}"
        await self._objects.fetch(key, into=into, sha256=sha256, most_bytes=most_bytes)

    async def remove(self, kind: Kind, name: str) -> None:
        """Forget it; nothing happens where it is not there."""
        await self._objects.remove(f"{kind.value}/{name}")

    async def remove_below(self, kind: Kind, name: str) -> None:
        """Forget all whose names begin with `name` and a slash."""
        prefix = f"{kind.value}/{name}/"
        if found := await self._objects.names(prefix):
            await self._objects.remove(*(prefix + one for one in found))
