"""What is done from time to time: wrong tokens are told in sums, the audit log is signed."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import Connection

from runtime.access.access import Access
from runtime.store.access import audit
from runtime.store.databases.store import Store
from runtime.values.clock import Clock

TOLD_EVERY_S = 60.0
SIGNED_EVERY = 60
"""The audit log is signed each time that this many minutes were told: hourly."""
ADDRESSES_TOLD = 20

log = logging.getLogger("fumehood.access")


@asynccontextmanager
async def periodic_work(access: Access, *, store: Store, clock: Clock) -> AsyncGenerator[None]:
    """Keep the log of access up to date meanwhile, and once more at the end."""
    await store.run(access.seal.sign, at=clock())
    work = [_keep(access, store=store, clock=clock)]
    work += [access.copy.keep_on()] if access.copy else []
    keeping = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for one in keeping:
            one.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
        await tell_wrong_tokens(access, store=store, at=clock())
        await store.run(access.seal.sign, at=clock())
        if access.copy:
            await access.copy.catch_up()


async def tell_wrong_tokens(access: Access, *, store: Store, at: datetime) -> None:
    """Write how many wrong tokens were shown since the last time, by address; never which."""
    told = access.wrong_tokens.take()
    if not told:
        return
    total = sum(told.values())
    log.warning("%d wrong tokens were shown, from %d addresses", total, len(told))
    await store.run(_write_down, told=told, at=at)


async def _keep(access: Access, *, store: Store, clock: Clock) -> None:
    minutes = 0
    while True:
        await asyncio.sleep(TOLD_EVERY_S)
        minutes += 1
        await tell_wrong_tokens(access, store=store, at=clock())
        if minutes % SIGNED_EVERY == 0:
            await store.run(access.seal.sign, at=clock())


def _write_down(connection: Connection, *, told: dict[str, int], at: datetime) -> None:
    most = sorted(told.items(), key=lambda one: -one[1])[:ADDRESSES_TOLD]
    audit.append(
        connection,
        at=at,
        who="anonymous",
        action="login.failed",
        subject="tokens",
        details={"count": sum(told.values()), "addresses": len(told), "from": dict(most)},
    )
