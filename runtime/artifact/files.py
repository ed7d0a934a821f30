"""Artifacts on disk, one for each attempt: saved whole after every phase.

A crash leaves the narrative as far as it was true.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

from runtime.artifact.model import Artifact, to_bytes
from runtime.errors import NotFound
from wheelhouse.durable import write_file


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFiles:
    """The folder of jobs: `<job>/<attempt>/artifact.json`."""

    folder: Path

    async def save(self, artifact: Artifact) -> str:
        """Write the artifact over its former state; return the digest of its bytes."""
        content = to_bytes(artifact)
        path = self.path(artifact.job, attempt=artifact.attempt)
        await asyncio.to_thread(write_file, path, content)
        return "sha256:" + hashlib.sha256(content).hexdigest()

    async def load(self, job_id: str, *, attempt: int) -> bytes:
        """Return the artifact as it was last saved; raise NotFound before the first time."""
        return await asyncio.to_thread(self.existing(job_id, attempt=attempt).read_bytes)

    def existing(self, job_id: str, *, attempt: int) -> Path:
        """Return the file of the artifact; raise NotFound before it was saved once."""
        path = self.path(job_id, attempt=attempt)
        if not path.is_file():
            raise NotFound(
                f"Attempt {attempt} of job {job_id} has no artifact yet",
                where=f"{job_id}/{attempt}",
                mend="it is written when the attempt begins; ask again then",
            )
        return path

    def path(self, job_id: str, *, attempt: int) -> Path:
        """Return where the artifact of an attempt is."""
        return self.folder / job_id / str(attempt) / "artifact.json"
