"""/v1/gate: the network gate."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from runtime.gate.opening import close_gate, close_if_over, open_gate, opened
from runtime.http.api.models.sent_values import Flag, Number, Sentence
from runtime.http.api.models.views import GateView, gate_view
from runtime.http.context import (
    AccessOf,
    CallerOf,
    ClockOf,
    ClosingsOf,
    GateClockOf,
    StoreOf,
    origin_of,
)
from runtime.http.entrance.operations import operations
from runtime.http.preconditions import PreconditionOf
from runtime.values.times import Year

router = operations(prefix="/v1/gate", tags=["gate"])


class GateOrder(BaseModel):
    """Open the gate until a time (or for some minutes) for a reason, or close it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"is_open": True, "minutes": 15, "reason": "first install of spreadsheet"}
        },
    )

    is_open: Flag
    until: Year | None = Field(None, description="Until when; or give `minutes`.")
    minutes: Annotated[Number, Field(gt=0, le=527_040, allow_inf_nan=False)] | None = None
    reason: Sentence = ""
    packages: tuple[str, ...] = Field((), description="Only for these packages; empty: for all.")
    who: Sentence = Field(
        "", description="For whom, as a note in the audit log; who does it is known."
    )


@router.get("")
async def get_gate(store: StoreOf, gate_clock: GateClockOf) -> GateView:
    """Return whether the gate is open, until when, and why."""
    gate = await store.run(close_if_over, at=gate_clock())
    gate_clock.note(gate)
    return gate_view(gate)


@router.put("")
async def put_gate(
    order: GateOrder,
    *,
    store: StoreOf,
    closings: ClosingsOf,
    clock: ClockOf,
    gate_clock: GateClockOf,
    caller: CallerOf,
    access: AccessOf,
    precondition: PreconditionOf,
) -> GateView:
    """Open or close the gate; both are written into the audit log.

    428 where it is open already and If-Match is missing: somebody opened it for a reason. To
    close it needs none.
    """
    at = clock()
    who = caller.principal
    origin = {**origin_of(caller), **({"for_whom": order.who} if order.who else {})}
    if not order.is_open:
        reason = order.reason or "closed by hand"
        closings.note()
        return gate_view(await store.run(close_gate, who=who, reason=reason, at=at, origin=origin))
    gate = opened(
        until=_until(order, at=at), reason=order.reason, who=who, packages=order.packages, at=at
    )
    opening = precondition.before(
        open_gate,
        look=lambda connection: gate_view(close_if_over(connection, at=gate_clock())),
        is_needed=(await store.run(close_if_over, at=gate_clock())).is_open,
    )
    open_now = await store.run(opening, gate=gate, origin=origin, sign=access.seal.sign)
    gate_clock.note(open_now)
    return gate_view(open_now)


def _until(order: GateOrder, *, at: datetime) -> datetime:
    """Return the time that was asked for; 15 minutes when none was."""
    return order.until or at + timedelta(minutes=order.minutes or 15)
