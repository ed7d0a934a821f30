"""/v1/pauses: all dispatch, or a package, waits until somebody lets it go on."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from runtime.faults.errors import InputRefused
from runtime.http.api.models.sent_values import Number, Sentence
from runtime.http.api.models.views import PageOf
from runtime.http.api.when.views import PauseView
from runtime.http.context import (
    CallerOf,
    ClockOf,
    PrincipalOf,
    SightOf,
    StoreOf,
    SubmissionsOf,
    origin_of,
)
from runtime.http.entrance.operations import operations
from runtime.jobs import pausing
from runtime.store.packages.packages import no_package
from runtime.store.when import pauses
from runtime.values.access import Principal, is_bound_to
from runtime.values.times import Year
from runtime.values.when.schedules import ALL, PACKAGE, Pause, is_told
from wheelhouse.problem import Problem

router = operations(prefix="/v1/pauses", tags=["queue"])
MOST_MINUTES = 527_040


class PauseUntil(BaseModel):
    """Why to pause, and until when; neither `until` nor `minutes`: until it is resumed."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[Sentence, Field(min_length=1)]
    until: Year | None = Field(None, description="Until when; or give `minutes`.")
    minutes: Annotated[Number, Field(gt=0, le=MOST_MINUTES, allow_inf_nan=False)] | None = None


class PauseOrder(PauseUntil):
    """What to pause: `all`, or `package:NAME`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"subject": "package:hello", "reason": "the mill is down", "minutes": 30}
        },
    )

    subject: Annotated[str, Field(pattern="^(all|package:.{1,64})$")]


def pause_until(order: PauseUntil, *, subject: str, who: str, at: datetime) -> Pause:
    """Return the pause that is asked for; raise InputRefused where it contradicts itself."""
    until = order.until
    if order.minutes is not None:
        until = at + timedelta(minutes=order.minutes)
    what, mend = "", ""
    if order.until is not None and order.minutes is not None:
        what, mend = "both `until` and `minutes` are given", "give one of the two"
    elif until is not None and until <= at:
        what, mend = "`until` is over already", "name a time to come"
    if what:
        problem = Problem(code="contradiction", what=what, where="pause: /until", mend=mend)
        raise InputRefused("It cannot be paused so", problems=[problem])
    return Pause(subject=subject, who=who, reason=order.reason, at=at, until=until)


@router.get("")
async def list_pauses(store: StoreOf, sight: SightOf) -> PageOf[PauseView]:
    """Return what is paused, by whom, why and until when."""
    found = await store.read(pauses.list_pauses)
    seen = [one for one in found if is_told(one.subject, sight=sight)]
    return PageOf(items=tuple(PauseView.model_validate(one) for one in seen), next_cursor=None)


@router.post("", status_code=201)
async def pause(
    order: PauseOrder,
    *,
    store: StoreOf,
    clock: ClockOf,
    caller: CallerOf,
    principal: PrincipalOf,
) -> PauseView:
    """Let no job begin, of all or of a package; what runs goes on, and orders are accepted."""
    _refuse_out_of_bounds(order.subject, principal)
    wanted = pause_until(order, subject=order.subject, who=caller.principal, at=clock())
    done = await store.run(pausing.pause, wanted=wanted, origin=origin_of(caller))
    return PauseView.model_validate(done)


@router.delete("/{subject}")
async def resume(
    subject: str,
    *,
    store: StoreOf,
    clock: ClockOf,
    caller: CallerOf,
    principal: PrincipalOf,
    submissions: SubmissionsOf,
) -> PauseView:
    """Let jobs begin again."""
    _refuse_out_of_bounds(subject, principal)
    ended = await store.run(
        pausing.resume,
        subject=subject,
        who=caller.principal,
        at=clock(),
        origin=origin_of(caller),
    )
    await submissions.dispatch.ticket()
    return PauseView.model_validate(ended)


def _refuse_out_of_bounds(subject: str, principal: Principal) -> None:
    """Refuse what is not for a token that is bound to packages. Raises NotFound."""
    name = subject.removeprefix(PACKAGE)
    is_bound = is_bound_to(principal.packages, name) and subject != ALL
    if principal.packages and not is_bound:
        raise no_package(name)
