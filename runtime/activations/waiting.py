"""Waits for the end of an activation."""

import asyncio

from runtime.queue.notifier import Notifier, wait_for_news
from runtime.store.databases.store import Store
from runtime.store.packages import activations
from runtime.values.records import Activation

LOOK_AGAIN_S = 1.0


async def activation_once_ended(
    store: Store, *, activation_id: str, notifier: Notifier, at_most_s: float
) -> Activation:
    """Return an activation once it has ended, or as it is after so many seconds.

    The news of another process comes by looking again every second.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + at_most_s
    with notifier.listen(activation_id) as news:
        while True:
            found = await store.read(activations.get, activation_id=activation_id)
            left_s = until - loop.time()
            if found.state not in activations.UNFINISHED or left_s <= 0:
                return found
            await wait_for_news(news, at_most_s=min(left_s, LOOK_AGAIN_S))
