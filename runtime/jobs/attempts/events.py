"""What a run says becomes events of its job: batched, numbered, and told to those who wait.

An event is one NDJSON line: seq, at, job, attempt, event, data.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial

from sqlalchemy import Connection

from frozen.values import frozen
from runtime.artifact.reports import event_of
from runtime.jobs.attempts.outcomes import Ended
from runtime.queue.notifier import News, Notifier, wait_for_news
from runtime.store.databases.store import Store
from runtime.store.databases.units import of_each_job
from runtime.store.jobs import events as event_store
from runtime.store.jobs import jobs as job_store
from runtime.store.jobs.events import Happening
from runtime.values.clock import Clock
from runtime.values.records import Attempt, Event, Job, JsonObject
from sandbox.command import Report
from wheelhouse.times import rfc3339

FLUSH_EVERY_S = 0.025
BATCH_MOST = 500
LISTEN_AT_MOST_S = 1.0
PAGE = 1000


def to_line(event: Event) -> bytes:
    """Return `event` as one NDJSON line."""
    return (json.dumps(to_plain(event), ensure_ascii=False) + "\n").encode(errors="replace")


def to_plain(event: Event) -> dict[str, object]:
    """Return `event` as plain JSON, in the order of the line."""
    return {
        "seq": event.seq,
        "at": rfc3339(event.at),
        "job": event.job,
        "attempt": event.attempt,
        "event": event.event,
        "data": event.data,
    }


@frozen
class EventLog:
    """Writes and follows the events of jobs.

    Who follows looks again after `look_again_s`, since other processes' news come to no notifier
    of this one.
    """

    store: Store
    notifier: Notifier
    clock: Clock
    look_again_s: float = LISTEN_AT_MOST_S

    @asynccontextmanager
    async def writer(
        self, *, job_id: str, attempt: int, token: str
    ) -> AsyncGenerator["EventWriter"]:
        """Offer a writer for the attempt that holds `token`; nothing of it is lost at the end."""
        writer = EventWriter(self, job_id=job_id, attempt=attempt, token=token)
        try:
            yield writer
        finally:
            writer.stop()
            await writer.flush()

    async def follow(
        self, job_id: str, *, after: int = 0, stop: asyncio.Event | None = None
    ) -> AsyncGenerator[Event]:
        """Yield the events after number `after`, then new ones, until the job has ended.

        Ends at the last event of the current attempt, or when `stop` is set.
        """
        with self.notifier.listen(job_id) as news:
            while not (stop and stop.is_set()):
                batch, is_over = await self.store.read(_news, job_id=job_id, after=after)
                for event in batch:
                    after = event.seq
                    yield event
                if is_over:
                    return
                if len(batch) < PAGE:
                    await wait_for_news(news, at_most_s=self.look_again_s)


async def job_once_ended(
    log: EventLog, *, job_id: str, news: News, at_most_s: float
) -> tuple[Job, tuple[Attempt, ...]]:
    """Return the job and its attempts once it has ended, or as it is after so many seconds.

    `news` listens to its end since before it could come, and may say how it ended; that of another
    process comes by looking again.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + at_most_s
    while True:
        left_s = max(until - loop.time(), 0)
        await wait_for_news(news, at_most_s=min(left_s, log.look_again_s))
        if isinstance(news.said, Ended) and news.said.attempts:
            return news.said.job, news.said.attempts
        job, attempts = await log.store.read(job_store.with_attempts, job_id=job_id)
        if job.state.is_final or not left_s:
            return job, attempts


def _news(connection: Connection, *, job_id: str, after: int) -> tuple[tuple[Event, ...], bool]:
    """Return the events after number `after`, and whether the job is over with them."""
    batch = event_store.read(connection, job_id=job_id, after=after, limit=PAGE)
    is_final = job_store.get(connection, job_id=job_id).state.is_final
    return batch, is_final and len(batch) < PAGE


class EventWriter:
    """Collects what happens in one attempt and stores it in batches.

    Used from the event loop only. Once another attempt has taken over, everything is
    dropped: nobody may write into a job that is no longer theirs.
    """

    def __init__(self, log: EventLog, *, job_id: str, attempt: int, token: str) -> None:
        self._log = log
        self._job_id = job_id
        self._attempt = attempt
        self._token = token
        self._waiting: list[Happening] = []
        self._progress: JsonObject | None = None
        self._storing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self.is_superseded = False

    def write(self, event: str, data: JsonObject | None = None) -> None:
        """Add an event; it is stored within some 25 ms, or with the end of the attempt."""
        self._waiting.append((self._log.clock(), event, dict(data or {})))
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(FLUSH_EVERY_S, self._begin_flush)

    def observe(self, report: Report) -> None:
        """Add what a run said: an `Observe` for the sandbox."""
        event, data = event_of(report)
        if report.kind == "progress":
            self._progress = data
        self.write(event, data)

    async def flush(self) -> None:
        """Store everything that was added so far."""
        async with self._storing:
            while self._waiting:
                await self._store_batch()

    @asynccontextmanager
    async def rest(self) -> AsyncGenerator[list[Happening]]:
        """Offer what is not stored yet, to be stored with the end of the attempt.

        It waits again where that fails.
        """
        self.stop()
        async with self._storing:
            while self._progress is not None or len(self._waiting) > BATCH_MOST:
                await self._store_batch()
            rest, self._waiting = self._waiting, []
            try:
                yield rest
            except BaseException:
                self._waiting = rest + self._waiting
                raise

    def stop(self) -> None:
        """Store nothing more by the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin_flush(self) -> None:
        self._timer = None
        self._flushing = asyncio.ensure_future(self._flush_quietly())

    async def _flush_quietly(self) -> None:
        """Store what there is; what cannot be stored now is tried again with the next."""
        with suppress(Exception):
            await self.flush()

    async def _store_batch(self) -> None:
        batch, self._waiting = self._waiting[:BATCH_MOST], self._waiting[BATCH_MOST:]
        progress, self._progress = self._progress, None
        if self.is_superseded:
            return
        storing = asyncio.ensure_future(
            self._log.store.run(
                _append_if_held,
                job_id=self._job_id,
                attempt=self._attempt,
                token=self._token,
                batch=batch,
                progress=progress,
            )
        )
        storing.add_done_callback(partial(self._wait_again_unless_stored, batch))
        # shield: who is cancelled meanwhile does not undo it, and would have it told twice.
        is_stored = await asyncio.shield(storing)
        self.is_superseded = not is_stored
        self._log.notifier.notify(self._job_id)

    def _wait_again_unless_stored(
        self, batch: list[Happening], storing: asyncio.Future[bool]
    ) -> None:
        if storing.cancelled() or storing.exception() is not None:
            self._waiting = batch + self._waiting


@of_each_job
def _append_if_held(
    connection: Connection,
    *,
    job_id: str,
    attempt: int,
    token: str,
    batch: list[Happening],
    progress: JsonObject | None,
) -> bool:
    if not job_store.is_held(connection, job_id=job_id, token=token):
        return False
    event_store.append(connection, job_id=job_id, attempt=attempt, happenings=batch)
    if progress is not None:
        job_store.report_progress(connection, job_id=job_id, token=token, progress=progress)
    return True
