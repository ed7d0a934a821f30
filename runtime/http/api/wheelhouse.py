"""/v1/wheelhouse/wheels: what is in the house, and adding to it."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request

from runtime.home import wheel_removal as removing
from runtime.http.api.views import PageOf, WheelView
from runtime.http.context import CallerOf, PartsOf
from runtime.http.spooling import spooled
from runtime.parts import Parts
from runtime.store import audit
from wheelhouse.advisories import Advisories
from wheelhouse.store import Origin, Wheel

MIB = 1024 * 1024
router = APIRouter(prefix="/v1/wheelhouse", tags=["wheelhouse"])


@router.get("/wheels")
async def list_wheels(parts: PartsOf, name: str | None = None) -> PageOf[WheelView]:
    """Return the wheels, by name, the newest version first."""
    return PageOf(items=await asyncio.to_thread(_views, parts, name), next_cursor=None)


def _views(parts: Parts, name: str | None) -> tuple[WheelView, ...]:
    known = parts.workshop.locker.advisories
    wheels = parts.wheelhouse.find(name) if name else parts.wheelhouse.wheels()
    return tuple(_view(wheel, known=known) for wheel in wheels)


@router.post("/wheels", status_code=201)
async def add_wheel(request: Request, parts: PartsOf, caller: CallerOf) -> WheelView:
    """Judge and keep a wheel: raw with `?filename=`, or a form with the file `wheel`."""
    most_bytes = parts.settings.wheel_most_mb * MIB
    folder = parts.settings.home / "cache"
    async with spooled(request, field="wheel", folder=folder, most_bytes=most_bytes) as upload:
        origin = Origin(kind="uploaded", at=parts.clock(), by=caller.principal)
        wheel = await parts.judges.beside(
            parts.wheelhouse.add, upload.path, origin=origin, filename=upload.filename
        )
    await parts.store.run(
        audit.append,
        at=origin.at,
        who=caller.principal,
        action="wheel.add",
        subject=wheel.filename,
        details={"sha256": wheel.sha256},
    )
    return _view(wheel, known=parts.workshop.locker.advisories)


@router.delete("/wheels/{sha256}", status_code=204)
async def remove_wheel(sha256: str, parts: PartsOf, caller: CallerOf) -> None:
    """Remove a wheel; 409 while an environment, a version that was active or a lock needs it."""
    house = parts.wheelhouse
    wheel = await asyncio.to_thread(house.get, sha256)
    needs = await asyncio.to_thread(
        removing.needed_by,
        wheel,
        house=house,
        environments=parts.workshop.environments,
        bundles=parts.bundles,
    )
    await parts.store.run(
        removing.remove_wheel,
        wheel=wheel,
        house=house,
        needs=needs,
        who=caller.principal,
        at=parts.clock(),
    )


def _view(wheel: Wheel, *, known: Advisories | None) -> WheelView:
    facts: dict[str, Any] = wheel.to_dict()
    touching = known.touching(wheel.name, wheel.version) if known else []
    return WheelView.model_validate(
        facts | {"advisories": [advisory.to_dict() for advisory in touching]}
    )
