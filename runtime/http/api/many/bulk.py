"""/v1/bulk: one act on every job that a filter means: counted, begun, looked at, stopped."""

from datetime import datetime

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from runtime.access.decisions import changes_of, own_changes_of, own_sight_of
from runtime.http.api.many.wanted import Wanted
from runtime.http.api.models.sent_values import Flag, Sentence, WholeNumber
from runtime.http.api.models.views import PageOf, View, page_view
from runtime.http.context import (
    BulkOf,
    CallerOf,
    CursorOf,
    Limit,
    PrincipalOf,
    StoreOf,
    origin_of,
)
from runtime.http.entrance.operations import operations
from runtime.http.filters import with_batch
from runtime.jobs.bulk import BulkOrder
from runtime.store.lists import bulk as bulk_store
from runtime.values.access import Principal, Sight
from runtime.values.around.bulk import Act, BulkOperation, BulkState
from runtime.values.job_filter import filter_to
from runtime.values.times import Time

router = operations(prefix="/v1/bulk", tags=["jobs"])


class BulkAsk(BaseModel):
    """What to do with which jobs, and why."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "act": "retry",
                "wanted": {"package": "hello", "state": "failed"},
                "reason": "the disk was full",
                "is_dry_run": True,
            }
        },
    )

    act: Act
    wanted: Wanted = Field(description="Which jobs; an empty one means all of them.")
    reason: Sentence = Field("", description="Why; it is written into the audit log.")
    is_dry_run: Flag = Field(False, description="Only count: nothing is done.")
    count: WholeNumber | None = Field(
        None, ge=0, description="How many you mean: refused where it is another number."
    )
    is_everything: Flag = Field(False, description="All are meant, although nothing is asked for.")


class BulkView(View):
    """A bulk operation: how far it has come."""

    id: str | None
    act: Act
    wanted: Wanted
    who: str
    reason: str
    state: BulkState | None
    matched: int
    done: int
    left_alone: int
    waits_for: str
    at: Time | None
    finished_at: Time | None


def _view(operation: BulkOperation) -> BulkView:
    names = ("id", "act", "who", "reason", "state", "matched", "done", "left_alone")
    told = {name: getattr(operation, name) for name in (*names, "waits_for", "at", "finished_at")}
    return BulkView(wanted=Wanted.model_validate(filter_to(operation.wanted)), **told)


def _counted(ask: BulkAsk, *, who: str, matched: int) -> BulkView:
    """Return what a dry run shows: an operation that has no id, since there is none."""
    nothing: datetime | None = None
    return BulkView(
        id=None,
        act=ask.act,
        wanted=ask.wanted,
        who=who,
        reason=ask.reason,
        state=None,
        matched=matched,
        done=0,
        left_alone=0,
        waits_for="",
        at=nothing,
        finished_at=nothing,
    )


@router.post(
    "",
    status_code=202,
    responses={200: {"model": BulkView, "description": "It was a dry run: nothing is done."}},
)
async def begin_bulk(
    ask: BulkAsk,
    response: Response,
    *,
    bulk: BulkOf,
    store: StoreOf,
    principal: PrincipalOf,
    caller: CallerOf,
) -> BulkView:
    """Cancel, retry or delete every job that the filter means, a few at a time.

    Jobs that come later are not among them. An empty filter wants the count, or `is_everything`.
    """
    sight = changes_of(principal)
    wanted = await with_batch(ask.wanted.to_filter(), store=store, sight=sight)
    if ask.is_dry_run:
        response.status_code = 200
        matched = await bulk.count(ask.act, wanted=wanted, sight=sight)
        return _counted(ask, who=principal.name, matched=matched)
    order = BulkOrder(
        act=ask.act,
        wanted=wanted,
        reason=ask.reason,
        count=ask.count,
        is_everything=ask.is_everything,
    )
    begun = await bulk.begin(order, who=principal.name, sight=sight, origin=origin_of(caller))
    response.headers["Location"] = f"/v1/bulk/{begun.id}"
    return _view(begun)


def _own(principal: Principal) -> Sight:
    """Return whose operations are seen: all, or those that who asks has begun."""
    return own_sight_of(principal)


@router.get("")
async def list_bulk(
    request: Request,
    response: Response,
    store: StoreOf,
    cursor: CursorOf,
    limit: Limit = 50,
    *,
    principal: PrincipalOf,
) -> PageOf[BulkView]:
    """Return bulk operations, the last begun first."""
    page = await store.read(bulk_store.list_all, limit=limit, cursor=cursor, sight=_own(principal))
    return page_view(page, show=_view, request=request, response=response)


@router.get("/{operation_id}")
async def get_bulk(operation_id: str, *, store: StoreOf, principal: PrincipalOf) -> BulkView:
    """Return how far a bulk operation has come, and what it waits for."""
    return _view(await store.read(bulk_store.get, operation_id=operation_id, sight=_own(principal)))


@router.post("/{operation_id}/stop")
async def stop_bulk(
    operation_id: str,
    *,
    bulk: BulkOf,
    store: StoreOf,
    principal: PrincipalOf,
    caller: CallerOf,
) -> BulkView:
    """Stop a bulk operation; what it has done stays done."""
    own = own_changes_of(principal)
    await store.read(bulk_store.get, operation_id=operation_id, sight=own)
    return _view(await bulk.stop(operation_id, who=principal.name, origin=origin_of(caller)))
