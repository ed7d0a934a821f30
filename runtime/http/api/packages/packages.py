"""/v1/packages and /v1/activations: upload, look at, activate, go back."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Body, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from runtime.activations.waiting import activation_once_ended
from runtime.http.api.models.sent_values import Sentence
from runtime.http.api.models.upload_body import upload_body
from runtime.http.api.models.views import (
    ActivationView,
    PackageView,
    PageOf,
    VersionDetail,
    VersionView,
    activation_view,
    page_view,
    version_detail,
)
from runtime.http.bodies.spooling import spooled
from runtime.http.context import (
    CallerOf,
    CursorOf,
    IntakeOf,
    Limit,
    NotifierOf,
    PrincipalOf,
    SettingsOf,
    StoreOf,
    WaitOf,
    origin_of,
)
from runtime.http.entrance.operations import operations
from runtime.http.preconditions import Precondition, PreconditionOf
from runtime.store.packages import activations, packages
from sandbox.limits import MIB

CYCLONEDX = "application/vnd.cyclonedx+json"
router = operations(prefix="/v1", tags=["packages"])


class Wish(BaseModel):
    """Why a version shall become active."""

    model_config = ConfigDict(extra="forbid")

    reason: Sentence = ""


@router.post(
    "/packages",
    status_code=201,
    openapi_extra=upload_body(field="bundle", media_types=("application/zip", "application/gzip")),
    responses={200: {"model": VersionDetail, "description": "The same bytes were there."}},
)
async def upload_package(
    request: Request,
    response: Response,
    caller: CallerOf,
    principal: PrincipalOf,
    *,
    intake: IntakeOf,
    store: StoreOf,
    settings: SettingsOf,
) -> VersionDetail:
    """Judge and keep a bundle: the body is the archive, or a form with the file `bundle`.

    201 when it is new, 200 when the same bytes are there; 422 with one problem per fault.
    """
    most_bytes = settings.bundle_most_mb * MIB
    folder = settings.home / "cache"
    async with spooled(request, field="bundle", folder=folder, most_bytes=most_bytes) as upload:
        version, is_new = await intake.receive(
            upload.path,
            who=caller.principal,
            among=principal.packages,
            origin=origin_of(caller),
        )
    package = await store.read(packages.get_package, name=version.package)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/packages/{version.package}/versions/{version.version}"
    return version_detail(version, package=package)


@router.get("/packages")
async def list_packages(
    request: Request,
    response: Response,
    store: StoreOf,
    cursor: CursorOf,
    principal: PrincipalOf,
    limit: Limit = 50,
) -> PageOf[PackageView]:
    """Return packages by name."""
    page = await store.read(
        packages.list_packages, limit=limit, cursor=cursor, among=principal.packages
    )
    return page_view(page, show=PackageView.model_validate, request=request, response=response)


@router.get("/packages/{name}")
async def get_package(name: str, store: StoreOf) -> PackageView:
    """Return a package."""
    return PackageView.model_validate(await store.read(packages.get_package, name=name))


@router.get("/packages/{name}/versions")
async def list_versions(name: str, store: StoreOf) -> PageOf[VersionView]:
    """Return the versions of a package, the last uploaded first."""
    await store.read(packages.get_package, name=name)
    found = await store.read(packages.list_versions, package=name)
    items = tuple(VersionView.model_validate(version) for version in found)
    return PageOf(items=items, next_cursor=None)


@router.get("/packages/{name}/versions/{version}")
async def get_version(name: str, version: str, store: StoreOf) -> VersionDetail:
    """Return one version with its manifest."""
    found = await store.read(packages.get_version, package=name, version=version)
    package = await store.read(packages.get_package, name=name)
    return version_detail(found, package=package)


@router.post(
    "/packages/{name}/versions/{version}/activate",
    status_code=202,
    responses={200: {"model": ActivationView, "description": "It was waited for, and has ended."}},
)
async def activate_version(
    name: str,
    version: str,
    response: Response,
    *,
    intake: IntakeOf,
    notifier: NotifierOf,
    store: StoreOf,
    caller: CallerOf,
    wait_s: WaitOf,
    precondition: PreconditionOf,
    wish: Annotated[Wish | None, Body()] = None,
) -> ActivationView:
    """Prepare a version and make it the active one if its on_activate hook passes.

    202; follow `Location` until the state is `succeeded` or `failed`. With `Prefer: wait=SECONDS`
    the answer waits for that, and is 200 if it came.
    """
    activation = await intake.request_activation(
        package=name,
        version=version,
        who=caller.principal,
        reason=wish.reason if wish else "",
        origin=origin_of(caller),
        check=_check_of(precondition, name=name, is_needed=False),
    )
    response.headers["Location"] = f"/v1/activations/{activation.id}"
    if wait_s:
        activation = await activation_once_ended(
            store, activation_id=activation.id, notifier=notifier, at_most_s=wait_s
        )
        response.headers["Preference-Applied"] = f"wait={wait_s}"
        response.status_code = 202 if activation.state in activations.UNFINISHED else 200
    return activation_view(activation)


@router.get("/packages/{name}/activations")
async def list_activations(name: str, store: StoreOf) -> PageOf[ActivationView]:
    """Return the activations of a package, the last first."""
    await store.read(packages.get_package, name=name)
    found = await store.read(activations.list_for, package=name)
    return PageOf(items=tuple(activation_view(one) for one in found), next_cursor=None)


@router.get("/activations/{activation_id}")
async def get_activation(activation_id: str, store: StoreOf) -> ActivationView:
    """Return an activation: its state, its problems, and what on_activate said."""
    return activation_view(await store.read(activations.get, activation_id=activation_id))


@router.post("/packages/{name}/rollback")
async def roll_back(
    name: str,
    intake: IntakeOf,
    caller: CallerOf,
    precondition: PreconditionOf,
    wish: Annotated[Wish | None, Body()] = None,
) -> PackageView:
    """Make the version active again that was so before.

    428 without If-Match (the ETag of the package): two who go back at once would go back twice.
    """
    package = await intake.roll_back(
        package=name,
        who=caller.principal,
        reason=wish.reason if wish else "",
        origin=origin_of(caller),
        check=_check_of(precondition, name=name, is_needed=True),
    )
    return PackageView.model_validate(package)


def _check_of(
    precondition: Precondition, *, name: str, is_needed: bool
) -> Callable[[Connection], None]:
    """Return what compares the package with what was read, in the transaction of the change."""

    def check(connection: Connection) -> None:
        package = packages.get_package(connection, name=name)
        precondition.check(PackageView.model_validate(package), is_needed=is_needed)

    return check
