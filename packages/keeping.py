"""Keeping: who minds the gate while something comes through it."""

import asyncio
from typing import Protocol

from packages.grant import GateState
from packages.lock import Offered
from wheelhouse.store import Staged


class Keeper(Protocol):
    """Who minds the gate: says how it stands at this moment, and keeps what came through."""

    async def gate(self, granted: GateState) -> GateState:
        """Return the gate as it is now; `granted` is how it was when the install began."""
        ...

    async def keep(
        self, wheel: Offered, *, staged: Staged, index: str, granted: GateState
    ) -> GateState:
        """Keep `staged` and write it down, both or neither; return the gate by which it was so.

        Where the gate does not let it any more, nothing is kept.
        """
        ...


class Nobody:
    """Minds no gate: whoever calls has decided, and the wheel's origin is the record."""

    async def gate(self, granted: GateState) -> GateState:
        """Return the gate as it was granted."""
        return granted

    async def keep(
        self, wheel: Offered, *, staged: Staged, index: str, granted: GateState
    ) -> GateState:
        """Keep it, and write nothing."""
        await asyncio.to_thread(staged.keep)
        return granted
