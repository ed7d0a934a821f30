"""Tells of ends by webhooks: looks for what has ended, and delivers what is due.

A job that ends waits for nobody here: it is found in the store afterwards, and stays untold until
its message is written down, whatever is killed in between.
"""

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from frozen.values import frozen
from runtime.faults.errors import InputRefused
from runtime.jobs.webhooks.telling import Messenger
from runtime.queue.notifier import Notifier
from runtime.store import webhooks as store_of_webhooks
from runtime.store.access import audit
from runtime.store.databases.store import Store
from runtime.store.lists import batches
from runtime.values.around.batches import Batch, Counted
from runtime.values.around.webhooks import (
    MOST_OF_ONE_HOST,
    Delivery,
    Webhook,
    after_try,
    body_of,
    by_host,
    judge_url,
    message_id,
    secret_of,
)
from runtime.values.clock import Clock
from runtime.values.ids import new_id
from runtime.values.records import Job, JsonObject
from sandbox.command import Json
from wheelhouse.times import rfc3339

log = logging.getLogger("fumehood.deliveries")
DELIVERY_NEWS = "deliveries"
ENDS_A_TURN = 100
MESSAGES_A_TURN = 500
"""How many messages one transaction writes down at most, about: who submits waits for it."""
HOSTS_MOST = 32
"""How many hosts are spoken with at a time."""
PATIENCE_S = 1.0
"""How long a turn waits for those that answer; the others go on by themselves."""
FORGOTTEN_AFTER = timedelta(days=30)


@dataclass(slots=True, kw_only=True)
class _Known:
    """The webhooks there are, as this process last read them, and what it is about."""

    webhooks: tuple[Webhook, ...] = ()
    busy: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, asyncio.Task[None]])
    """By host, what is on its way: a host that does not answer holds back its own only."""


@frozen
class Deliveries:
    """Registers webhooks, and delivers what they want to be told."""

    store: Store
    notifier: Notifier
    messenger: Messenger
    master: bytes = field(repr=False)
    clock: Clock
    _known: _Known = field(default_factory=_Known)

    def judged(self, url: str | None) -> str | None:
        """Return `url`. Raises InputRefused where nobody may be told there."""
        if url is not None and (problems := judge_url(url, rules=self.messenger.rules)):
            raise InputRefused("Nobody may be told there", problems=problems)
        return url

    def is_awaited(self, *, owner: str, package: str) -> bool:
        """Return whether some webhook wants to be told of such a job."""
        return any(one.is_for(owner=owner, package=package) for one in self._known.webhooks)

    def secret(self, owner: str) -> str:
        """Return the secret that a principal verifies its messages with."""
        return secret_of(self.master, owner=owner)

    async def add(self, webhook: Webhook, *, origin: JsonObject) -> Webhook:
        """Register a webhook for jobs that are submitted from now on; it is audited."""
        self.judged(webhook.url)
        added = await self.store.run(_add, webhook=webhook, origin=origin)
        await self.look()
        return added

    async def look(self) -> None:
        """Read which webhooks there are; before the first order comes, too."""
        self._known.webhooks = await self.store.read(store_of_webhooks.every, at=self.clock())

    async def replay(self, delivery_id: str) -> Delivery:
        """Let a delivery be tried again from the start."""
        again = await self.store.run(
            store_of_webhooks.replay, delivery_id=delivery_id, at=self.clock()
        )
        self.notifier.notify(DELIVERY_NEWS)
        return again

    async def turn(self) -> bool:
        """Write down what is to be told, and try what is due; return whether there is more."""
        at, busy = self.clock(), tuple(self._known.busy)
        seen = await self.store.read(_look_round, at=at, busy=busy)
        self._known.webhooks, due = seen.webhooks, seen.due
        if seen.jobs or seen.batches:
            await self.store.run(_queue, seen=seen, at=at)
            due = await self.store.read(_due, at=self.clock(), busy=busy)
        return await self._deliver(due) or seen.is_more

    async def _deliver(self, due: Sequence[Delivery]) -> bool:
        """Try what is due, some of it; return whether more of it is."""
        begun = {host: self._begin(host, all_of) for host, all_of in by_host(due).items()}
        if not begun:
            return False
        done, _ = await asyncio.wait(begun.values(), timeout=PATIENCE_S)
        return bool(done)

    def _begin(self, host: str, due: Sequence[Delivery]) -> asyncio.Task[None]:
        def is_over(_: asyncio.Task[None]) -> None:
            self._known.busy.pop(host, None)
            self.notifier.notify(DELIVERY_NEWS)

        task = asyncio.ensure_future(self._try_each(due))
        self._known.busy[host] = task
        task.add_done_callback(is_over)
        return task

    async def _try_each(self, due: Sequence[Delivery]) -> None:
        """Try what goes to one host, and write down how it went."""
        try:
            came = await asyncio.gather(
                *(self.messenger.send(one, secret=self.secret(one.owner)) for one in due)
            )
            changes = {
                one.id: after_try(one, its, at=self.clock())
                for one, its in zip(due, came, strict=True)
            }
            forgotten = self.clock() - FORGOTTEN_AFTER
            await self.store.run(_keep, changes=changes, forgotten=forgotten)
        except Exception:  # they are still due, and found again
            log.exception("deliveries could not be tried")


