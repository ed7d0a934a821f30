"""/v1/schedules: jobs for times to come."""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy import Connection

from runtime.http.api.models.order_forms import (
    Priority,
    RetryOrder,
    first_field,
    form_schema,
    read_inputs,
    read_order,
)
from runtime.http.api.models.sent_values import Parameters, Sentence, WholeNumber
from runtime.http.api.models.views import PageOf, page_view
from runtime.http.api.when.pauses import PauseUntil, pause_until
from runtime.http.api.when.views import ScheduleDetail, ScheduleView, schedule_view
from runtime.http.bodies.bodies import form_parts, is_multipart, whole_body
from runtime.http.bodies.bounded_bodies import MOST_BYTES, refuse_too_long
from runtime.http.context import (
    BlobsOf,
    CallerOf,
    ClockOf,
    CursorOf,
    Limit,
    PrincipalOf,
    SchedulesOf,
    SettingsOf,
    SightOf,
    StoreOf,
    origin_of,
)
from runtime.http.entrance.operations import operations
from runtime.jobs import pausing
from runtime.jobs.schedules import ScheduleWish, remove
from runtime.store.packages.packages import no_package
from runtime.store.when import pauses
from runtime.store.when import schedules as schedule_store
from runtime.values.access import Sight, is_bound_to
from runtime.values.records import Page
from runtime.values.when.schedules import SCHEDULE, Pause, Schedule
from runtime.values.when.ticks import Missed, Overlap
from sandbox.limits import MIB

router = operations(prefix="/v1/schedules", tags=["schedules"])
LONGEST_S = 366 * 86_400


