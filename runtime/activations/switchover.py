"""Runs one activation: prepares the version, and only then switches to it.

Whatever goes wrong, the version that was active before stays active.
"""

import asyncio
import logging
from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import field

from frozen.values import frozen
from packages.archive import Bundles
from packages.errors import PackageError
from packages.preparation import ActivationFailed, Prepare, Prepared
from runtime.activations.log import ActivationLog
from runtime.activations.prepared import record_of
from runtime.activations.supply import SharedHomeSupply, Supply
from runtime.faults.errors import StateConflict
from runtime.gate.opening import close_if_over
from runtime.gate.watch import gate_state
from runtime.problem_table import fault_of
from runtime.queue.notifier import Notifier
from runtime.store.access import audit
from runtime.store.databases.store import Store
from runtime.store.packages import activations
from runtime.values.clock import Clock
from runtime.values.records import Activation, PreparedRecord

log = logging.getLogger("fumehood.activation")


@frozen
class Switchover:
    """Runs requested activations on this worker."""

    store: Store
    notifier: Notifier
    bundles: Bundles
    prepare: Prepare
    clock: Clock
    worker_id: str
    supply: Supply = field(default_factory=SharedHomeSupply)
    holding: set[str] = field(default_factory=set[str])
    """The activations that this worker has in hand."""

    async def run(self, activation_id: str) -> None:
        """Prepare the version of a requested activation and make it active; or record why not."""
        self.holding.add(activation_id)
        try:
            await self._run(activation_id)
        finally:
            self.holding.discard(activation_id)

    async def look_at_own(
        self, running: Iterable[str], *, before: Container[str], most_tries: int
    ) -> None:
        """Put back what is recorded as running here, and nobody here has in hand any more.

        `before` is what was in hand before the look: what ended meanwhile is no more.
        """
        for activation_id in running:
            if activation_id not in before and activation_id not in self.holding:
                log.warning(
                    "activation %s is recorded as running here, and does not", activation_id
                )
                with suppress(StateConflict):  # it came to an end while we looked
                    await self.store.run(
                        activations.put_back,
                        activation_id=activation_id,
                        most=most_tries,
                        at=self.clock(),
                    )

    async def _run(self, activation_id: str) -> None:
        activation = await self.store.run(
            activations.start, activation_id=activation_id, worker=self.worker_id, at=self.clock()
        )
        if activation is None:
            return  # delivered twice; somebody is at it, or was
        kept = ActivationLog(self.clock)
        try:
            prepared = await self._prepare(activation, kept=kept)
            record = await self.supply.give(record_of(prepared))
        except asyncio.CancelledError:
            # shield: the cancellation that stops us must not also stop the putting back
            requeue = self.store.run(activations.requeue, activation_id=activation_id)
            await asyncio.shield(requeue)
            raise
        except Exception as error:
            await self._fail(activation, error=error, kept=kept)
        else:
            await self._succeed(activation, prepared=record, kept=kept)
        finally:
            self.notifier.notify(activation_id)

    async def _prepare(self, activation: Activation, *, kept: ActivationLog) -> Prepared:
        gate = await self.store.run(close_if_over, at=self.clock())
        bundle = self.bundles.open(activation.digest)
        return await self.prepare(bundle, gate=gate_state(gate), observe=kept.observe)

    async def _succeed(
        self, activation: Activation, *, prepared: PreparedRecord, kept: ActivationLog
    ) -> None:
        await self.store.run(
            activations.succeed,
            activation_id=activation.id,
            prepared=prepared,
            log=kept.lines,
            at=self.clock(),
        )
        await self._audit(activation, result="succeeded")

    async def _fail(self, activation: Activation, *, error: Exception, kept: ActivationLog) -> None:
        if not isinstance(error, PackageError):
            log.exception("activation %s failed on our side", activation.id, exc_info=error)
        await self.store.run(
            activations.fail,
            activation_id=activation.id,
            problems=fault_of(error).problems,
            traceback=error.traceback if isinstance(error, ActivationFailed) else "",
            log=kept.lines,
            at=self.clock(),
        )
        await self._audit(activation, result="failed")

    async def _audit(self, activation: Activation, *, result: str) -> None:
        await self.store.run(
            audit.append,
            at=self.clock(),
            who=activation.who,
            action="package.activate",
            subject=f"{activation.package} {activation.version}",
            details={"result": result, "activation": activation.id, "digest": activation.digest},
        )
