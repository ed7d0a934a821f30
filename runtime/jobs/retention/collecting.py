"""Collects bytes that no job names any more, and the folders of jobs that are gone.

Bytes are kept before they are named: an input before its job is stored, an output before its
attempt is published. So what was kept since the oldest run began, or a minute ago, is left for
later; the rest is put aside, looked for once more, and only then forgotten.
"""

from collections.abc import Iterable
from datetime import timedelta

from frozen.values import frozen
from runtime.artifact.artifacts import Artifacts
from runtime.blobs.blob import Blobs
from runtime.store.databases.store import Store
from runtime.store.retention import deletion
from runtime.values.clock import Clock

UNNAMED_AT_MOST = timedelta(minutes=1)
"""How long it takes at most from an input's last byte to the row of its job."""


@frozen
class Collector:
    """Looks at bytes by their digest; forgets those that nothing names."""

    store: Store
    blobs: Blobs
    artifacts: Artifacts
    clock: Clock

    async def collect(self, digests: Iterable[str]) -> tuple[int, int]:
        """Forget those of `digests` that no job names; return how many, and their bytes."""
        number = size_bytes = 0
        kept_before = await self._kept_before()
        for digest in digests:
            freed = await self._collect_one(digest, kept_before=kept_before)
            number += freed is not None
            size_bytes += freed or 0
        return number, size_bytes

    async def _kept_before(self) -> float:
        """Return since when bytes may be kept by somebody who has not named them yet."""
        oldest = await self.store.read(deletion.oldest_run)
        recently = self.clock() - UNNAMED_AT_MOST
        return min(oldest or recently, recently).timestamp()

    async def _collect_one(self, digest: str, *, kept_before: float) -> int | None:
        if await self.store.read(deletion.is_named, sha256=digest):
            return None
        if not await self.blobs.put_aside(digest, kept_before=kept_before):
            return None
        # From here on nobody can name it without keeping it anew; who named it before is seen now.
        if await self.store.read(deletion.is_named, sha256=digest):
            await self.blobs.put_back(digest)
            return None
        return await self.blobs.forget_aside(digest)

    async def walk(self, part: int) -> tuple[int, int]:
        """Collect in one part of the store what crashes have left there."""
        return await self.collect(await self.blobs.listed(part))

    async def remove_folder(self, job_id: str) -> None:
        """Remove the artifacts of a job that was deleted."""
        await self.artifacts.forget(job_id)
