"""Carries news to the other processes of a cluster, and theirs to ours, by Redis' channels.

Whoever hears looks into the store, so a message that is lost costs a look and never an event:
Redis' channels promise no more (https://redis.io/docs/latest/develop/pubsub/).
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from docket import Docket
from pydantic import TypeAdapter, ValidationError

from frozen.values import frozen
from runtime.queue.notifier import Notifier
from runtime.values.ids import new_id

GATHER_S = 0.002
"""So long more topics are gathered into one message: a job has several within a moment."""
AFTER_A_FAULT_S = 1.0
LISTEN_S = 5.0
SEND_S = 5.0

log = logging.getLogger("fumehood.news")


@frozen
class Message:
    """Topics, and which process they come from."""

    sender: str
    topics: tuple[str, ...]


MESSAGE = TypeAdapter(Message)


class News:
    """Topics on their way to other processes, and those that came from there."""

    def __init__(self, docket: Docket, *, notifier: Notifier) -> None:
        self._docket = docket
        self._notifier = notifier
        self._channel = f"{docket.name}:news"
        self._own_name = new_id()
        self._untold: set[str] = set()
        self._is_any = asyncio.Event()
        self._is_away = False

    def publish(self, topic: str) -> None:
        """Let the other processes know that there is news of `topic`."""
        self._untold.add(topic)
        self._is_any.set()

    async def send(self) -> None:
        """Send what is told, for ever."""
        while True:
            await self._is_any.wait()
            await asyncio.sleep(GATHER_S)
            topics, self._untold = tuple(sorted(self._untold)), set()
            self._is_any.clear()
            message = MESSAGE.dump_json(Message(sender=self._own_name, topics=topics)).decode()
            try:
                async with asyncio.timeout(SEND_S), self._docket.redis() as redis:
                    await redis.publish(self._channel, message)
            except Exception as error:  # whatever it is, the next news is tried again
                await self._be_away(error)

    async def hear(self) -> None:
        """Hear what others tell, for ever."""
        while True:
            try:
                await self._hear_until_lost()
            except Exception as error:  # a listener that ended would never hear again
                await self._be_away(error)

    async def _hear_until_lost(self) -> None:
        async with self._docket.redis() as redis:
            channel = redis.pubsub()
            try:
                await channel.subscribe(self._channel)
                if self._is_away:
                    log.info("the Redis of docket_url answers again")
                    self._is_away = False
                self._notifier.wake_all()  # of what was told before this nobody here has heard
                while True:
                    got = await channel.get_message(
                        ignore_subscribe_messages=True, timeout=LISTEN_S
                    )
                    if got is not None:
                        self._take(got["data"])
            finally:
                await channel.aclose()

    def _take(self, message: bytes | str) -> None:
        """Wake who listens; whoever may write to that Redis may send what is no news at all."""
        try:
            said = MESSAGE.validate_json(message)
        except ValidationError:
            log.warning("what came on the channel %s is no news; it is left out", self._channel)
            return
        if said.sender != self._own_name:
            for topic in said.topics:
                self._notifier.wake(topic)

    async def _be_away(self, error: Exception) -> None:
        """Say once that Redis is away; what it would have told is found by looking again."""
        if not self._is_away:
            log.warning("the Redis of docket_url is away, news comes late: %s", error)
            self._is_away = True
        await asyncio.sleep(AFTER_A_FAULT_S)


@asynccontextmanager
async def news_of_others(docket: Docket, notifier: Notifier) -> AsyncGenerator[None]:
    """Carry news between this process and the others of its cluster meanwhile."""
    news = News(docket, notifier=notifier)
    notifier.publish_by(news.publish)
    tasks = [asyncio.create_task(one) for one in (news.send(), news.hear())]
    try:
        yield
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
