"""A host that does not answer holds back its own messages only, and a token that is over none."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast

from runtime.access import tokens
from runtime.access.tokens import TokenWish
from runtime.jobs.webhooks.deliveries import Deliveries
from runtime.queue.notifier import Notifier
from runtime.store import webhooks
from runtime.store.databases.store import Store
from runtime.values.access import Sight
from runtime.values.around.webhooks import Delivery, Tried, Webhook, host_of
from runtime.values.ids import new_id
from runtime.values.states import State

from ..conftest import NOON

SILENT, PROMPT = "silent.example", "prompt.example"


@dataclass
class Messenger:
    """Never comes back from one host, and is answered by the other at once."""

    sent: list[str] = field(default_factory=list[str])

    async def send(self, one: Delivery, *, secret: str) -> Tried:
        self.sent.append(host_of(one.url))
        if host_of(one.url) == SILENT:
            await asyncio.Event().wait()
        return Tried(status=204)


def deliveries(store: Store, messenger: Messenger) -> Deliveries:
    return Deliveries(
        store=store,
        notifier=Notifier(),
        messenger=cast(Any, messenger),
        master=b"m",
        clock=lambda: NOON,
    )


def delivery(host: str, *, minutes: int) -> Delivery:
    at = NOON - timedelta(minutes=minutes)
    return Delivery(
        id=new_id(),
        place=new_id(),
        kind="job.ended",
        owner="token:a",
        package="hello",
        job_id=None,
        url=f"https://{host}/{new_id()}",
        body="{}",
        at=at,
        due_at=at,
    )


async def test_a_hundred_messages_to_a_silent_host_hold_back_no_other(store: Store) -> None:
    waiting = [delivery(SILENT, minutes=60) for _ in range(100)]
    await store.run(webhooks.queue, made=[*waiting, delivery(PROMPT, minutes=1)])
    messenger = Messenger()
    story = deliveries(store, messenger)
    before = asyncio.all_tasks()
    assert await story.turn(), "one has answered, so there may be more"
    assert messenger.sent.count(PROMPT) == 1 and messenger.sent.count(SILENT) < 10
    await store.run(webhooks.queue, made=[delivery(PROMPT, minutes=1)])
    await story.turn()
    assert messenger.sent.count(PROMPT) == 2 and messenger.sent.count(SILENT) < 10
    for task in asyncio.all_tasks() - before:
        task.cancel()


async def test_a_webhook_ends_with_its_token(store: Store) -> None:
    wish = TokenWish(name="a", scopes=("operator",), expires_at=NOON + timedelta(days=2))
    await store.run(tokens.create, wish=wish, who="local:root", at=NOON, origin={})
    hook = Webhook(
        id=new_id(),
        owner="token:a",
        url="https://prompt.example/",
        package="*",
        states=(State.SUCCEEDED,),
        sight=Sight(),
        at=NOON,
    )
    await store.run(webhooks.add, webhook=hook)
    await store.run(webhooks.add, webhook=replace(hook, id=new_id(), owner="local:root"))
    assert len(await store.read(webhooks.every, at=NOON)) == 2
    assert len(await store.read(webhooks.every, at=NOON + timedelta(days=3))) == 1
    await store.run(tokens.revoke, name="a", who="local:root", at=NOON, origin={})
    assert len(await store.read(webhooks.every, at=NOON)) == 1