def _add(connection: Connection, *, webhook: Webhook, origin: JsonObject) -> Webhook:
    audit.append(
        connection,
        at=webhook.at,
        who=webhook.owner,
        action="webhook.add",
        subject=webhook.id,
        details={"url": webhook.url, "package": webhook.package, **origin},
    )
    return store_of_webhooks.add(connection, webhook=webhook)


@frozen
class _Round:
    """What one look finds: who is to be told of what, and what is on its way to them."""

    webhooks: tuple[Webhook, ...]
    jobs: tuple[Job, ...]
    batches: tuple[Batch, ...]
    due: tuple[Delivery, ...]
    is_more: bool
    """Whether more has ended than one turn tells of."""


def _look_round(connection: Connection, *, at: datetime, busy: tuple[str, ...]) -> _Round:
    """Look once a second, in one question where there were four, each with its way to a thread."""
    webhooks = store_of_webhooks.every(connection, at=at)
    most = max(1, min(ENDS_A_TURN, MESSAGES_A_TURN // max(1, len(webhooks))))
    jobs = store_of_webhooks.untold(connection, limit=most)
    ended = batches.that_have_ended(connection, limit=most)
    return _Round(
        webhooks=webhooks,
        jobs=jobs,
        batches=ended,
        due=_due(connection, at=at, busy=busy),
        is_more=most in {len(jobs), len(ended)},
    )


def _due(connection: Connection, *, at: datetime, busy: tuple[str, ...]) -> tuple[Delivery, ...]:
    return store_of_webhooks.due(
        connection,
        at=at,
        hosts=max(0, HOSTS_MOST - len(busy)),
        of_one=MOST_OF_ONE_HOST,
        busy=busy,
    )


def _queue(connection: Connection, *, seen: _Round, at: datetime) -> None:
    """Write down a message for each end that somebody wants to be told of."""
    for job in seen.jobs:
        if store_of_webhooks.note_told(connection, job=job):
            made = messages_of_job(job, webhooks=seen.webhooks, at=at)
            store_of_webhooks.queue(connection, made=made)
    for batch in seen.batches:
        if batches.end(connection, batch_id=batch.id, at=at) and batch.webhook:
            counted = batches.counted(connection, batch=batch)
            made = [message_of_batch(batch, counted=counted, at=at)]
            store_of_webhooks.queue(connection, made=made)


def _keep(
    connection: Connection, *, changes: dict[str, dict[str, object]], forgotten: datetime
) -> None:
    store_of_webhooks.change(connection, changes=changes)
    store_of_webhooks.forget(connection, before=forgotten)


def messages_of_job(job: Job, *, webhooks: Sequence[Webhook], at: datetime) -> Iterator[Delivery]:
    """Yield a message for whom a job's order names, and for each webhook that it is for."""
    owner, told = job.request.principal, set[tuple[str, str]]()
    to = [(owner, job.webhook)] if job.webhook else []
    to += [
        (one.owner, one.url)
        for one in webhooks
        if job.state in one.states and one.is_for(owner=owner, package=job.package)
    ]
    for whose, url in to:
        if (whose, url) not in told:
            told.add((whose, url))
            yield _message_of_job(job, whose=whose, url=url, at=at)


def _message_of_job(job: Job, *, whose: str, url: str, at: datetime) -> Delivery:
    job_told: dict[str, Json] = {
        "id": job.id,
        "package": job.package,
        "version": job.version,
        "state": job.state.value,
        "attempt": job.attempt,
        "labels": dict(job.labels),
        "batch": job.batch,
        "error": {"code": job.error.code, "what": job.error.what} if job.error else None,
        "submitted_at": rfc3339(job.submitted_at),
        "finished_at": rfc3339(job.finished_at or at),
    }
    body = body_of("job.ended", at=rfc3339(at), data={"job": job_told})
    return Delivery(
        id=message_id(whose, url, job.id, job.attempt),
        place=new_id(),
        kind="job.ended",
        owner=whose,
        package=job.package,
        job_id=job.id,
        url=url,
        body=json.dumps(body, ensure_ascii=False),
        at=at,
        due_at=at,
    )


def message_of_batch(batch: Batch, *, counted: Counted, at: datetime) -> Delivery:
    """Return the message that says that all jobs of a batch have ended."""
    jobs: dict[str, Json] = {state.value: number for state, number in counted.items()}
    data: dict[str, Json] = {"id": batch.id, "name": batch.name, "jobs": jobs}
    return Delivery(
        id=message_id(batch.owner, batch.webhook, batch.id),
        place=new_id(),
        kind="batch.ended",
        owner=batch.owner,
        package="",
        job_id=None,
        url=batch.webhook or "",
        body=json.dumps(
            body_of("batch.ended", at=rfc3339(at), data={"batch": data}), ensure_ascii=False
        ),
        at=at,
        due_at=at,
    )