class ScheduleOrder(BaseModel):
    """What to run, and when: by cron in a time zone, or every so many seconds."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "name": "nightly",
                "package": "hello",
                "cron": "30 6 * * 1-5",
                "zone": "Europe/Berlin",
            }
        },
    )

    name: Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    package: str
    version: str | None = Field(None, description="Empty: what is active when it comes.")
    parameters: Parameters = Field(default_factory=dict)
    cron: Annotated[Sentence, Field(max_length=200)] = Field(
        "", description="Minute, hour, day, month, weekday."
    )
    every_s: Annotated[WholeNumber, Field(ge=1, le=LONGEST_S)] | None = Field(
        None, description="Or every so many seconds from now on."
    )
    zone: Annotated[str, Field(max_length=64)] = Field(
        "UTC", description="The time zone of `cron`, as IANA names it."
    )
    missed: Missed = Field(Missed.SKIP, description="What to do with ticks that were missed.")
    overlap: Overlap = Field(
        Overlap.SKIP, description="What to do while the job of the last tick goes on."
    )
    priority: Priority = 0
    retry: RetryOrder | None = None

    def to_wish(self) -> ScheduleWish:
        """Return it as a value."""
        return ScheduleWish(
            name=self.name,
            package=self.package,
            version=self.version,
            parameters=self.parameters,
            cron=self.cron.strip(),
            every_s=self.every_s,
            zone=self.zone,
            missed=self.missed,
            overlap=self.overlap,
            priority=self.priority,
            retry=self.retry.to_policy() if self.retry else None,
        )


ORDER = TypeAdapter(ScheduleOrder)
EXAMPLE = '{"name": …, "package": NAME, "cron": "30 6 * * *", "zone": …}'
BODY = form_schema(ScheduleOrder, field="schedule")


@router.post("", status_code=201, openapi_extra=BODY)
async def create_schedule(
    request: Request,
    response: Response,
    *,
    schedules: SchedulesOf,
    blobs: BlobsOf,
    settings: SettingsOf,
    caller: CallerOf,
    principal: PrincipalOf,
    clock: ClockOf,
) -> ScheduleDetail:
    """Keep a schedule: JSON alone, or a form with the field `schedule` and files in `input`."""
    async with blobs.staging() as staging:
        inputs = ()
        if is_multipart(request):
            refuse_too_long(request, most_bytes=settings.input_most_mb * MIB)
            form = form_parts(request)
            order = _order(await first_field(form, name="schedule"), among=principal.packages)
            inputs = await read_inputs(form, staging=staging, settings=settings)
        else:
            body = await whole_body(request, most_bytes=MOST_BYTES)
            order = _order(body.decode(errors="replace"), among=principal.packages)
        schedule = await schedules.create(
            order.to_wish(),
            inputs=inputs,
            caller=caller,
            keep=staging.keep,
            origin=origin_of(caller),
        )
    response.headers["Location"] = f"/v1/schedules/{schedule.id}"
    return schedule_view(schedule, pause=None, at=clock())


def _order(text: str, *, among: tuple[str, ...]) -> ScheduleOrder:
    order = read_order(text, model=ORDER, about="schedule", example=EXAMPLE)
    if not is_bound_to(among, order.package):
        raise no_package(order.package)
    return order


@router.get("")
async def list_schedules(
    request: Request,
    response: Response,
    store: StoreOf,
    cursor: CursorOf,
    limit: Limit = 50,
    *,
    sight: SightOf,
    clock: ClockOf,
    package: str | None = None,
) -> PageOf[ScheduleView]:
    """Return schedules, the last made first, each with its next five ticks."""
    page, paused = await store.read(
        _listed, limit=limit, cursor=cursor, package=package, sight=sight
    )
    now = clock()

    def shown(one: Schedule) -> ScheduleView:
        whole = schedule_view(one, pause=paused.get(SCHEDULE + one.id), at=now)
        return ScheduleView.model_validate(whole)

    # Beside the event loop: the ticks of 200 rare days took it for 4 s.
    views = await asyncio.to_thread(lambda: {one.id: shown(one) for one in page.items})
    return page_view(page, show=lambda one: views[one.id], request=request, response=response)


def _listed(
    connection: Connection,
    *,
    limit: int,
    cursor: str | None,
    package: str | None,
    sight: Sight,
) -> tuple[Page[schedule_store.Schedule], dict[str, Pause]]:
    page = schedule_store.list_schedules(
        connection, limit=limit, cursor=cursor, package=package, sight=sight
    )
    return page, {one.subject: one for one in pauses.list_pauses(connection)}


@router.get("/{schedule_id}")
async def get_schedule(schedule_id: str, store: StoreOf, clock: ClockOf) -> ScheduleDetail:
    """Return a schedule with its next five ticks and what came of the last ones."""
    return await store.read(_detail, schedule_id=schedule_id, at=clock())


def _detail(connection: Connection, *, schedule_id: str, at: datetime) -> ScheduleDetail:
    schedule = schedule_store.get(connection, schedule_id=schedule_id)
    return schedule_view(
        schedule,
        pause=pauses.get(connection, subject=SCHEDULE + schedule_id),
        at=at,
        ticks=schedule_store.list_ticks(connection, schedule_id=schedule_id),
    )


@router.delete("/{schedule_id}", status_code=204)
async def remove_schedule(
    schedule_id: str, store: StoreOf, clock: ClockOf, caller: CallerOf
) -> None:
    """Forget a schedule; jobs that it made stay."""
    await store.run(
        remove,
        schedule_id=schedule_id,
        who=caller.principal,
        at=clock(),
        origin=origin_of(caller),
    )


@router.post("/{schedule_id}/pause")
async def pause_schedule(
    schedule_id: str, order: PauseUntil, store: StoreOf, clock: ClockOf, caller: CallerOf
) -> ScheduleDetail:
    """Run no tick until it is resumed; ticks meanwhile are missed, and its rule decides."""
    now = clock()
    wanted = pause_until(order, subject=SCHEDULE + schedule_id, who=caller.principal, at=now)
    await store.run(pausing.pause, wanted=wanted, origin=origin_of(caller))
    return await store.read(_detail, schedule_id=schedule_id, at=now)


@router.post("/{schedule_id}/resume")
async def resume_schedule(
    schedule_id: str, store: StoreOf, clock: ClockOf, caller: CallerOf
) -> ScheduleDetail:
    """Let a schedule go on that is paused."""
    now = clock()
    await store.run(
        pausing.resume,
        subject=SCHEDULE + schedule_id,
        who=caller.principal,
        at=now,
        origin=origin_of(caller),
    )
    return await store.read(_detail, schedule_id=schedule_id, at=now)
