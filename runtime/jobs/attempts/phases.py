"""Phases of an attempt that are ours, and not its package's: each comes to an end."""

import asyncio
from collections.abc import Awaitable

from runtime.faults.errors import AttemptStuck


async def bounded[T](phase: str, *, most_s: float, work: Awaitable[T]) -> T:
    """Do the work of a phase that no limit of the package bounds. Raises AttemptStuck."""
    bound = asyncio.timeout(most_s)
    try:
        async with bound:
            return await work
    except TimeoutError as error:
        if not bound.expired():
            raise
        raise AttemptStuck(
            f"the attempt came to no end of the phase {phase} in {most_s:g} s",
            where=phase,
            mend="see the log of the worker; the setting is `dispatch.phase_s`",
        ) from error
