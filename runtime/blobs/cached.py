"""Blobs in an object store, with a bounded folder of this host before it.

Runs want files, so what is asked for is brought here, checked by its digest, and stays while
there is room. Nothing is only here: what is kept is in the object store before it is named.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from runtime.blobs.blob import DIGEST_PREFIX, Blob, hex_of
from runtime.blobs.local import LocalBlobs, LocalStaging

if TYPE_CHECKING:
    from runtime.blobs.objects import Objects

RECENT_S = 900.0
"""What was asked for since then may be about to be given to a run: it stays."""
TRIM_EVERY_S = 30.0
SETTLE_S = 1.0


class CachedBlobs:
    """Bytes in `objects`; at most some `most_bytes` of them also in `here`."""

    def __init__(self, objects: "Objects", *, here: LocalBlobs, most_bytes: int) -> None:
        self._objects = objects
        self._here = here
        self._most_bytes = most_bytes
        self._fetching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._trim_at = 0.0

    async def put_file(self, path: Path, *, consume: bool = False) -> Blob:
        """Keep the bytes of a regular file."""
        blob = await self._here.put_file(path, consume=consume)
        await self._upload(blob.sha256)
        return blob

    @asynccontextmanager
    async def staging(self) -> AsyncGenerator["CachedStaging"]:
        """Offer a place aside; what is not kept at the end is removed."""
        async with self._here.staging() as staging:
            yield CachedStaging(staging, upload=self)

    async def _upload(self, sha256: str) -> None:
        """Send bytes that are here; a collector that is about to remove them finds them anew."""
        path = await self._here.local_path(sha256)
        await self._objects.put(_key(sha256), path)
        if await self._objects.head(_marker(sha256)):
            await self._objects.remove(_marker(sha256))
            await asyncio.sleep(SETTLE_S)  # longer than from a collector's look to its removal
            await self._objects.put(_key(sha256), path)
        await self._trim()

    async def upload_all(self, digests: list[str]) -> None:
        """Send bytes that were kept here a moment ago."""
        for sha256 in digests:
            await self._upload(sha256)

    async def has(self, sha256: str) -> bool:
        """Return whether the bytes are there."""
        return await self._here.has(sha256) or await self._objects.head(_key(sha256)) is not None

    async def local_path(self, sha256: str) -> Path:
        """Return a file of this host with the bytes, which are brought here if need be."""
        only_one = self._fetching.setdefault(sha256, asyncio.Lock())
        async with only_one:
            await self._bring(sha256)
        return await self._here.local_path(sha256)

    async def _bring(self, sha256: str) -> None:
        if await self._here.touch(sha256):
            return
        async with self._here.beside() as aside:
            await self._objects.fetch(_key(sha256), into=aside, sha256=sha256)
            await self._here.put_file(aside, consume=True)
        await self._trim()

    async def read(
        self, sha256: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes in chunks of at most 1 MiB."""
        await self.local_path(sha256)
        async for chunk in self._here.read(sha256, start=start, end=end):
            yield chunk

    async def remove(self, sha256: str) -> None:
        """Forget the bytes."""
        await self._here.remove(sha256)
        await self._objects.remove(_key(sha256))

    async def put_aside(self, sha256: str, *, kept_before: float) -> bool:
        """Mark the bytes as nobody's, and return whether they were so for long.

        An object store renames nothing at once. So bytes are marked in one round and removed in
        a later one, unless they were kept anew in between: then they are newer than their mark.
        """
        held = await self._objects.head(_key(sha256))
        marked = await self._objects.head(_marker(sha256))
        if held is None:
            return False
        if marked is None:
            await self._objects.mark(_marker(sha256))
            return False
        if held.at >= marked.at:
            await self._objects.remove(_marker(sha256))
            return False
        return marked.at.timestamp() < kept_before

    async def put_back(self, sha256: str) -> None:
        """Take the mark away."""
        await self._objects.remove(_marker(sha256))

    async def forget_aside(self, sha256: str) -> int:
        """Forget bytes that are marked; return how many there were."""
        # Asked once more right before: whoever keeps them anew takes the mark away first, and
        # looks again after a while that is longer than from here to the removal.
        held = await self._objects.head(_key(sha256))
        marked = await self._objects.head(_marker(sha256))
        if held is None or marked is None or held.at >= marked.at:
            return 0
        await self._objects.remove(_key(sha256))
        await self._objects.remove(_marker(sha256))
        await self._here.remove(sha256)
        return held.size_bytes

    async def listed(self, part: int) -> tuple[str, ...]:
        """Return the digests in one part of the store."""
        found = await self._objects.names(f"sha256/{part:02x}/")
        return tuple(sorted(f"{DIGEST_PREFIX}{part:02x}{name}" for name in found))

    async def _trim(self) -> None:
        """Look now and then whether there is too much here: it is a look at every file."""
        if time.monotonic() < self._trim_at:
            return
        self._trim_at = time.monotonic() + TRIM_EVERY_S
        await self._here.trim(most_bytes=self._most_bytes, used_before=time.time() - RECENT_S)


class CachedStaging:
    """Bytes that arrive: kept here first, then in the object store."""

    def __init__(self, staging: LocalStaging, *, upload: CachedBlobs) -> None:
        self._staging = staging
        self._blobs = upload
        self._digests: list[str] = []

    async def put_stream(self, chunks: AsyncIterator[bytes], *, most_bytes: int) -> Blob:
        """Take the bytes of a stream."""
        blob = await self._staging.put_stream(chunks, most_bytes=most_bytes)
        self._digests.append(blob.sha256)
        return blob

    async def keep(self) -> None:
        """Keep all that was taken."""
        await self._staging.keep()
        await self._blobs.upload_all(self._digests)


def _key(sha256: str) -> str:
    hexdigest = hex_of(sha256)
    return f"sha256/{hexdigest[:2]}/{hexdigest[2:]}"


def _marker(sha256: str) -> str:
    return f"nobodys/{hex_of(sha256)}"
