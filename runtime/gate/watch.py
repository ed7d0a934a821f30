"""Watches the gate while an install is at work: how it is now, and what comes through it."""

import asyncio
from dataclasses import field
from datetime import datetime

from sqlalchemy import Connection

from frozen.values import frozen
from packages.lock.gate_watch import Closings
from packages.lock.grant import GateState
from packages.lock.lock import Offered
from runtime.gate.opening import close_if_over
from runtime.gate.steady import GateClock
from runtime.store import totals
from runtime.store.access import audit
from runtime.store.databases.store import Store
from runtime.values.records import Gate
from runtime.values.totals import Total
from wheelhouse.store import Staged


@frozen
class GateWatch:
    """Asks the store how the gate stands, and keeps what comes through in a transaction of it."""

    store: Store
    clock: GateClock
    closings: Closings = field(default_factory=Closings)

    async def gate(self, granted: GateState) -> GateState:
        """Return the gate as it is now."""
        gate = await self.store.run(close_if_over, at=self.clock())
        self.clock.note(gate)
        return gate_state(gate)

    async def keep(
        self, wheel: Offered, *, staged: Staged, index: str, granted: GateState
    ) -> GateState:
        """Keep what came through and write it down, if the gate still lets it; return the gate.

        All in one transaction: closing the gate is before it, or after it and both are so.
        """
        work = asyncio.ensure_future(
            self.store.run(_keep, wheel=wheel, staged=staged, index=index, at=self.clock())
        )
        try:
            return gate_state(await asyncio.shield(work))
        except asyncio.CancelledError:
            await asyncio.wait({work})  # it goes on in its thread, and uses what we clean up
            raise
        except Exception:
            staged.forget()
            raise


def _keep(
    connection: Connection, *, wheel: Offered, staged: Staged, index: str, at: datetime
) -> Gate:
    gate = close_if_over(connection, at=at)
    if not gate_state(gate).allows(wheel.name):
        return gate
    audit.append(
        connection,
        at=at,
        who=gate.who,
        action="gate.fetch",
        subject=wheel.wheel,
        details={
            "name": wheel.name,
            "version": wheel.version,
            "sha256": wheel.sha256,
            "index": index,
            "reason": gate.reason,
            "opening": _opening(connection),
        },
    )
    totals.add(connection, more=[Total(name="gate_fetches", labels=(), value=1.0)])
    staged.keep()
    return gate


def _opening(connection: Connection) -> int | None:
    """Return the entry of the audit log that tells who opened the gate, and from where."""
    found = audit.list_entries(connection, limit=1, cursor=None, action="gate.open").items
    return found[0].seq if found else None


def gate_state(gate: Gate) -> GateState:
    """Return the gate as the packages room sees it."""
    return GateState(
        is_open=gate.is_open,
        until=gate.until,
        reason=gate.reason,
        who=gate.who,
        packages=gate.packages,
    )
