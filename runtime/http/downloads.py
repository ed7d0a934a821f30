"""Sends bytes by digest: conditional, in ranges, as an attachment, with their digest.

What a package made is never shown as a page of ours: it is always an attachment.
"""

import base64
import re
from pathlib import PurePosixPath
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from runtime.blobs.blob import Blobs
from runtime.faults.errors import OutputGone
from runtime.http.conditional import is_known
from runtime.values.records import StoredOutput

SANDBOXED = {"Content-Security-Policy": "sandbox; default-src 'none'"}
"""For what others wrote: should a browser show it all the same, it is no page of our origin."""
IMMUTABLE = "private, max-age=31536000, immutable"
CHANGING = "private, no-cache"
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


async def download(
    request: Request, *, output: StoredOutput, blobs: Blobs, is_immutable: bool
) -> Response:
    """Return the response with the bytes of `output`, or a part of them.

    `is_lasting` says whether the same address will always have the same bytes: of an address
    without an attempt a browser kept those of the attempt before.
    """
    headers = _headers(output) | {"Cache-Control": IMMUTABLE if is_immutable else CHANGING}
    if is_known(headers["ETag"], said=request.headers.get("if-none-match", "")):
        kept = {name: headers[name] for name in ("ETag", "Cache-Control")}
        return Response(status_code=304, headers=kept)
    if not await blobs.has(output.sha256):
        raise OutputGone(f"{output.path} was removed since", where=output.path)
    is_wanted = request.headers.get("if-range", headers["ETag"]) == headers["ETag"]
    asked = request.headers.get("range", "") if is_wanted else ""  # RFC 9110, 13.1.5
    window = _window(asked, size_bytes=output.size_bytes)
    if window is None:
        headers["Content-Length"] = str(output.size_bytes)
        return StreamingResponse(
            blobs.read(output.sha256), headers=headers, media_type=output.media_type
        )
    start, end = window
    if start >= end:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{output.size_bytes}"})
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{output.size_bytes}"
    headers["Content-Length"] = str(end - start)
    return StreamingResponse(
        blobs.read(output.sha256, start=start, end=end),
        status_code=206,
        headers=headers,
        media_type=output.media_type,
    )


def as_file(name: str) -> dict[str, str]:
    """Return the headers with which text that others wrote leaves as the file `name`."""
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return {"Content-Disposition": disposition, **SANDBOXED}


def _headers(output: StoredOutput) -> dict[str, str]:
    hexdigest = output.sha256.removeprefix("sha256:")
    digest = base64.b64encode(bytes.fromhex(hexdigest)).decode()
    name = quote(PurePosixPath(output.path).name, safe="")
    return {
        "ETag": f'"{hexdigest}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        **SANDBOXED,
    }


def _window(header: str, *, size_bytes: int) -> tuple[int, int] | None:
    """Return the bytes that a Range header asks for, None for all (RFC 9110, 14.2)."""
    asked = RANGE.fullmatch(header.strip())
    if not asked or asked.groups() == ("", ""):
        return None
    first, last = asked.groups()
    if not first:
        return max(0, size_bytes - int(last)), size_bytes
    end = size_bytes if not last else min(int(last) + 1, size_bytes)
    return int(first), end
