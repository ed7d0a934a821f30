"""/simple/: the wheelhouse as a package index, so that pip and uv can install from it.

PEP 503 and 691 for the pages, 658 for metadata, 700 for sizes and times.
"""

import asyncio
from typing import Any

from fastapi import Request
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from packaging.utils import canonicalize_name

from runtime.faults.errors import NotFound, UnknownMediaType
from runtime.http.conditional import is_known
from runtime.http.context import WheelhouseOf
from runtime.http.downloads import as_file
from runtime.http.entrance.operations import operations
from wheelhouse import index
from wheelhouse.store import Wheel

WHEEL_MEDIA_TYPE = "application/octet-stream"
PAGES: dict[int | str, dict[str, Any]] = {
    200: {"content": {index.JSON_MEDIA_TYPE: {}, index.HTML_MEDIA_TYPE: {}, "text/html": {}}}
}
router = operations(prefix="/simple", tags=["wheelhouse"])


@router.get("/", response_class=Response, responses=PAGES)
async def list_projects(request: Request, wheelhouse: WheelhouseOf) -> Response:
    """Return the page that lists all projects."""
    names = await asyncio.to_thread(wheelhouse.names)
    media_type = _negotiated(request)
    if media_type == index.JSON_MEDIA_TYPE:
        return JSONResponse(index.root_json(names), media_type=media_type)
    return Response(index.root_html(names), media_type=media_type)


@router.get(
    "/{name}/",
    response_class=Response,
    responses=PAGES | {301: {"description": "Its right name."}},
)
async def list_files(name: str, request: Request, wheelhouse: WheelhouseOf) -> Response:
    """Return the page of one project."""
    canonical = canonicalize_name(name)
    if canonical != name:
        return RedirectResponse(f"/simple/{canonical}/", status_code=301)
    wheels = await asyncio.to_thread(wheelhouse.find, name)
    if not wheels:
        raise NotFound(
            f"The wheelhouse has no wheel of {name}",
            where=f"/simple/{name}/",
            mend=f"`fumehood wheelhouse add` a wheel of {name}",
        )
    files = [wheel.index_file() for wheel in wheels]
    media_type = _negotiated(request)
    if media_type == index.JSON_MEDIA_TYPE:
        page = index.project_json(name, files, address=_address)
        return JSONResponse(page, media_type=media_type)
    return Response(index.project_html(name, files, address=_address), media_type=media_type)


def _address(file: index.IndexFile) -> str:
    return f"../../simple/files/{file.sha256}/{file.filename}"


@router.get("/files/{sha256}/{filename}", response_class=Response)
async def get_file(
    sha256: str, filename: str, request: Request, wheelhouse: WheelhouseOf
) -> Response:
    """Return a wheel, or its metadata where the name ends in `.metadata`."""
    wheel_name = filename.removesuffix(".metadata")
    distribution = wheel_name.partition("-")[0]
    wheel: Wheel = await asyncio.to_thread(wheelhouse.get, f"sha256:{sha256}", name=distribution)
    if wheel.filename != wheel_name:
        raise NotFound(f"There is no file {filename} with this digest", where=filename)
    path = wheelhouse.path(wheel).with_name(filename)
    media_type = WHEEL_MEDIA_TYPE if filename == wheel_name else "text/plain"
    tag = f'"{sha256}{filename[len(wheel_name) :]}"'
    if is_known(tag, said=request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers={"ETag": tag})
    caching = {"ETag": tag, "Cache-Control": "private, max-age=31536000, immutable"}
    headers = {**caching, **as_file(filename)}
    return FileResponse(path, media_type=media_type, headers=headers)


def _negotiated(request: Request) -> str:
    media_type = index.negotiate(request.headers.get("accept", ""))
    if media_type is None:
        raise UnknownMediaType(
            "None of the accepted media types is one of an index",
            where="header: Accept",
            mend=f"accept text/html or {index.JSON_MEDIA_TYPE}",
        )
    return media_type
