"""/v1/retention, pins and deletions: what goes after its time, what stays, what goes now."""

import asyncio
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from runtime.http.api.models.sent_values import Sentence
from runtime.http.api.models.views import View
from runtime.http.context import (
    CallerOf,
    ClockOf,
    IntakeOf,
    PrincipalOf,
    RetentionOf,
    SettingsOf,
    StoreOf,
    origin_of,
)
from runtime.http.entrance.operations import operations
from runtime.store.access import audit
from runtime.store.retention import pins, policies, versions
from runtime.values.around.retention import Policy, RetentionSettings
from runtime.values.records import Pin
from runtime.values.times import Time
from wheelhouse.durable import remove_tree

router = operations(tags=["retention"])
Reason = Annotated[Sentence, Query(description="Why; it is written into the audit log.")]


class FreedView(View):
    """How much of a kind has gone so far."""

    kind: str
    number: int
    size_bytes: int


class RetentionView(View):
    """The rules, what goes by them now, and what they have freed."""

    settings: RetentionSettings
    policy: Policy
    due: dict[str, int]
    freed: tuple[FreedView, ...]


class PinOrder(BaseModel):
    """Why a job is kept."""

    model_config = ConfigDict(extra="forbid")

    reason: Sentence = ""


class PinView(View):
    """Who keeps a job, and why."""

    job_id: str
    who: str
    reason: str
    at: Time


async def _shown(retention: RetentionOf, store: StoreOf, settings: SettingsOf) -> RetentionView:
    return RetentionView(
        settings=settings.retention,
        policy=await store.read(policies.read),
        due={kind.value: number for kind, number in (await retention.due()).items()},
        freed=tuple(map(FreedView.model_validate, await store.read(policies.list_freed))),
    )


@router.get("/v1/retention")
async def get_retention(
    retention: RetentionOf, store: StoreOf, settings: SettingsOf
) -> RetentionView:
    """Return how long things are kept, of how many jobs something is due, and what has gone."""
    return await _shown(retention, store, settings)


@router.put("/v1/retention")
async def put_retention(
    policy: Policy,
    *,
    retention: RetentionOf,
    store: StoreOf,
    settings: SettingsOf,
    caller: CallerOf,
) -> RetentionView:
    """Set rules and quotas, which go before those of the settings; it is audited.

    What is due by them goes at once, a few jobs at a time.
    """
    await retention.set_policy(policy, who=caller.principal, origin=origin_of(caller))
    return await _shown(retention, store, settings)


@router.delete("/v1/jobs/{job_id}", status_code=204)
async def delete_job(
    job_id: str, *, retention: RetentionOf, caller: CallerOf, reason: Reason = ""
) -> None:
    """Delete a job that has ended, with its bytes and its artifacts; it is audited.

    409 where it has not ended, or is pinned.
    """
    who = caller.principal
    await retention.delete(job_id, who=who, reason=reason, origin=origin_of(caller))


@router.get("/v1/jobs/{job_id}/pin")
async def get_pin(job_id: str, *, store: StoreOf) -> PinView:
    """Return who keeps a job, and why; 404 where it is not pinned."""
    return PinView.model_validate(await store.read(pins.get, job_id=job_id))


@router.put("/v1/jobs/{job_id}/pin")
async def pin_job(
    job_id: str, order: PinOrder, *, store: StoreOf, principal: PrincipalOf, clock: ClockOf
) -> PinView:
    """Keep a job with all that it has, whatever its time."""
    pin = Pin(job_id=job_id, who=principal.name, reason=order.reason, at=clock())
    return PinView.model_validate(await store.run(pins.pin, pin=pin))


@router.delete("/v1/jobs/{job_id}/pin", status_code=204)
async def unpin_job(job_id: str, *, store: StoreOf) -> None:
    """Let a job go after its time."""
    await store.run(pins.unpin, job_id=job_id)


@router.delete("/v1/packages/{name}/versions/{version}", status_code=204, tags=["packages"])
async def remove_version(
    name: str,
    version: str,
    *,
    store: StoreOf,
    intake: IntakeOf,
    settings: SettingsOf,
    clock: ClockOf,
    caller: CallerOf,
) -> None:
    """Remove a version that nothing needs, with its bundle; 409 tells all that needs it."""
    at, who, origin = clock(), caller.principal, origin_of(caller)

    def remove(connection: Connection) -> versions.Removed:
        removed = versions.remove(connection, package=name, version=version)
        audit.append(
            connection,
            at=at,
            who=who,
            action="version.remove",
            subject=f"{name} {version}",
            details={"bundle": removed.bundle, **origin},
        )
        return removed

    removed = await store.run(remove)
    if removed.bundle:
        await intake.forget(removed.bundle)
    for folder in removed.data_folders:
        await asyncio.to_thread(remove_tree, settings.home / "data" / folder)
