"""Long artifacts on disk, one for each attempt that came to its end here.

Short ones are in the store (`runtime.artifact.artifacts`), as is what a crash of ours leaves of an
attempt (`runtime.artifact.narrative`); earlier versions of ours laid all in files. Beside one lies
what a page shows of it, so that nobody has to parse 100 MB to show a page of them.
"""

import asyncio
import json
from dataclasses import field
from pathlib import Path
from typing import Any

from frozen.values import frozen
from runtime.artifact.model import Artifact, from_bytes, shown_of
from runtime.blobs.depot import Depot, Kind, SharedHome
from runtime.faults.errors import BlobMissing, NotFound
from runtime.values.ids import new_id
from wheelhouse.durable import remove_tree, write_file

SHOWN_WHOLE_BYTES = 1 << 18
"""Of an artifact: so much is read for a page; of a longer one there is a short form."""


@frozen
class ArtifactFiles:
    """The folder of jobs: `<job>/<attempt>/artifact.json`, and `shown.json` beside a long one."""

    folder: Path
    depot: Depot = field(default_factory=SharedHome)
    is_home: bool = True
    """Whether they stay here, where they are asked for; a worker elsewhere keeps none."""

    async def save(self, artifact: Artifact, content: bytes) -> None:
        """Write the artifact, of which `content` are the bytes."""
        await asyncio.to_thread(self._write, artifact, content)
        path = self.path(artifact.job, attempt=artifact.attempt)
        await self.depot.put(Kind.ARTIFACT, f"{artifact.job}/{artifact.attempt}", path)
        if not self.is_home:
            await asyncio.to_thread(remove_tree, path.parent)

    async def forget(self, job_id: str) -> None:
        """Remove the artifacts of a job, here and in the depot."""
        await self.depot.remove_below(Kind.ARTIFACT, job_id)
        await asyncio.to_thread(remove_tree, self.folder / job_id)

    async def bring(self, job_id: str, *, attempt: int, digest: str) -> None:
        """Bring an artifact here that another host has saved; raise NotFound if none has."""
        path = self.path(job_id, attempt=attempt)
        if path.is_file():
            return
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        aside = path.with_name(f".{new_id()}")
        try:
            await self.depot.fetch(Kind.ARTIFACT, f"{job_id}/{attempt}", into=aside, sha256=digest)
            await asyncio.to_thread(self._keep, aside, path)
        except BlobMissing as error:
            raise _no_artifact(job_id, attempt) from error
        finally:
            await asyncio.to_thread(aside.unlink, missing_ok=True)

    def _keep(self, aside: Path, path: Path) -> None:
        if aside.stat().st_size > SHOWN_WHOLE_BYTES:
            short = json.dumps(shown_of(from_bytes(aside.read_bytes()))).encode()
            write_file(path.with_name("shown.json"), short)
        aside.replace(path)

    def _write(self, artifact: Artifact, content: bytes) -> None:
        path = self.path(artifact.job, attempt=artifact.attempt)
        if len(content) > SHOWN_WHOLE_BYTES:
            short = json.dumps(shown_of(artifact)).encode()
            write_file(path.with_name("shown.json"), short)
        write_file(path, content)

    def shown(self, job_id: str, *, attempt: int) -> dict[str, Any]:
        """Return what a page shows of the artifact; raise NotFound before it was saved once.

        Nothing of a long one that has no short form, as an earlier version of ours left it.
        """
        whole = self.existing(job_id, attempt=attempt)
        if whole.stat().st_size <= SHOWN_WHOLE_BYTES:
            return json.loads(whole.read_bytes())
        short = whole.with_name("shown.json")
        return json.loads(short.read_bytes()) if short.is_file() else {}

    def existing(self, job_id: str, *, attempt: int) -> Path:
        """Return the file of the artifact; raise NotFound before it was saved once."""
        path = self.path(job_id, attempt=attempt)
        if not path.is_file():
            raise _no_artifact(job_id, attempt)
        return path

    def path(self, job_id: str, *, attempt: int) -> Path:
        """Return where the artifact of an attempt is."""
        return self.folder / job_id / str(attempt) / "artifact.json"


def _no_artifact(job_id: str, attempt: int) -> NotFound:
    return NotFound(
        f"Attempt {attempt} of job {job_id} has no artifact yet",
        where=f"{job_id}/{attempt}",
        mend="it is written when the attempt begins; ask again then",
    )
