"""An upload as a file: the rooms that judge archives need to seek in them."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request

from frozen.values import frozen
from runtime.faults.errors import Malformed, TooLarge
from runtime.http.bodies.bodies import form_parts, is_multipart
from runtime.http.bodies.bounded_bodies import refuse_too_long
from sandbox.limits import MIB


@frozen
class Upload:
    """A file that was sent; `filename` is what the sender calls it, empty if nothing."""

    path: Path
    filename: str


@asynccontextmanager
async def spooled(
    request: Request, *, field: str, folder: Path, most_bytes: int, filename: str = ""
) -> AsyncGenerator[Upload]:
    """Offer the body, called `filename`, or the file in `field` of a form; gone afterwards."""
    refuse_too_long(request, most_bytes=most_bytes)
    with tempfile.TemporaryDirectory(dir=folder, prefix="upload-") as aside:
        path = Path(aside) / "body"
        if is_multipart(request):
            filename = await _pour_field(request, field=field, path=path, most_bytes=most_bytes)
        else:
            await _pour(request.stream(), path=path, most_bytes=most_bytes)
        yield Upload(path=path, filename=filename)


async def _pour_field(request: Request, *, field: str, path: Path, most_bytes: int) -> str:
    filename: str | None = None
    async for part in form_parts(request):
        if part.field == field and filename is None:
            filename = part.filename
            await _pour(part.chunks, path=path, most_bytes=most_bytes)
    if filename is None:
        raise Malformed(f"The form has no field {field}", where="form", mend=f"send it as {field}")
    return filename


async def _pour(chunks: AsyncIterator[bytes], *, path: Path, most_bytes: int) -> None:
    written = 0
    with path.open("xb", buffering=MIB) as file:
        async for chunk in chunks:
            written += len(chunk)
            if written > most_bytes:
                raise TooLarge(
                    f"What was sent is larger than {most_bytes // MIB} MiB",
                    where="body",
                    mend="send less, or raise the setting",
                )
            await asyncio.to_thread(file.write, chunk)
