"""The keeper of the gate while an install is at work: as it is now, and what comes through."""

from dataclasses import dataclass

from packages.grant import GateState
from packages.lock import Offered
from runtime.clock import Clock
from runtime.gate import close_if_over
from runtime.records import Gate
from runtime.store import audit
from runtime.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Gatekeeper:
    """Asks the store before each fetch, so that a gate that an admin closes is closed at once."""

    store: Store
    clock: Clock

    async def gate(self, granted: GateState) -> GateState:
        """Return the gate as it is now."""
        return gate_state(await self.store.run(close_if_over, at=self.clock()))

    async def passed(self, wheel: Offered, *, gate: GateState, index: str) -> None:
        """Write what came through into the audit log."""
        await self.store.run(
            audit.append,
            at=self.clock(),
            who=gate.who,
            action="gate.fetch",
            subject=wheel.wheel,
            details={
                "name": wheel.name,
                "version": wheel.version,
                "sha256": wheel.sha256,
                "index": index,
                "reason": gate.reason,
            },
        )


def gate_state(gate: Gate) -> GateState:
    """Return the gate as the packages room sees it."""
    return GateState(
        is_open=gate.is_open,
        until=gate.until,
        reason=gate.reason,
        who=gate.who,
        packages=gate.packages,
    )
