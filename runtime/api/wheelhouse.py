"""/v1/wheelhouse/wheels: what is in the house, and adding to it."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request

from runtime.api.context import CallerOf, PartsOf
from runtime.api.spooling import spooled
from runtime.api.views import PageOf, WheelView
from runtime.store import audit
from wheelhouse.store import Origin, Wheel

MIB = 1024 * 1024
router = APIRouter(prefix="/v1/wheelhouse", tags=["wheelhouse"])


@router.get("/wheels")
async def list_wheels(parts: PartsOf, name: str | None = None) -> PageOf[WheelView]:
    """Return the wheels, by name, the newest version first."""
    found = await asyncio.to_thread(
        lambda: list(parts.wheelhouse.find(name) if name else parts.wheelhouse.wheels())
    )
    return PageOf(items=tuple(_view(wheel) for wheel in found), next_cursor=None)


@router.post("/wheels", status_code=201)
async def add_wheel(request: Request, parts: PartsOf, caller: CallerOf) -> WheelView:
    """Judge and keep a wheel: raw with `?filename=`, or a form with the file `wheel`."""
    most_bytes = parts.settings.wheel_most_mb * MIB
    folder = parts.settings.home / "cache"
    async with spooled(request, field="wheel", folder=folder, most_bytes=most_bytes) as upload:
        origin = Origin(kind="uploaded", at=parts.clock(), by=caller.principal)
        wheel = await asyncio.to_thread(
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
    return _view(wheel)


def _view(wheel: Wheel) -> WheelView:
    facts: dict[str, Any] = wheel.to_dict()
    return WheelView.model_validate(facts)
