"""What a version installs: its lock and its bill of materials, as files for other tools."""

from fastapi import Request, Response

from packages.environment.inventory import INVENTORY_JSON
from packages.environment.sbom import sbom, touching
from packages.lock.lock import FILE as LOCK_FILE
from runtime.http.conditional import is_known
from runtime.http.context import StoreOf, WorkshopOf
from runtime.http.downloads import as_file
from runtime.http.entrance.operations import operations
from runtime.store.packages import activations

router = operations(prefix="/v1/packages/{name}/versions/{version}", tags=["packages"])


@router.get("/lock", response_class=Response)
async def get_lock(name: str, version: str, request: Request, store: StoreOf) -> Response:
    """Return the lock that the version runs on, as pylock.toml (PEP 751).

    404 `not-locked` while the version was never activated.
    """
    prepared = await store.read(activations.installed, package=name, version=version)
    etag = f'"{prepared.lock_digest.removeprefix("sha256:")}"'
    if is_known(etag, said=request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers={"ETag": etag})
    headers = {"ETag": etag, **as_file(LOCK_FILE)}
    return Response(prepared.lock, media_type="application/toml", headers=headers)


@router.get("/sbom", response_class=Response)
async def get_sbom(name: str, version: str, store: StoreOf, workshop: WorkshopOf) -> Response:
    """Return the bill of materials of the version's environment, as CycloneDX 1.6 JSON.

    404 `not-locked` while the version was never activated.
    """
    prepared = await store.read(activations.installed, package=name, version=version)
    inventory = INVENTORY_JSON.validate_python(dict(prepared.inventory))
    known = workshop.locker.advisories
    told = touching(inventory, known) if known else ()
    text = sbom(inventory, name=name, version=version, advisories=told)
    headers = as_file(f"{name}-{version}.cdx.json")
    media_type = "application/vnd.cyclonedx+json; version=1.6"
    return Response(text, media_type=media_type, headers=headers)
