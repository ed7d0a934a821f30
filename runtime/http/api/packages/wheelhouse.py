"""/v1/wheelhouse/wheels: what is in the wheelhouse, and adding to it."""

import asyncio
from typing import Annotated, Any

from fastapi import Query, Request

from runtime.home import wheel_removal
from runtime.http.api.models.upload_body import upload_body
from runtime.http.api.models.views import PageOf, WheelView
from runtime.http.bodies.spooling import spooled
from runtime.http.context import (
    BundlesOf,
    CallerOf,
    ClockOf,
    JudgesOf,
    SettingsOf,
    StoreOf,
    WheelhouseOf,
    WorkshopOf,
    origin_of,
)
from runtime.http.entrance.operations import operations
from runtime.store.access import audit
from sandbox.limits import MIB
from wheelhouse.advisories.advisories import Advisories
from wheelhouse.store import Origin, Wheel, Wheelhouse

router = operations(prefix="/v1/wheelhouse", tags=["wheelhouse"])


@router.get("/wheels")
async def list_wheels(
    wheelhouse: WheelhouseOf, workshop: WorkshopOf, name: str | None = None
) -> PageOf[WheelView]:
    """Return the wheels, by name, the newest version first."""
    return PageOf(
        items=await asyncio.to_thread(_views, wheelhouse, name, workshop.locker.advisories),
        next_cursor=None,
    )


def _views(
    wheelhouse: Wheelhouse, name: str | None, known: Advisories | None
) -> tuple[WheelView, ...]:
    wheels = wheelhouse.find(name) if name else wheelhouse.wheels()
    return tuple(_view(wheel, known=known) for wheel in wheels)


@router.post(
    "/wheels",
    status_code=201,
    openapi_extra=upload_body(field="wheel", media_types=("application/octet-stream",)),
)
async def add_wheel(
    request: Request,
    caller: CallerOf,
    *,
    wheelhouse: WheelhouseOf,
    workshop: WorkshopOf,
    judges: JudgesOf,
    store: StoreOf,
    clock: ClockOf,
    settings: SettingsOf,
    filename: Annotated[str, Query(description="Its name, where it is sent without a form.")] = "",
) -> WheelView:
    """Judge and keep a wheel: raw with `?filename=`, or a form with the file `wheel`."""
    most_bytes = settings.wheel_most_mb * MIB
    folder = settings.home / "cache"
    async with spooled(
        request, field="wheel", folder=folder, most_bytes=most_bytes, filename=filename
    ) as upload:
        origin = Origin(kind="uploaded", at=clock(), by=caller.principal)
        wheel = await judges.beside(
            wheelhouse.add, upload.path, origin=origin, filename=upload.filename
        )
    await store.run(
        audit.append,
        at=origin.at,
        who=caller.principal,
        action="wheel.add",
        subject=wheel.filename,
        details={"sha256": wheel.sha256, **origin_of(caller)},
    )
    return _view(wheel, known=workshop.locker.advisories)


@router.delete("/wheels/{sha256}", status_code=204)
async def remove_wheel(
    sha256: str,
    caller: CallerOf,
    *,
    wheelhouse: WheelhouseOf,
    workshop: WorkshopOf,
    bundles: BundlesOf,
    store: StoreOf,
    clock: ClockOf,
) -> None:
    """Remove a wheel; 409 while an environment, a version that was active or a lock needs it."""
    wheel = await asyncio.to_thread(wheelhouse.get, sha256)
    needs = await asyncio.to_thread(
        wheel_removal.needed_by,
        wheel,
        wheelhouse=wheelhouse,
        environments=workshop.environments,
        bundles=bundles,
    )
    await store.run(
        wheel_removal.remove_wheel,
        wheel=wheel,
        wheelhouse=wheelhouse,
        needs=needs,
        who=caller.principal,
        at=clock(),
        origin=origin_of(caller),
    )


def _view(wheel: Wheel, *, known: Advisories | None) -> WheelView:
    facts: dict[str, Any] = wheel.to_dict()
    touching = known.touching(wheel.name, wheel.version) if known else []
    return WheelView.model_validate(
        facts | {"advisories": [advisory.to_dict() for advisory in touching]}
    )
