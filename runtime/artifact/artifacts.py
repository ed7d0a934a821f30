"""Where artifacts are kept: a short one in the store, with the end of its attempt; others in files.

Most are short. In the store such a one is published in the very transaction that ends its attempt,
so that after a power cut there are both or neither; in a file it took two flushes of the disk and
a sixth of the time of a job.
"""

import asyncio
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from frozen.values import frozen
from runtime.artifact.files import ArtifactFiles
from runtime.artifact.model import Artifact, to_bytes
from runtime.store.databases.store import Store
from runtime.store.jobs import artifacts as artifact_store
from runtime.values.records import SavedArtifact

SHORT_BYTES = 1 << 16
"""Up to here it is kept in the store."""
LIGHT = 20_000
"""Characters and items that are written as JSON on the event loop, within a millisecond."""
FEW_ENTRIES = 200


@frozen
class Artifacts:
    """The artifacts of all attempts that came to their end."""

    store: Store
    files: ArtifactFiles

    async def save(self, artifact: Artifact) -> SavedArtifact:
        """Return what the end of its attempt shall name; one that is long is in its file then."""
        content = (
            to_bytes(artifact)
            if is_light(artifact)
            else await asyncio.to_thread(to_bytes, artifact)
        )
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if len(content) <= SHORT_BYTES:
            return SavedArtifact(digest=digest, content=content)
        await self.files.save(artifact, content)
        return SavedArtifact(digest=digest)

    async def load(self, job_id: str, *, attempt: int, digest: str | None) -> bytes | Path:
        """Return an artifact, or the file that it is in; raise NotFound before it was saved.

        `digest` is that of one which another host may have saved.
        """
        kept = await self.store.read(artifact_store.kept, job_id=job_id, attempt=attempt)
        if kept is not None:
            return kept
        if digest:
            await self.files.bring(job_id, attempt=attempt, digest=digest)
        return self.files.existing(job_id, attempt=attempt)

    async def shown(self, job_id: str, *, attempt: int, digest: str | None) -> dict[str, Any]:
        """Return what a page shows of an artifact; raise NotFound before it was saved."""
        found = await self.load(job_id, attempt=attempt, digest=digest)
        if isinstance(found, bytes):
            return json.loads(found)
        return await asyncio.to_thread(self.files.shown, job_id, attempt=attempt)

    async def forget(self, job_id: str) -> None:
        """Let go of the artifacts of a job, here and elsewhere."""
        await self.store.run(artifact_store.forget, job_id=job_id)
        await self.files.forget(job_id)


def is_light(artifact: Artifact) -> bool:
    """Return whether it costs so little to write down that nobody else waits for it."""
    environment, isolation = artifact.environment, artifact.isolation
    listed = (
        *(artifact.inputs, artifact.outputs, artifact.refusals, artifact.hooks, artifact.attempts),
        *((environment.installed, environment.overlaps) if environment else ()),
        *((isolation.host_libraries,) if isolation else ()),
    )
    if sum(map(len, listed)) > FEW_ENTRIES:
        return False
    said = (artifact.parameters, artifact.result, artifact.notes)
    return not _weighs_more(said, than=LIGHT)


def _weighs_more(values: Iterable[Any], *, than: int) -> bool:
    """Return whether JSON values have more characters and items, without a look at the others.

    >>> _weighs_more([["x" * 50], {"a": 1}], than=50), _weighs_more(["x" * 50], than=60)
    (True, False)
    """
    left, waiting = than, list(values)
    while waiting and left >= 0:
        value = waiting.pop()
        if isinstance(value, str):
            left -= len(value)
        elif isinstance(value, Mapping | list | tuple):
            inner = cast(Collection[Any], value)
            left -= len(inner)
            if left >= 0:
                waiting += [*inner, *inner.values()] if isinstance(inner, Mapping) else inner
    return left < 0
