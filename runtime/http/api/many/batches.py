"""/v1/batches: named groups of jobs, counted together, told of once, cancelled as a whole."""

from typing import Annotated

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from runtime.access.decisions import changes_of, own_changes_of
from runtime.http.api.models.sent_values import Flag, Sentence
from runtime.http.api.models.views import PageOf, View, page_view
from runtime.http.context import (
    BulkOf,
    CallerOf,
    ClockOf,
    CursorOf,
    DeliveriesOf,
    Limit,
    NotifierOf,
    OwnSightOf,
    PrincipalOf,
    StoreOf,
    origin_of,
)
from runtime.http.entrance.operations import operations
from runtime.jobs.bulk import BulkOrder
from runtime.jobs.webhooks.deliveries import DELIVERY_NEWS
from runtime.store.databases.store import Store
from runtime.store.lists import batches
from runtime.values.access import Sight
from runtime.values.around.batches import Batch, Counted, Standing, progress, standing
from runtime.values.around.bulk import Act
from runtime.values.ids import new_id
from runtime.values.job_filter import JobFilter
from runtime.values.states import State
from runtime.values.times import Time

router = operations(prefix="/v1/batches", tags=["jobs"])
BatchName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$")]
OneBatch = Annotated[str, Path(description="A batch, by its name or its id.")]


class BatchOrder(BaseModel):
    """A batch that begins: jobs join it by its name until it is sealed."""

    model_config = ConfigDict(extra="forbid")

    name: BatchName
    note: Sentence = ""
    webhook: Sentence | None = Field(None, description="Whom to tell when all have ended.")


class BatchView(View):
    """A batch: how many of its jobs there are in each state, and how many have ended."""

    id: str
    name: str
    owner: str
    note: str
    webhook: str | None
    standing: Standing
    jobs: dict[State, int]
    done: int
    total: int
    at: Time
    sealed_at: Time | None
    ended_at: Time | None


class CancelOrder(BaseModel):
    """Why a whole batch is cancelled."""

    model_config = ConfigDict(extra="forbid")

    reason: Sentence = Field(min_length=1)
    is_dry_run: Flag = False


def _view(batch: Batch, counted: Counted) -> BatchView:
    done, total = progress(counted)
    names = ("id", "name", "owner", "note", "webhook", "at", "sealed_at", "ended_at")
    return BatchView(
        **{name: getattr(batch, name) for name in names},
        standing=standing(batch, counted=counted),
        jobs=dict(counted),
        done=done,
        total=total,
    )


async def _seen(store: Store, *, name: str, sight: Sight) -> BatchView:
    batch = await store.read(batches.get, name=name, sight=sight)
    return _view(batch, await store.read(batches.counted, batch=batch))


@router.post("", status_code=201)
async def create_batch(
    order: BatchOrder,
    *,
    store: StoreOf,
    principal: PrincipalOf,
    clock: ClockOf,
    deliveries: DeliveriesOf,
) -> BatchView:
    """Begin a batch; jobs join it by `"batch": NAME` in their order."""
    batch = Batch(
        id=new_id(),
        owner=principal.name,
        name=order.name,
        note=order.note,
        webhook=deliveries.judged(order.webhook),
        at=clock(),
    )
    return _view(await store.run(batches.create, batch=batch), {})


@router.get("")
async def list_batches(
    request: Request,
    response: Response,
    store: StoreOf,
    cursor: CursorOf,
    limit: Limit = 50,
    *,
    sight: OwnSightOf,
) -> PageOf[BatchView]:
    """Return batches, the last begun first."""
    page = await store.read(batches.list_all, limit=limit, cursor=cursor, sight=sight)
    counted = {one.id: await store.read(batches.counted, batch=one) for one in page.items}
    return page_view(
        page, show=lambda one: _view(one, counted[one.id]), request=request, response=response
    )


@router.get("/{batch}")
async def get_batch(batch: OneBatch, *, store: StoreOf, sight: OwnSightOf) -> BatchView:
    """Return a batch with its counts by state."""
    return await _seen(store, name=batch, sight=sight)


@router.post("/{batch}/seal")
async def seal_batch(
    batch: OneBatch,
    *,
    store: StoreOf,
    principal: PrincipalOf,
    clock: ClockOf,
    notifier: NotifierOf,
) -> BatchView:
    """Let a batch take no more jobs: it has ended when all that it has have ended."""
    mine = own_changes_of(principal)
    found = await _seen(store, name=batch, sight=mine)
    await store.run(batches.seal, batch_id=found.id, at=clock())
    notifier.notify(DELIVERY_NEWS)
    return await _seen(store, name=found.id, sight=mine)


@router.post("/{batch}/cancel", status_code=202)
async def cancel_batch(
    batch: OneBatch,
    order: CancelOrder,
    *,
    store: StoreOf,
    bulk: BulkOf,
    principal: PrincipalOf,
    caller: CallerOf,
    clock: ClockOf,
) -> BatchView:
    """Seal a batch and cancel every job of it that has not ended, a few at a time."""
    mine = own_changes_of(principal)
    found = await _seen(store, name=batch, sight=mine)
    if not order.is_dry_run:
        await store.run(batches.seal, batch_id=found.id, at=clock())
        what = BulkOrder(act=Act.CANCEL, wanted=JobFilter(batch=found.id), reason=order.reason)
        sight = changes_of(principal)
        await bulk.begin(what, who=principal.name, sight=sight, origin=origin_of(caller))
    return await _seen(store, name=found.id, sight=mine)
