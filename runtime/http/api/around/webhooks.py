"""/v1/webhooks and /v1/deliveries: who is told of ends, and how that went."""

from typing import Annotated, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from runtime.access.decisions import changes_of, own_changes_of, own_sight_of
from runtime.http.api.models.sent_values import Sentence
from runtime.http.api.models.views import PageOf, View, page_view
from runtime.http.context import (
    CallerOf,
    ClockOf,
    CursorOf,
    DeliveriesOf,
    Limit,
    OwnSightOf,
    PrincipalOf,
    SightOf,
    StoreOf,
    origin_of,
)
from runtime.http.entrance.operations import operations
from runtime.store import webhooks as webhook_store
from runtime.values.around.retention import PackagePattern
from runtime.values.around.webhooks import DeliveryState, Webhook
from runtime.values.ids import new_id
from runtime.values.states import FINAL, State
from runtime.values.times import Time

router = operations(tags=["webhooks"])
EVERY_END = tuple(sorted(FINAL))


class WebhookOrder(BaseModel):
    """Whom to tell of which ends."""

    model_config = ConfigDict(extra="forbid")

    url: Sentence = Field(description="Where: one of the hosts that an admin has named.")
    package: PackagePattern = Field("*", description="A name, a prefix with *, or * for any.")
    states: tuple[Literal["succeeded", "failed", "cancelled"], ...] = Field(
        ("succeeded", "failed", "cancelled"), min_length=1, max_length=3
    )


class WebhookView(View):
    """A webhook."""

    id: str
    owner: str
    url: str
    package: str
    states: tuple[State, ...]
    at: Time


class SecretView(View):
    """What the messages to a principal are signed with."""

    secret: str


class DeliveryView(View):
    """One message to one address, and how its tries went."""

    id: str
    kind: str
    owner: str
    package: str
    job_id: str | None
    url: str
    body: str
    state: DeliveryState
    tries: int
    status: int | None
    error: str
    at: Time
    due_at: Time
    ended_at: Time | None


@router.post("/v1/webhooks", status_code=201)
async def add_webhook(
    order: WebhookOrder,
    *,
    deliveries: DeliveriesOf,
    principal: PrincipalOf,
    caller: CallerOf,
    clock: ClockOf,
) -> WebhookView:
    """Be told when jobs end that are submitted from now on: one's own, or those of all in sight.

    Who may change the jobs of all is told of all.
    """
    webhook = Webhook(
        id=new_id(),
        owner=principal.name,
        url=order.url,
        package=order.package,
        states=tuple(map(State, order.states)),
        sight=changes_of(principal),
        at=clock(),
    )
    return WebhookView.model_validate(await deliveries.add(webhook, origin=origin_of(caller)))


@router.get("/v1/webhooks")
async def list_webhooks(
    request: Request,
    response: Response,
    store: StoreOf,
    cursor: CursorOf,
    limit: Limit = 50,
    *,
    principal: PrincipalOf,
) -> PageOf[WebhookView]:
    """Return webhooks, the last made first: one's own, or those of all."""
    sight = own_sight_of(principal)
    page = await store.read(webhook_store.list_of, limit=limit, cursor=cursor, sight=sight)
    return page_view(page, show=WebhookView.model_validate, request=request, response=response)


@router.delete("/v1/webhooks/{webhook_id}", status_code=204)
async def remove_webhook(webhook_id: str, *, store: StoreOf, principal: PrincipalOf) -> None:
    """Tell nobody there any more."""
    sight = own_changes_of(principal)
    await store.run(webhook_store.remove, webhook_id=webhook_id, sight=sight)


@router.get("/v1/webhook-secret")
async def get_webhook_secret(deliveries: DeliveriesOf, principal: PrincipalOf) -> SecretView:
    """Return what messages to who asks are signed with, in the form of Standard Webhooks."""
    return SecretView(secret=deliveries.secret(principal.name))


@router.get("/v1/deliveries")
async def list_deliveries(
    request: Request,
    response: Response,
    store: StoreOf,
    cursor: CursorOf,
    limit: Limit = 50,
    *,
    sight: OwnSightOf,
    state: DeliveryState | None = None,
    job: Annotated[str | None, Query(description="Only of this job.")] = None,
) -> PageOf[DeliveryView]:
    """Return what was told, or is to be, the last made first."""
    page = await store.read(
        webhook_store.list_deliveries,
        limit=limit,
        cursor=cursor,
        state=state,
        job_id=job or None,
        sight=sight,
    )
    return page_view(page, show=DeliveryView.model_validate, request=request, response=response)


@router.get("/v1/deliveries/{delivery_id}")
async def get_delivery(delivery_id: str, *, store: StoreOf, sight: SightOf) -> DeliveryView:
    """Return one delivery: what is told, and how its tries went."""
    found = await store.read(webhook_store.get, delivery_id=delivery_id, sight=sight)
    return DeliveryView.model_validate(found)


@router.post("/v1/deliveries/{delivery_id}/replay", status_code=202)
async def replay_delivery(
    delivery_id: str, *, store: StoreOf, deliveries: DeliveriesOf, principal: PrincipalOf
) -> DeliveryView:
    """Tell it again, from the first try on; it keeps its id, so that who has it knows it."""
    sight = changes_of(principal)
    await store.read(webhook_store.get, delivery_id=delivery_id, sight=sight)
    return DeliveryView.model_validate(await deliveries.replay(delivery_id))
