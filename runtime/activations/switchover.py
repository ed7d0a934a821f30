"""The story of one activation: prepare the version, and only then switch to it.

Whatever goes wrong, the version that was active before stays active.
"""

import json
import logging

from packages.activation import ActivationFailed, Prepared, prepare
from packages.errors import PackageError
from runtime.activations.prepared import record_of
from runtime.clock import rfc3339
from runtime.gate.opening import close_if_over
from runtime.gate.watch import gate_state
from runtime.jobs.events import happening_of
from runtime.parts import Parts
from runtime.problem_table import fault_of
from runtime.store import activations, audit
from runtime.values.records import Activation, JsonObject
from sandbox.command import Report

LOG_LINES_MOST = 2000
LOG_BYTES_MOST = 256 * 1024

log = logging.getLogger("fumehood.activation")


class ActivationLog:
    """Keeps what an activation says, with the time, as far as there is room; counts the rest."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._kept: list[JsonObject] = []
        self._bytes_left = LOG_BYTES_MOST
        self._dropped = 0

    def observe(self, report: Report) -> None:
        """Keep one report: an `Observe` for the rooms below."""
        event, data = happening_of(report)
        self._bytes_left -= len(json.dumps(dict(data)))
        if len(self._kept) < LOG_LINES_MOST and self._bytes_left >= 0:
            self._kept.append(self._line(event, data))
        else:
            self._dropped += 1

    @property
    def lines(self) -> list[JsonObject]:
        """Return what was kept, and how much was not."""
        if not self._dropped:
            return self._kept
        said = f"{self._dropped} more lines were not kept"
        told = {"stream": "log", "level": "warning", "message": said}
        return [*self._kept, self._line("job.log", told)]

    def _line(self, event: str, data: JsonObject) -> JsonObject:
        return {"at": rfc3339(self._parts.clock()), "event": event, "data": dict(data)}


async def run_activation(activation_id: str, *, parts: Parts) -> None:
    """Prepare the version of a requested activation and make it active; or record why not."""
    activation = await parts.store.run(
        activations.start, activation_id=activation_id, worker=parts.worker.id, at=parts.clock()
    )
    if activation is None:
        return  # delivered twice; somebody is at it, or was
    said = ActivationLog(parts)
    try:
        prepared = await _prepare(activation, said=said, parts=parts)
    except Exception as error:
        await _fail(activation, error=error, said=said, parts=parts)
    else:
        await _succeed(activation, prepared=prepared, said=said, parts=parts)
    finally:
        parts.bell.ring(activation_id)


async def _prepare(activation: Activation, *, said: ActivationLog, parts: Parts) -> Prepared:
    gate = await parts.store.run(close_if_over, at=parts.clock())
    bundle = parts.bundles.open(activation.digest)
    return await prepare(
        bundle, workshop=parts.workshop, gate=gate_state(gate), observe=said.observe
    )


async def _succeed(
    activation: Activation, *, prepared: Prepared, said: ActivationLog, parts: Parts
) -> None:
    record = record_of(prepared)
    await parts.store.run(
        activations.succeed,
        activation_id=activation.id,
        prepared=record,
        log=said.lines,
        at=parts.clock(),
    )
    await _audit(activation, result="succeeded", parts=parts)


async def _fail(
    activation: Activation, *, error: Exception, said: ActivationLog, parts: Parts
) -> None:
    if not isinstance(error, PackageError):
        log.exception("activation %s failed on our side", activation.id, exc_info=error)
    await parts.store.run(
        activations.fail,
        activation_id=activation.id,
        problems=fault_of(error).problems,
        traceback=error.traceback if isinstance(error, ActivationFailed) else "",
        log=said.lines,
        at=parts.clock(),
    )
    await _audit(activation, result="failed", parts=parts)


async def _audit(activation: Activation, *, result: str, parts: Parts) -> None:
    await parts.store.run(
        audit.append,
        at=parts.clock(),
        who=activation.who,
        action="package.activate",
        subject=f"{activation.package} {activation.version}",
        details={"result": result, "activation": activation.id, "digest": activation.digest},
    )
