"""Loops beside the jobs: each does a bounded turn, and then another one soon, or in a while.

What a turn has not done, the next one finds in the store: a loop keeps nothing to itself, and a
process that is killed in the middle of one costs the time until the next.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from frozen.values import frozen
from runtime.queue.notifier import Notifier, wait_for_news

BREATH_S = 0.02
"""Between two turns of a loop that has more to do: others want the writer too."""
AFTER_A_FAULT_S = 5.0

log = logging.getLogger("fumehood.loops")


@frozen
class Loop:
    """`turn` says whether there is more to do now; else it comes again after news of `topic`.

    At the latest after `every_s`.
    """

    name: str
    turn: Callable[[], Awaitable[bool]]
    topic: str
    every_s: float


@asynccontextmanager
async def looping(loops: Sequence[Loop], *, notifier: Notifier) -> AsyncGenerator[None]:
    """Run `loops` meanwhile."""
    running = [
        asyncio.create_task(_run(one, notifier=notifier), name=f"fumehood-{one.name}")
        for one in loops
    ]
    try:
        yield
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _run(loop: Loop, *, notifier: Notifier) -> None:
    with notifier.listen(loop.topic) as news:
        while True:
            try:
                is_more = await loop.turn()
            except Exception:
                log.exception("a turn of %s failed; it is tried again", loop.name)
                await asyncio.sleep(AFTER_A_FAULT_S)
                continue
            if is_more:
                await asyncio.sleep(BREATH_S)
            else:
                await wait_for_news(news, at_most_s=loop.every_s)
