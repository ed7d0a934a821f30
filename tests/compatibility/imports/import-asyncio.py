# /// script
# dependencies = []
# ///

import asyncio

LOOP = asyncio.new_event_loop()


def extract(*, job, **_):
    return LOOP.run_until_complete(asyncio.sleep(0.01, "ok"))
