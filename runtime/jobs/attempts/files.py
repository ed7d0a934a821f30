"""Files of an attempt: what its run is given, and what is kept of what it leaves.

There may be a thousand and ten thousand of them, and the event loop waits for none: to look at one
takes some 25 us, to remove one 40.
"""

import asyncio
import mimetypes
import os
from collections.abc import Sequence
from pathlib import Path

from runtime.blobs.blob import Blobs
from runtime.values.records import JobInput, StoredOutput
from sandbox.command import Input, Output
from wheelhouse.durable import remove_tree

AT_A_TIME = 100
"""How many inputs are looked at until others have their turn: those at hand wait for nothing."""


async def inputs_of(stored: Sequence[JobInput], *, blobs: Blobs) -> list[Input]:
    """Return where a run finds its inputs, in their order. Raises what `blobs.local_path` does."""
    inputs: list[Input] = []
    for one in stored:
        inputs.append(Input(name=one.name, source=await blobs.local_path(one.sha256)))
        if len(inputs) % AT_A_TIME == 0:
            await asyncio.sleep(0)
    return inputs


async def keep_outputs(
    outputs: Sequence[Output], *, folder: Path, blobs: Blobs
) -> list[StoredOutput]:
    """Move the outputs below `folder` into the store of bytes; remove the folder."""
    kept = [await _keep_one(one.path, folder=folder, blobs=blobs) for one in outputs]
    await emptied(folder)
    return kept


async def emptied(folder: Path) -> None:
    """Remove what a run has left, if it has left anything."""
    if os.path.lexists(folder):  # noqa: ASYNC240 - 2 us; a thread takes 50, in each phase of each job
        await asyncio.to_thread(remove_tree, folder)


async def _keep_one(path: str, *, folder: Path, blobs: Blobs) -> StoredOutput:
    blob = await blobs.put_file(folder / path, consume=True)
    return StoredOutput(
        path=path,
        size_bytes=blob.size_bytes,
        sha256=blob.sha256,
        media_type=mimetypes.guess_type(path)[0] or "application/octet-stream",
    )
