"""What cannot be written now is written later: whoever has something to publish keeps at it.

A job that ended while the disk was full stayed `running` until a restart, and neither a
cancellation nor a retry could end it. Now its worker keeps the end in memory; its slot is free.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from runtime.faults.errors import RuntimeFault
from runtime.faults.outages import outage_of

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 5.0
KEPT_FOR_S = 24 * 3600.0
"""After that the attempt is let go, and given back once something can be written again."""

type Sleep = Callable[[float], Awaitable[None]]

log = logging.getLogger("fumehood.outages")


async def until_written[T](
    write: Callable[[], Awaitable[T]],
    *,
    doing: str,
    kept_for_s: float = KEPT_FOR_S,
    sleep: Sleep = asyncio.sleep,
) -> T:
    """Return what `write` returns, tried again for as long as an outage is all that it raises.

    What it raises besides (`Superseded`, say) is raised; after `kept_for_s` the outage is, too.
    """
    waited_s, wait_s = 0.0, FIRST_WAIT_S
    while True:
        try:
            written = await write()
        except Exception as error:
            _refuse_to_wait(error, waited_s=waited_s, kept_for_s=kept_for_s)
            log.warning("%s is kept, and written later", doing, exc_info=error)
        else:
            if waited_s:
                log.info("%s is written, %.0f s late", doing, waited_s)
            return written
        await sleep(wait_s)
        waited_s, wait_s = waited_s + wait_s, min(2 * wait_s, LONGEST_WAIT_S)


def _refuse_to_wait(error: Exception, *, waited_s: float, kept_for_s: float) -> None:
    """Raise `error` again where waiting is of no use, or has been for too long."""
    is_ours = isinstance(error, RuntimeFault) and outage_of(error) is not error
    if is_ours or outage_of(error) is None or waited_s >= kept_for_s:
        raise error
