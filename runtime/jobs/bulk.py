"""Bulk operations: judged and begun by whoever asks, carried on a few jobs at a time."""

from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from frozen.values import frozen
from runtime.faults.errors import InputRefused
from runtime.jobs.attempts.cancellations import Cancellations
from runtime.jobs.retention.collecting import Collector
from runtime.queue.dispatch import Dispatch
from runtime.queue.notifier import Notifier, ended
from runtime.store.access import audit
from runtime.store.databases.store import Store
from runtime.store.jobs import jobs as job_store
from runtime.store.lists import bulk
from runtime.store.retention import deletion
from runtime.store.retention.deletion import Gone
from runtime.values.access import Sight
from runtime.values.around.bulk import Act, BulkOperation, BulkState, judge
from runtime.values.clock import Clock
from runtime.values.ids import new_id
from runtime.values.job_filter import JobFilter, filter_to
from runtime.values.records import JsonObject

BULK_NEWS = "bulk operations"


@frozen
class BulkOrder:
    """What somebody asks for. `count` and `is_everything` guard against meaning too much."""

    act: Act
    wanted: JobFilter
    reason: str
    count: int | None = None
    is_everything: bool = False


@frozen
class Bulk:
    """Begins, carries on and stops operations on many jobs."""

    store: Store
    dispatch: Dispatch
    notifier: Notifier
    cancellations: Cancellations
    collector: Collector
    clock: Clock
    queue_limit: int

    async def count(self, act: Act, *, wanted: JobFilter, sight: Sight) -> int:
        """Return how many jobs are meant now. A long list is counted bit by bit."""
        number, after = 0, await self._top()
        while after is not None:
            more, after = await self.store.read(
                bulk.count, act=act, operation_sight=sight, wanted=filter_to(wanted), after=after
            )
            number += more
        return number

    async def _top(self) -> str:
        """Return what comes right before the newest job of now, and after all that are to come."""
        return (await self.store.read(bulk.newest) or "0") + "~"

    async def judged(self, order: BulkOrder, *, sight: Sight) -> int:
        """Return how many jobs are meant. Raises InputRefused where the order is not sure."""
        matched = await self.count(order.act, wanted=order.wanted, sight=sight)
        problems = judge(
            order.act,
            order.wanted,
            reason=order.reason,
            matched=matched,
            count=order.count,
            is_everything=order.is_everything,
        )
        if problems:
            raise InputRefused("This is not done as it is asked for", problems=problems)
        return matched

    async def begin(
        self, order: BulkOrder, *, who: str, sight: Sight, origin: JsonObject
    ) -> BulkOperation:
        """Begin an operation; it is written into the audit log with its reason."""
        top = await self._top()
        operation = BulkOperation(
            id=new_id(),
            act=order.act,
            wanted=order.wanted,
            who=who,
            reason=order.reason,
            sight=sight,
            matched=await self.judged(order, sight=sight),
            at=self.clock(),
            place=top,
        )
        begun = await self.store.run(_begin, operation=operation, origin=origin)
        self.notifier.notify(BULK_NEWS)
        return begun

    async def stop(self, operation_id: str, *, who: str, origin: JsonObject) -> BulkOperation:
        """Stop an operation; what it has done stays done."""
        return await self.store.run(
            _stop, operation_id=operation_id, who=who, at=self.clock(), origin=origin
        )

    async def turn(self) -> bool:
        """Carry every running operation on by some jobs; return whether there is more to do now."""
        is_more = False
        for operation_id in await self.store.read(bulk.running):
            now = await self._carry_on(operation_id)
            is_more = is_more or (now.state is BulkState.RUNNING and not now.waits_for)
        return is_more

    async def _carry_on(self, operation_id: str) -> BulkOperation:
        gone: list[Gone] = []
        at = self.clock()
        now, done = await self.store.run(
            _turn,
            operation_id=operation_id,
            at=at,
            queue_limit=self.queue_limit,
            gone=gone,
        )
        if now.act is Act.RETRY and done:
            await self.dispatch.ticket()
        for job_id in done:
            if now.act is Act.CANCEL:
                self.cancellations.cancel(job_id)
            self.notifier.notify(job_id)
            self.notifier.notify(ended(job_id))
        for one in gone:
            await self.collector.remove_folder(one.job.id)
        await self.collector.collect({digest for one in gone for digest in one.digests})
        return now


def _begin(
    connection: Connection, *, operation: BulkOperation, origin: JsonObject
) -> BulkOperation:
    audit.append(
        connection,
        at=operation.at,
        who=operation.who,
        action=f"jobs.{operation.act}",
        subject=operation.id,
        details={
            "wanted": filter_to(operation.wanted),
            "matched": operation.matched,
            "reason": operation.reason,
            **origin,
        },
    )
    return bulk.begin(connection, operation=operation)


def _stop(
    connection: Connection, *, operation_id: str, who: str, at: datetime, origin: JsonObject
) -> BulkOperation:
    was = bulk.get(connection, operation_id=operation_id)
    now = bulk.stop(connection, operation_id=operation_id, at=at)
    if was.state is not now.state:
        _tell_end(connection, now, who=who, at=at, origin=origin)
    return now


def _turn(
    connection: Connection,
    *,
    operation_id: str,
    at: datetime,
    queue_limit: int,
    gone: list[Gone],
) -> tuple[BulkOperation, tuple[str, ...]]:
    act = bulk.get(connection, operation_id=operation_id).act
    do = {
        Act.CANCEL: partial(_cancel, at=at),
        Act.RETRY: partial(_retry, at=at, queue_limit=queue_limit),
        Act.DELETE: partial(_delete, gone=gone),
    }[act]
    now, done = bulk.carry_on(connection, operation_id=operation_id, do=do, at=at)
    if gone:
        told: JsonObject = {"jobs": [one.job.id for one in gone], "reason": now.reason}
        audit.append(
            connection, at=at, who=now.who, action="job.delete", subject=now.id, details=told
        )
    if now.state is BulkState.DONE:
        _tell_end(connection, now, who=now.who, at=at, origin={})
    return now, done


def _tell_end(
    connection: Connection, now: BulkOperation, *, who: str, at: datetime, origin: JsonObject
) -> None:
    told: JsonObject = {"done": now.done, "left_alone": now.left_alone, "state": now.state.value}
    audit.append(
        connection,
        at=at,
        who=who,
        action=f"jobs.{now.act}.end",
        subject=now.id,
        details={**told, **origin},
    )


def _cancel(connection: Connection, job_id: str, *, at: datetime) -> None:
    job_store.cancel(connection, job_id=job_id, at=at)


def _retry(connection: Connection, job_id: str, *, at: datetime, queue_limit: int) -> None:
    job_store.retry(connection, job_id=job_id, at=at, queue_limit=queue_limit)


def _delete(connection: Connection, job_id: str, *, gone: list[Gone]) -> None:
    gone.append(deletion.delete_job(connection, job_id=job_id))
